"""The erasure instrument on an agent: every baseline in its rows, exact returns, swaps, or why there are none."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from agents.agent import build_agent
from agents.config import AgentConfig
from agents.environments import make_vector
from agents.exact import value_table
from analysis.instruments.activations import edited
from analysis.instruments.cde import CdeSettings
from analysis.instruments.erasure import judge
from analysis.instruments.erasure_data import split_activations
from analysis.instruments.leace import fit_leace
from analysis.instruments.rlace import RlaceSettings
from analysis.probing import erasure_controls, erasure_pairs, erasure_returns, registry
from analysis.probing import rlace as rlace_on_agents
from analysis.probing.activity import INTERFACE
from analysis.probing.collecting import Collection, collect
from analysis.probing.erasure import COLUMNS, INSTRUMENT
from analysis.probing.erasure_pairs import swap_rows
from analysis.probing.erasure_returns import as_edit, erased_returns
from analysis.probing.erasure_sites import SiteErasure, short_list
from analysis.probing.instrument import Finding, Settings
from analysis.probing.material import Material, NotApplicable
from envs.errors import UserError

MULTI, SMALL = "ValueLab/MultiNeed-v0", {"size": 4, "num_objects": 2}
SETTINGS = Settings(seed=0, num_rows=300)


@pytest.fixture(scope="module")
def material() -> Material:
    env = make_vector(MULTI, 1, options=SMALL)
    config = AgentConfig(encoder_sizes=(12, 6), hidden_size=24, num_contexts=2, num_events=2)
    agent = build_agent(
        env.single_observation_space, int(env.single_action_space.n), config, seed=0, sample=env.reset(seed=[0])[0]
    )
    return collect(agent, MULTI, seed=3, options=SMALL, collection=Collection(60, 500, 12))


@pytest.fixture(scope="module")
def finding(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Finding:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("VALUELAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        patched.setattr(erasure_pairs, "CDE", CdeSettings(num_steps=100, window=50))
        patched.setattr(erasure_controls, "NUM_ROWS", 600)
        return INSTRUMENT.measure(material, SETTINGS)


def test_no_threshold_along_the_axis_passes_what_the_depth_of_the_median_leaves(finding: Finding) -> None:
    titles = [axes.get_title(loc="left") for axes in finding.figures["erasure_axis"].axes]
    assert [title.split("\n")[0] for title in titles] == [
        "before", "after mean projection", "after LEACE", "after equal medians",
    ]  # fmt: skip
    read = [tuple(float(part.split()[-1]) for part in title.split("\n")[1].split(",")) for title in titles]
    assert all(0.5 <= best <= bound <= 1.0 for best, bound in read)


def test_every_erasure_stands_beside_its_baselines(finding: Finding) -> None:
    seen = {(row["network"], row["site"]) for row in finding.rows}
    assert {("trained", INTERFACE), ("untrained", INTERFACE), ("trained", "observation")} <= seen
    assert {("planted", name) for name in ("positive", "null", "outliers", "copy")} <= seen
    main = [row for row in finding.rows if (row["network"], row["site"]) == ("trained", INTERFACE) and "gain" in row]
    names = {row["eraser"] for row in main}
    assert {"none", "equal means", "mean projection", "LEACE", "INLP, 1 step", "equal geometric medians"} <= names
    for row in main:
        if row["eraser"] != "none":
            assert row["dV random"] > 0.0 and 0.0 <= row["linear random"] <= 1.0
        assert set(row) <= set(COLUMNS) | {"needs labels", "linear random"}
    swapped = {(row["network"], row["site"], row["eraser"]) for row in finding.rows if "in the space read" in row}
    for network in ("trained", "untrained"):
        assert (network, INTERFACE, "swap along CDE") in swapped
        assert (network, erasure_pairs.CONTRIBUTIONS, "swap along class means") in swapped
    assert {row["actor"] for row in finding.rows if "actor" in row} == {"V1", "D, greedy"}
    assert all(np.isfinite(number) for number in finding.numbers.values())
    assert set(finding.figures) == {"erasure_accuracy", "erasure_cost", "erasure_axis"}


@pytest.mark.slow
def test_the_planted_controls_come_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALUELAB_CACHE", str(tmp_path))
    rows = {row["site"]: row for row in erasure_controls.control_rows()}
    positive, null = rows["positive"], rows["null"]
    assert positive["before"] > 0.95 and max(positive[name] for name in ("linear", "clip", "ramp", "mlp")) < 0.56
    assert positive["dV"] > positive["dV random"] + 0.5
    assert null["before"] < 0.55 and null["dV"] < 0.4 < positive["dV"] - 0.3
    assert rows["outliers"]["linear"] < 0.55 and rows["outliers"]["ramp"] > 0.85
    assert rows["copy"]["patch"] == pytest.approx(1.0, abs=0.05) and rows["copy"]["in the space read"] < 0.15


def test_sentences_name_their_nulls(finding: Finding) -> None:
    text = " ".join(finding.found)
    for words in ("chance", "random subspaces", "before training", "the observation", "at best", "Planted controls"):
        assert words in text
    assert any("independent groups" in limit for limit in finding.not_shown)


def test_an_eraser_in_the_running_network_gives_what_it_gives_on_rows(material: Material) -> None:
    reachable = material.reachable
    rows = reachable.trained.site(INTERFACE)
    eraser = fit_leace(rows, reachable.states.contexts)
    with edited(material.agent, {INTERFACE: as_edit(eraser)}):
        inside = value_table(material.agent, material.world, reachable.states.rows)
    np.testing.assert_allclose(inside, reachable.trained.value_of(INTERFACE, eraser(rows)), atol=1e-5)
    assert np.abs(inside - reachable.trained.values).max() > 1e-4
    batch = torch.from_numpy(rows)
    np.testing.assert_allclose(as_edit(eraser)(batch).numpy(), eraser(rows), atol=1e-5)


def test_v1_on_the_optimal_values_earns_the_optimum(material: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    exact, held = material.exact, material.reachable.trained
    data = split_activations(held.site(INTERFACE), held.states.contexts, held.states.groups, seed=0)
    erasers = short_list(data)
    report = judge(data, {}, seed=0)
    site = SiteErasure("trained", INTERFACE, held.states.source, held, data, erasers, report)
    monkeypatch.setattr(erasure_returns, "value_table", lambda *given: exact.optimal)
    monkeypatch.setattr(erasure_returns, "edited", lambda *given: erasure_returns.nullcontext())
    (v1,) = erased_returns(material, (site,), seed=0)
    assert v1.actor == "V1"
    # The optimum is of episodes that the time limit does not cut.
    assert v1.whole == v1.erased == pytest.approx(v1.optimal, abs=0.02)


def test_swaps_that_cannot_be_say_why(material: Material) -> None:
    oracle = dataclasses.replace(material, agent=copy.deepcopy(material.agent))
    oracle.agent.value_head.needs_context = True
    rows, reason = swap_rows(oracle, SETTINGS)
    assert not rows and "told the context apart" in reason
    rows, reason = swap_rows(dataclasses.replace(material, pairs=None, missing={"pairs": "No kernel."}), SETTINGS)
    assert not rows and reason == "No kernel."


def test_too_few_rows_and_no_context_are_refused(material: Material) -> None:
    few = dataclasses.replace(material, visited=material.visited.first(8), reachable=None)
    unwatched = dataclasses.replace(SETTINGS, probe=dataclasses.replace(SETTINGS.probe, states_per_dimension=0.0))
    with pytest.raises(UserError, match="rows are too few|must hold it"):
        INSTRUMENT.measure(few, unwatched)
    # Many rows of few states are few as well: a probe fits any labels of theirs.
    repeated = dataclasses.replace(material, visited=material.visited.take(np.arange(400) % 8), reachable=None)
    for instrument in (INSTRUMENT, rlace_on_agents.INSTRUMENT):
        with pytest.raises(UserError, match=r"\d distinct states for \d features"):
            instrument.measure(repeated, SETTINGS)
    with pytest.raises(NotApplicable, match="names no context"):
        INSTRUMENT.measure(dataclasses.replace(material, missing={"contexts": "The env names no context."}), SETTINGS)


@pytest.mark.slow
def test_rlace_says_how_far_two_runs_agree(
    material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALUELAB_CACHE", str(tmp_path))
    monkeypatch.setattr(rlace_on_agents, "BUDGET", RlaceSettings(num_steps=150, evaluate_every=75))
    found = rlace_on_agents.INSTRUMENT.measure(material, SETTINGS)
    assert rlace_on_agents.INSTRUMENT.is_slow and rlace_on_agents.INSTRUMENT not in registry.instruments()
    planted = {row["site"]: row["agreement"] for row in found.rows if row["network"] == "planted"}
    assert planted["positive"] > 0.9 > planted["null"] + 0.2
    assert {row["network"] for row in found.rows} == {"trained", "untrained", "raw", "planted"}
    assert 0.0 <= found.numbers["agreement of two RLACE runs"] <= 1.0
    assert "before training" in found.found[0] and "random subspaces" in found.found[1]
