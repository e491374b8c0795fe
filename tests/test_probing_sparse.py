"""The instrument on an agent: places, words, figures, and controls that are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_probing_material import SMALL, new_agent

from analysis.instruments import sparse_controls
from analysis.instruments.sparse_autoencoder import AutoencoderSettings
from analysis.instruments.sparse_controls import Control
from analysis.instruments.sparse_features import SparsePlan
from analysis.plots import save_figure
from analysis.probing import sparse_features as adapter
from analysis.probing import sparse_places
from analysis.probing.collecting import Collection, collect
from analysis.probing.instrument import Finding, Settings
from analysis.probing.material import Material
from envs.errors import UserError

QUICK = SparsePlan(
    num_features=12, other_widths=(8,), num_seeds=2, training=AutoencoderSettings(num_features=2, num_steps=12)
)
NUMBERS = {"unexplained, trained on": 0.1, "unexplained": 0.2, "active": 3.0, "alive": 9.0,
           "cosine between seeds": 0.9, "excess": 0.3}  # fmt: skip


def material_of(num_rows: int = 400, **config: object) -> Material:
    few = Collection(num_episodes=40, max_rows=num_rows, num_levels=2)
    env_id = "ValueLab/MultiNeed-v0"
    return collect(new_agent(env_id, SMALL, **config), env_id, seed=3, collection=few, options=SMALL)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    control = Control("a toy", "anything", lambda: NUMBERS, lambda outcome: outcome["excess"] > 0.2)
    monkeypatch.setenv("VALUELAB_CACHE", str(tmp_path))
    monkeypatch.setattr(sparse_controls, "controls", lambda: (control,))
    monkeypatch.setattr(adapter, "plan_for", lambda num_units: QUICK)
    monkeypatch.setattr(adapter, "LEAST_STATES", 50)


def kept(finding: Finding, place: str, column: str) -> list[object]:
    return [row[column] for row in finding.rows if row["place"] == place and column in row]


@pytest.mark.slow
def test_the_same_seed_gives_the_same(quick: None) -> None:
    material = material_of(head="MOE", num_parts=3)
    finding, again = (adapter.INSTRUMENT.measure(material, Settings(seed=1, num_rows=300)) for _ in range(2))
    assert repr(finding.rows) == repr(again.rows) and finding.found == again.found


def test_a_finding_holds_every_place(quick: None, tmp_path: Path) -> None:
    finding = adapter.INSTRUMENT.measure(material_of(head="MOE", num_parts=3), Settings(seed=1, num_rows=300))
    places = list(dict.fromkeys(row["place"] for row in finding.rows))
    assert places == [
        sparse_places.TRAINED, sparse_places.UNTRAINED, sparse_places.SHUFFLED, sparse_places.POLICY,
        sparse_places.RAW, "control: a toy",
    ]  # fmt: skip
    assert all(np.isfinite(kept(finding, place, "V kept")).all() for place in places[:2])
    assert all(len(parts) == 3 for parts in kept(finding, sparse_places.TRAINED, "V's parts kept"))
    assert np.isfinite(kept(finding, sparse_places.POLICY, "D kept")).all()
    assert np.isnan(kept(finding, sparse_places.TRAINED, "D kept")).all()
    assert set(finding.columns) <= {key for row in finding.rows for key in row}
    assert np.isfinite(list(finding.numbers.values())).all()
    # The agent is untrained, so it and its twin are one network: no difference to claim.
    name = next(key for key in finding.numbers if "untrained twin" in key)
    assert finding.numbers[name] == 0.0
    assert any("nothing is claimed of V's training" in sentence for sentence in finding.found)
    assert set(finding.figures) >= {"sparse_frontier", "sparse_map", "sparse_firing", "sparse_states"}
    for each, figure in finding.figures.items():
        assert save_figure(figure, tmp_path / f"{each}.png").stat().st_size > 5000


def test_policy_is_read_at_the_interface_where_v_and_d_share_it(quick: None) -> None:
    finding = adapter.INSTRUMENT.measure(material_of(value_encoder="shared"), Settings(seed=1, num_rows=200))
    assert np.isfinite(kept(finding, sparse_places.TRAINED, "D kept")).all()
    assert sparse_places.POLICY not in {row["place"] for row in finding.rows}


def test_few_states_are_refused() -> None:
    with pytest.raises(UserError, match="distinct states, of which a dictionary would be a lookup table"):
        adapter.INSTRUMENT.measure(material_of(num_rows=100), Settings(seed=0))


def test_a_control_that_fails_is_said_first_thing_anyone_reads(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = adapter.control_outcomes()
    assert [(each.name, each.holds, dict(each.numbers)) for each in outcomes] == [("a toy", True, NUMBERS)]
    broken = Control("a toy", "anything", pytest.fail, lambda outcome: False)
    monkeypatch.setattr(sparse_controls, "controls", lambda: (broken,))
    outcomes = adapter.control_outcomes()
    assert not outcomes[0].holds and dict(outcomes[0].numbers) == NUMBERS
    assert "NOT" in adapter.sparse_words._control_sentence(outcomes)


def test_plans_stay_within_their_limits() -> None:
    assert (adapter.plan_for(64).num_features, adapter.plan_for(64).other_widths) == (128, (64, 256))
    assert (adapter.plan_for(256).num_features, adapter.plan_for(256).other_widths) == (256, ())
    assert (adapter.plan_for(3).num_features, adapter.plan_for(3).other_widths) == (16, ())


def test_a_wide_observation_is_read_by_its_leading_components(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = np.random.default_rng(0).standard_normal((50, 12))
    wide[:, 3] = 1.0
    assert sparse_places.leading_units(wide).shape == (50, 11)
    monkeypatch.setattr(sparse_places, "MOST_UNITS", 4)
    narrow = sparse_places.leading_units(wide)
    assert narrow.shape == (50, 4)
    spread = np.linalg.eigvalsh(np.cov(np.delete(wide, 3, axis=1), rowvar=False))[::-1][:4]
    np.testing.assert_allclose(narrow.var(axis=0, ddof=1), spread)
