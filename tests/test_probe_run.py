"""The probe of a run, end to end: a V fitted to V*, its untrained twin, worlds without context, refusals."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import minigrid  # noqa: F401 (registers the MiniGrid ids)
import numpy as np
import polars as pl
import pytest
import torch

from agents.agent import AlphaAgent, build_agent
from agents.checkpoint import save_agent
from agents.config import AgentConfig
from agents.environments import make_vector
from agents.exact import value_table
from agents.recorder import record_episodes
from agents.returns import returns_to_go
from analysis.instruments.probes import ProbeSettings
from analysis.probe import Settings, probe_agent, probe_run
from analysis.probing import mediation, outcomes
from analysis.probing.activity import HIDDEN, INTERFACE, OBSERVATION, untrained_twin, values_along
from analysis.probing.collecting import Collection
from analysis.probing.context_words import LAYER_0
from analysis.probing.outcomes import OutcomeFit, outcome_sentence
from analysis.probing.report import ProbeReport, write_report
from analysis.probing.states import visited_states
from analysis.probing.tables import context_table, exact_values, levels_of_states
from envs.episodes import Episodes
from envs.errors import UserError
from envs.registry import make_world
from envs.rows import Levels
from envs.tabular import enumerate_world, value_iteration

MULTI, CROSSED = "ValueLab/MultiNeed-v0", "ValueLab/CrossedHistory-v0"
SMALL = {"size": 4, "num_objects": 2}
NAMES = ("readability", "context", "mediation", "outcomes")
NUM_LEVELS = 24
QUICK = Settings(
    seed=5,
    num_rows=500,
    collection=Collection(num_episodes=60, num_levels=NUM_LEVELS),
    probe=ProbeSettings(num_folds=3, num_inner_folds=2, penalties=(1.0,), num_resamples=200),
)


def new_agent(
    env_id: str, options: dict, *, encoder: str = "mlp", head: str = "MONO", sample: bool = False
) -> AlphaAgent:
    env = make_vector(env_id, 1, options=options)
    config = AgentConfig(
        encoder=encoder, encoder_sizes=(32,), memory_size=16, hidden_size=24, head=head, num_contexts=2, num_events=2
    )
    seen = env.reset(seed=[0])[0] if sample else None
    return build_agent(env.single_observation_space, int(env.single_action_space.n), config, seed=0, sample=seen)


def fitted_agent(env_id: str, options: dict, *, num_updates: int = 1200) -> AlphaAgent:
    """V regressed on V* of the very levels that are probed (what is planted must be there); D is left untrained."""
    agent, world = new_agent(env_id, options), make_world(env_id, **options)
    mdp = enumerate_world(world, Levels(world.levels("test").first, NUM_LEVELS))
    targets = torch.from_numpy(value_iteration(mdp).values).float()
    encoded = agent.encode(world.observe(mdp.rows))
    optimizer = torch.optim.Adam([*agent.value_encoder.parameters(), *agent.value_head.parameters()], lr=0.01)
    picks = torch.Generator().manual_seed(0)
    for _ in range(num_updates):
        rows = torch.randint(len(targets), (256,), generator=picks)
        loss = ((agent.value(encoded[rows]).value - targets[rows]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return agent


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    save_agent(folder / "checkpoint", fitted_agent(MULTI, SMALL), extra={"env_id": MULTI, "options": SMALL})
    return folder


@pytest.fixture(scope="module")
def report(run: Path) -> ProbeReport:
    return probe_run(run, settings=QUICK, names=NAMES)


def test_v_is_compared_at_the_discount_that_it_learned_with(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = new_agent(MULTI, SMALL)
    agent.value_discount = 0.5
    names = ("context", "outcomes")
    near = probe_agent(agent, MULTI, settings=QUICK, names=names, options=SMALL)
    agent.value_discount = None
    far = probe_agent(agent, MULTI, settings=QUICK, names=names, options=SMALL)
    moved = [swap(report, "V, trained")["rms_optimal"] for report in (near, far)]
    assert moved[0] > 1.5 * moved[1], "at a small discount V* moves more between near and far needs"
    means = [report.reading("outcomes").rows[0]["mean_outcome"] for report in (near, far)]
    assert means[0] < means[1]


def test_the_untrained_twin_is_the_network_before_training() -> None:
    """Initial weights alone are not enough: the inputs must be centred as they were."""
    agent = new_agent(MULTI, SMALL, sample=True)
    world = make_world(MULTI, **SMALL)
    rows = world.begin([0, 1, 2], [0, 1, 0])
    before = agent.value(world.observe(rows)).value.detach()
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.add_(0.1)
    assert not torch.equal(agent.value(world.observe(rows)).value, before)
    assert torch.equal(untrained_twin(agent).value(world.observe(rows)).value, before)


def swap(report: ProbeReport, function: str, weighting: str = "all states alike") -> dict:
    rows = report.reading("context").rows
    (found,) = [row for row in rows if (row["function"], row["weighting"]) == (function, weighting)]
    return found


def test_v_fitted_to_v_star_moves_as_v_star_and_the_untrained_v_does_not(report: ProbeReport) -> None:
    for weighting in ("all states alike", "visits of D"):
        trained, untrained = (swap(report, f"V, {kind}", weighting) for kind in ("trained", "untrained"))
        assert trained["slope"] > 0.7
        assert abs(untrained["slope"]) < 0.25
        assert swap(report, "V* itself (planted positive)", weighting)["slope"] == pytest.approx(1.0)
        assert swap(report, "V* without its context (planted null)", weighting)["slope"] == pytest.approx(0.0)
        assert trained["interaction_share_optimal"] > 0.5
        # Even an aimless walk comes to the needed object sooner when that is the nearer one.
        assert swap(report, "value of D, exact", weighting)["correlation"] > 0.5
        assert trained["interaction_share"] == pytest.approx(trained["interaction_share_optimal"], abs=0.15)
        assert abs(trained["effective_rank"] - trained["effective_rank_optimal"]) < 0.2
        assert swap(report, "V* without its context (planted null)", weighting)["effective_rank"] == pytest.approx(1.0)


def test_every_report_carries_all_baselines(report: ProbeReport) -> None:
    planted = [row for row in report.reading("readability").rows if row["kind"] == "planted"]
    accuracies = {(row["layer"], row["states"]): row["accuracy"] for row in planted}
    assert accuracies["concept", "new levels"] > 0.9 > accuracies["noise", "new levels"] + 0.3
    probes = [row for row in report.reading("readability").rows if row["kind"] != "planted"]
    found = {(probe["layer"], probe["kind"]) for probe in probes if probe["states"].startswith("visited")}
    trained = {(layer, "trained") for layer in ("E of D", "E of V", "V's hidden layer")}
    untrained = {(layer, "untrained") for layer in ("E of D and V", "V's hidden layer")}
    assert found == trained | untrained | {("raw observation", "raw")}
    assert {probe["states"].split()[0] for probe in probes} == {"visited", "drawn"}
    for probe in probes:
        assert ("accuracy" not in probe) == bool(probe["refusal"])
        if "accuracy" in probe:
            assert probe["accuracy"] > 0.6
            assert 0.0 <= probe["control_accuracy"] <= 1.0


def test_words_name_nulls_and_limits(report: ProbeReport) -> None:
    text = report.text()
    for phrase in ("by chance", "control task", "before training", "raw observation", "blind to the context"):
        assert phrase in text
    assert "not over training seeds" in text
    assert "does not show that the network uses what it reads" in text
    assert "/work" not in text
    assert "nan" not in text.lower().replace("finance", "")


@pytest.mark.slow
def test_same_seed_same_report(run: Path, report: ProbeReport) -> None:
    torch.manual_seed(123)
    again = probe_run(run, settings=QUICK, names=NAMES)
    assert again.rows() == report.rows()
    assert again.text() == report.text()


def test_written_report_is_whole(report: ProbeReport, tmp_path: Path) -> None:
    paths = write_report(report, tmp_path / "probe")
    assert {path.name for path in paths} == {path.name for path in (tmp_path / "probe").iterdir()}
    names = {
        "layers_visited.png",
        "layers_all.png",
        "values.png",
        "context_rank.png",
        "outcomes.png",
        "swaps.png",
        "policy_need_0.png",
        "policy_need_1.png",
    }
    assert names <= {path.name for path in paths}
    summary = json.loads((tmp_path / "probe" / "probe.json").read_text())
    assert [one["status"] for one in summary["instruments"]] == ["measured"] * len(NAMES)
    assert len(summary["rows"]) == len(report.rows()) == sum(len(reading.rows) for reading in report.readings)
    assert pl.read_parquet(tmp_path / "probe" / "rows.parquet").height == len(summary["rows"])
    assert (tmp_path / "probe" / "probe.md").read_text() == report.text()


def test_others_stand_beside_v_against_outcomes_and_in_swaps(report: ProbeReport) -> None:
    beside = {row["function"]: row["explained_variance"] for row in report.reading("outcomes").rows}
    assert set(beside) == {"V, trained", outcomes.UNTRAINED, outcomes.LAYER_0, outcomes.POSITIVE, outcomes.NULL}
    assert beside[outcomes.POSITIVE] == pytest.approx(1.0) and beside[outcomes.NULL] == pytest.approx(0.0)
    assert beside[outcomes.UNTRAINED] < beside[outcomes.POSITIVE] - 0.3
    assert "for V before training" in report.reading("outcomes").found[0]
    # One-hot observations, read linearly: the context adds the same everywhere.
    layer_0 = swap(report, LAYER_0)
    assert layer_0["interaction_share"] < 1e-6 and layer_0["slope"] < swap(report, "V, trained")["slope"] - 0.3


def test_mediation_stands_beside_every_null(report: ProbeReport) -> None:
    rows = {(row["network"], row["site"], row["erased by"]): row for row in report.reading("mediation").rows}
    leace = rows["trained", INTERFACE, "LEACE"]
    assert rows["trained", INTERFACE, mediation.MEAN]["mediated"] == pytest.approx(1.0, abs=1e-6)
    assert {(network, site) for network, site, _ in rows} == {
        ("trained", INTERFACE), ("untrained", INTERFACE), ("trained", HIDDEN), ("untrained", HIDDEN),
        ("trained", OBSERVATION), ("planted", mediation.LINEAR), ("planted", mediation.CURVED),
    }  # fmt: skip
    assert leace["num_dimensions"] == 1 and leace["interval"][0] <= leace["mediated"] <= leace["interval"][1]
    text = " ".join(report.reading("mediation").found)
    assert all(words in text for words in ("null", "before training", "Planted", "random subspaces"))
    assert {"mediation", "layers_growth", "layers_confusion"} <= set(report.figures)


def test_where_v_star_is_blind_the_report_gives_sizes_and_no_slope() -> None:
    options = {"size": 4, "num_levels": 400}
    report = probe_agent(new_agent(CROSSED, options), CROSSED, settings=QUICK, names=("context",), options=options)
    effect = swap(report, "V, untrained")
    assert effect["slope"] is None
    assert effect["rms"] > 0.0
    assert effect["rms_optimal"] == pytest.approx(0.0, abs=1e-9)
    assert "V* does not depend on the context here, so a slope is not defined" in report.text()
    assert "swaps" not in report.figures
    assert report.reading("context").numbers["slope of V's swaps on V*'s"] is None


def test_hidden_context_is_read_at_chance_and_moves_nothing() -> None:
    options = SMALL | {"context": "hidden"}
    report = probe_agent(new_agent(MULTI, options), MULTI, settings=QUICK, names=NAMES, options=options)
    accuracy = report.reading("readability").numbers["accuracy, V's hidden layer (all states)"]
    assert abs(accuracy - 0.5) < 0.1
    assert swap(report, "V, trained")["rms"] == 0.0
    assert swap(report, "V, trained")["slope"] == 0.0
    assert "does not show the context" in report.text()


@pytest.mark.parametrize(("encoder", "head"), [("gru", "MONO"), ("mlp", "POS")])
def test_memory_and_oracle_heads_are_probed(encoder: str, head: str) -> None:
    agent = new_agent(MULTI, SMALL, encoder=encoder, head=head)
    report = probe_agent(agent, MULTI, settings=QUICK, names=NAMES, options=SMALL)
    assert {reading.status for reading in report.readings} == {"measured"}
    assert ("empty memory" in report.text()) == (encoder == "gru")
    rows = [row for row in report.reading("readability").rows if row["kind"] != "planted"]
    sources = {row["states"].split()[0] for row in rows}
    assert ("drawn" in sources) == (encoder != "gru")


def test_worlds_without_context_get_a_readable_report(tmp_path: Path) -> None:
    env_id = "MiniGrid-Empty-5x5-v0"
    save_agent(tmp_path / "checkpoint", new_agent(env_id, {}, sample=True), extra={"env_id": env_id})
    report = probe_run(tmp_path, settings=Settings(seed=0, collection=Collection(num_episodes=16)), names=NAMES)
    statuses = {reading.instrument: reading.status for reading in report.readings}
    assert (statuses["readability"], statuses["context"], statuses["outcomes"]) == (
        "not applicable", "not applicable", "measured",
    )  # fmt: skip
    assert not report.reading("context").rows and not report.reading("readability").numbers
    assert "context, not applicable: The environment names no context (info['context']), so" in report.text()
    assert "of the variance of the discounted reward that followed" in report.text()
    assert "outcomes" in report.figures


def test_too_few_states_are_refused_with_the_cure(run: Path) -> None:
    settings = Settings(0, num_rows=100, collection=Collection(num_episodes=40), probe=QUICK.probe)
    reading = probe_run(run, settings=settings, names=["readability"]).reading("readability")
    assert (reading.status, reading.rows, dict(reading.numbers)) == ("refused", (), {})
    assert re.search(r"E of D: .* distinct states for .* features.*are needed", reading.reason)


def test_runs_that_do_not_name_their_env_are_refused(tmp_path: Path) -> None:
    save_agent(tmp_path, new_agent(MULTI, SMALL))
    with pytest.raises(UserError, match="does not say which environment"):
        probe_run(tmp_path, settings=QUICK)
    with pytest.raises(UserError, match="Did you mean 'ValueLab/MultiNeed-v0'"):
        probe_agent(new_agent(MULTI, SMALL), "ValueLab/MultiNeeed-v0", settings=QUICK)
    with pytest.raises(UserError, match="There is no run folder"):
        probe_run(tmp_path / "nowhere", settings=QUICK)


def test_a_checkpoint_that_would_import_a_module_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "planted.py").write_text("raise SystemExit('this was imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    save_agent(tmp_path / "agent", new_agent(MULTI, SMALL), extra={"env_id": "planted:Walk-v0"})
    with pytest.raises(UserError, match="names a module; give the id alone"):
        probe_run(tmp_path / "agent", settings=QUICK)


def test_outcomes_discount_within_episodes_and_skip_truncated_ones() -> None:
    zeros = np.zeros(5, dtype=np.int64)
    episodes = Episodes(
        observations={"x": np.zeros((5, 1))},
        final_observations={"x": np.zeros((2, 1))},
        actions=zeros,
        rewards=np.array([0.0, 0.0, 1.0, 5.0, 7.0]),
        events=zeros - 1,
        contexts=zeros - 1,
        terminated=np.array([True, False]),
        truncated=np.array([False, True]),
        offsets=np.array([0, 3, 5]),
        levels=np.zeros(2, dtype=np.int64),
        discount=0.5,
        env_id="none",
    )
    following, known = returns_to_go(episodes)
    assert following[:3].tolist() == [0.25, 0.5, 1.0]
    assert known.tolist() == [True, True, True, False, False]


def test_outcomes_that_do_not_vary_leave_nothing_to_explain() -> None:
    words = outcome_sentence(OutcomeFit(59, math.nan, 0.036, 0.0, 1.0))
    assert "is 0.000 on all 59 held-out states, so there is no variance for V to explain (error 0.036;" in words
    assert "–" not in words


def test_levels_of_states_follow_from_the_transitions() -> None:
    world = make_world(MULTI, **SMALL)
    mdp = enumerate_world(world, [0, 1, 2])
    levels = levels_of_states(mdp, num_starts=world.num_starts)
    objects = np.unique(mdp.rows[:, 1:3], axis=0, return_inverse=True)[1].reshape(-1)
    # In MultiNeed a level is known by where its objects lie.
    assert len(np.unique(levels)) == 3
    assert len(np.unique(np.stack([levels, objects]), axis=1).T) == 3


def test_values_do_not_depend_on_how_rows_are_batched() -> None:
    table = context_table(exact_values(make_world(MULTI, **SMALL), num_levels=3, max_states=10_000))
    agent = new_agent(MULTI, SMALL)
    rows = table.mdp.rows[table.index[:, 0]]
    alone = [value_table(agent, table.world, rows[i : i + 1])[0] for i in range(3)]
    np.testing.assert_allclose(table.values_of(agent)[:3, 0], alone, rtol=1e-5, atol=1e-6)


def test_memory_starts_anew_with_every_episode() -> None:
    agent = new_agent(MULTI, SMALL, encoder="gru")
    episodes = record_episodes(agent, MULTI, num_episodes=5, seed=0, options=SMALL, split="test")
    world = make_world(MULTI, **SMALL)
    states = visited_states(episodes, agent, world=world, seed=0)
    assert states.starts.sum() == 5
    along, alone = values_along(agent, states), value_table(agent, world, episodes.rows, as_first=True)
    with pytest.raises(UserError, match="V has a memory of 16 numbers"):
        value_table(agent, world, episodes.rows)
    np.testing.assert_allclose(along[states.starts], alone[states.starts], rtol=1e-5, atol=1e-6)
    assert np.abs(along - alone)[~states.starts].max() > 1e-4
