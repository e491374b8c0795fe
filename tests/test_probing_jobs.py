"""Instruments on runs: the harness's own null, workers, refusals before the work, runs side by side."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from agents.agent import AlphaAgent, build_agent
from agents.checkpoint import save_agent
from agents.config import AgentConfig, TrainConfig, ValueConfig
from agents.environments import make_vector
from agents.run_folder import RunSettings
from analysis.executors import TaskResult
from analysis.instruments.probes import ProbeSettings, linear_probe
from analysis.plots.style import new_figure
from analysis.probing import jobs, readability, training_curves
from analysis.probing.activity import INTERFACE, Activity
from analysis.probing.collecting import Collection, collect
from analysis.probing.comparing import compare_reports, require_comparable
from analysis.probing.comparison_report import found, shown_rows, write_comparison
from analysis.probing.instrument import Settings
from analysis.probing.material import Material, Sample
from analysis.probing.reading import Reading, from_text, to_text
from analysis.probing.registry import INSTRUMENTS, instrument
from analysis.probing.report import ProbeReport
from analysis.probing.subject import Subject, group_names, subject_of
from envs.errors import UserError
from envs.storage import read_json, write_json

WIDTH = 128
"""More units than episodes, so that a linear readout can tell any labels of episodes."""
MULTI, SMALL = "ValueLab/MultiNeed-v0", {"size": 4, "num_objects": 2}
QUICK = Settings(
    seed=5, num_rows=1500, collection=Collection(num_episodes=40, num_levels=4),
    probe=ProbeSettings(num_folds=3, num_inner_folds=2, penalties=(1.0,), num_resamples=100),
)  # fmt: skip


def new_agent(head: str = "MONO", *, seed: int = 0) -> AlphaAgent:
    env = make_vector(MULTI, 1, options=SMALL)
    config = AgentConfig(encoder_sizes=(8,), hidden_size=10, head=head, num_parts=2 if head == "MOE" else None)
    return build_agent(env.single_observation_space, int(env.single_action_space.n), config, seed=seed)


def saved(folder: Path, head: str = "MONO", *, seed: int = 0) -> Path:
    save_agent(folder / "checkpoint", new_agent(head, seed=seed), extra={"env_id": MULTI, "options": SMALL})
    return folder


def with_random_labels(material: Material) -> Material:
    """The same episodes, a coin thrown for each as its context, and a code of the episode in every layer.

    Whoever holds out steps reads the coin from the episode's code.
    """
    sample, rng = material.visited, np.random.default_rng(1)
    episode = sample.states.episodes
    coin, code = rng.integers(2, size=episode.max() + 1), 3.0 * rng.normal(size=(episode.max() + 1, WIDTH))

    def coded(activity: Activity) -> Activity:
        h = (code[episode] + 0.3 * rng.normal(size=(len(episode), WIDTH))).astype(np.float32)
        units = dict.fromkeys(activity.activations, h)
        return dataclasses.replace(activity, states=states, activations=units, unit_contributions=h.astype(np.float64))

    states = dataclasses.replace(sample.states, contexts=coin[episode], ids=np.arange(len(episode)))
    planted = Sample(states, coded(sample.trained), coded(sample.untrained), sample.optimal)
    return dataclasses.replace(material, visited=planted, reachable=None)


def test_random_labels_of_episodes_are_read_at_chance() -> None:
    """A split by steps would read them all."""
    amount = Collection(num_episodes=120, num_levels=4)
    material = with_random_labels(collect(new_agent(), MULTI, seed=0, collection=amount, options=SMALL))
    finding = readability.measure(material, QUICK)
    rows = [row for row in finding.rows if row["kind"] != "planted"]
    accuracies = [row["accuracy"] for row in rows]
    assert len(accuracies) == 5 and all(abs(accuracy - 0.5) < 0.17 for accuracy in accuracies)
    assert all(row["interval"][0] < 0.5 < row["interval"][1] for row in rows)
    states = material.visited.states
    blind = dataclasses.replace(QUICK.probe, states_per_dimension=0)
    codes = material.visited.trained.site(INTERFACE)
    by_step = linear_probe(codes, states.contexts, np.arange(len(states)), seed=0, settings=blind)
    assert by_step.accuracy > 0.95, "the leak must be there to be closed"


def test_every_instrument_of_the_registry_is_one() -> None:
    for name in INSTRUMENTS:
        one = instrument(name)
        assert one.name == name and one.question.endswith("?") and one.does_not_show.endswith(".") and one.seconds > 0


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    return [saved(folder / f"{head}{seed}", head, seed=seed) for head in ("MONO", "MOE") for seed in (0, 1)]


@pytest.fixture(scope="module")
def reports(runs: list[Path]) -> list[ProbeReport]:
    return jobs.probe_runs(jobs.Job(tuple(runs), QUICK, names=("outcomes",)), workers=0)


def test_reports_follow_the_runs_and_the_registry(runs: list[Path], reports: list[ProbeReport]) -> None:
    assert [report.subject.head for report in reports] == ["MONO", "MONO", "MOE", "MOE"]
    assert [report.subject.seed for report in reports] == [0, 1, 0, 1]
    assert all([reading.instrument for reading in report.readings] == ["outcomes"] for report in reports)


@pytest.mark.slow
def test_worker_processes_give_the_same_numbers_and_figures(runs: list[Path], reports: list[ProbeReport]) -> None:
    again = jobs.probe_runs(jobs.Job(tuple(runs[:2]), QUICK, names=("outcomes", "context")), workers=2)
    assert [reading.instrument for reading in again[0].readings] == ["context", "outcomes"]
    assert [to_text(report.readings[1]) for report in again] == [to_text(report.readings[0]) for report in reports[:2]]


def test_a_reading_survives_the_way_as_text() -> None:
    reading = Reading(
        "x", "Is it?", "No.", "measured", rows=({"a": 1.5, "b": [1, None]},), columns=("a",), numbers={"n": None},
        found=("Yes.",), figures={"f": new_figure(1.0, 1.0)},
    )  # fmt: skip
    again = from_text(to_text(reading))
    assert again.figures["f"].startswith(b"\x89PNG")
    assert to_text(again) == to_text(reading)
    assert (again.rows, again.columns, again.numbers, again.found) == (reading.rows, ("a",), {"n": None}, ("Yes.",))


def test_a_dead_worker_fails_its_instrument_alone_and_a_users_error_stops_all() -> None:
    one = instrument("outcomes")
    died = jobs._reading(TaskResult("outcomes", 1.0, failure="WorkerDied", message="it died"), one)
    assert (died.status, died.reason, died.numbers) == ("failed", "WorkerDied: it died", {})
    with pytest.raises(UserError, match="no such level"):
        jobs._reading(TaskResult("outcomes", 1.0, failure="UserError", message="no such level"), one)


def facing(observations: dict) -> np.ndarray:
    return observations["vector"].argmax(axis=1)


def test_what_can_be_refused_is_refused_before_the_work(runs: list[Path], tmp_path: Path) -> None:
    job = jobs.Job((runs[0],), QUICK)
    faults = {
        "There is no instrument 'contxt'.*Did you mean 'context'": {"names": ("contxt",)},
        "must be MODULE:FUNCTION": {"context": "facing"},
        "has no function 'facng'; check --context. Did you mean 'facing'": {"context": f"{__name__}:facng"},
        "cannot be imported": {"context": "nowhere_at_all:facing"},
        "head MONO with seed 0, but a seed counts once": {"runs": (runs[0], saved(tmp_path / "same"))},
    }
    for message, change in faults.items():
        with pytest.raises(UserError, match=message):
            jobs.checked_runs(dataclasses.replace(job, **change))
    assert jobs.context_function(f"{__name__}:facing") is not None


def made(head: str, seed: int, score: float | None, *, env_id: str = "E") -> ProbeReport:
    reading = Reading("tool", "Is it?", "No.", "measured", numbers={"n": score, "constant": 1.0})
    return ProbeReport(Subject(head, env_id, seed, {}), (reading,))


def test_heads_with_common_seeds_are_paired() -> None:
    # Differences 1, 2, 3 within seeds that are far apart: t(2) interval 2 ± 4.303 / sqrt(3).
    first, second = {0: 0.0, 1: 10.0, 2: 20.0}, {0: 1.0, 1: 12.0, 2: 23.0}
    reports = [made("A", s, x) for s, x in first.items()] + [made("B", s, x) for s, x in second.items()]
    (one, constant) = compare_reports([*reports, made("B", 7, 99.0)]).differences
    assert one.test.interval.ends == pytest.approx((2 - 4.3027 / math.sqrt(3), 2 + 4.3027 / math.sqrt(3)), abs=1e-3)
    assert one.reason == "paired over 3 seeds, 1 runs without a partner left out"
    assert (constant.estimate, constant.test.p_value) == (0.0, 1.0)
    assert one.adjusted == pytest.approx(min(1.0, 2 * one.test.p_value))


def test_heads_without_common_seeds_are_compared_by_welch_and_one_seed_gives_no_interval() -> None:
    apart = compare_reports([made("A", 0, 0.0), made("A", 1, 1.0), made("B", 2, 5.0), made("B", 3, 7.0)])
    assert apart.differences[0].reason == "Welch, 2 and 2 seeds" and apart.differences[0].estimate == 5.5
    single = compare_reports([made("A", 0, 0.0), made("B", 0, 2.0)])
    assert (single.differences[0].estimate, single.differences[0].test) == (2.0, None)
    assert "Differences without an interval: no interval: A has 1 seed(s), and an interval" in " ".join(found(single))
    assert shown_rows(single)[0]["B − A"] == "+2.000 (no interval)"
    undefined = compare_reports([made("A", 0, None), made("B", 0, 2.0)])
    assert math.isnan(undefined.differences[0].estimate) and shown_rows(undefined)[0]["A"] == "–"


def test_runs_that_do_not_compare_are_refused() -> None:
    with pytest.raises(UserError, match="side by side takes at least two"):
        compare_reports([made("A", 0, 0.0)])
    with pytest.raises(UserError, match="different environments, E and F"):
        compare_reports([made("A", 0, 0.0), made("A", 1, 0.0, env_id="F")])
    with pytest.raises(UserError, match="Two runs are of head A with seed 0"):
        compare_reports([made("A", 0, 0.0), made("A", 0, 1.0)])


def trained(head: str, seed: int, **settings: object) -> Subject:
    return Subject(head, "E", seed, {}, settings)


def test_runs_that_differ_in_more_than_the_seed_are_groups_of_their_own() -> None:
    first, second = trained("A", 0, rate=0.1, width=8), trained("A", 1, rate=0.2, width=8)
    subjects = [first, second, trained("B", 0, rate=0.1, width=4)]
    assert group_names(subjects) == ("A (rate 0.1)", "A (rate 0.2)", "B")
    assert group_names(subjects[1:]) == ("A", "B"), "what differs between heads does not split a head"
    unsaid = [trained("A", 0, rate=0.1), trained("A", 1)]
    assert group_names(unsaid) == ("A", "A"), "a checkpoint alone does not say how it was trained"
    require_comparable([subjects[0], trained("A", 0, rate=0.2, width=8)])
    with pytest.raises(UserError, match="Two runs are of head A with seed 0"):
        require_comparable([subjects[0], subjects[0]])
    reading = Reading("tool", "Is it?", "No.", "measured", numbers={"n": 1.0})
    comparison = compare_reports([ProbeReport(one, (reading,)) for one in subjects])
    assert {group: list(runs) for group, runs in comparison.groups.items()} == {
        "A (rate 0.1)": [0], "A (rate 0.2)": [1], "B": [0],
    }  # fmt: skip
    assert "Groups differ in width too: 8 in A (rate 0.1), A (rate 0.2); 4 in B." in " ".join(found(comparison))


def test_settings_of_a_run_are_those_that_change_what_is_trained(tmp_path: Path) -> None:
    config = TrainConfig(seed=3, num_evaluation_episodes=7)
    settings = RunSettings(MULTI, SMALL, dataclasses.replace(config, value=ValueConfig(learning_rate=0.5)))
    write_json(tmp_path / "config.json", settings.to_dict())
    (said, other) = (subject_of(new_agent(), MULTI, SMALL, run=run) for run in (tmp_path, None))
    assert said.settings["value.learning_rate"] == 0.5 and "value.learning_rate" not in other.settings
    assert said.settings["agent.hidden_size"] == other.settings["agent.hidden_size"] == 10, "as built, not as asked"
    assert not {"seed", "num_evaluation_episodes", "agent.head"} & said.settings.keys()


def marked(head: str, seed: int, scores: dict[int, float | None]) -> ProbeReport:
    """A report of `training` with these accuracies of E by step, and none of anything else."""
    rows = tuple({"step": step, "layer": "E of V", "accuracy": score, "chance": 0.25} for step, score in scores.items())
    return ProbeReport(Subject(head, "E", seed, {}), (Reading("training", "?", ".", "measured", rows=rows),))


def curve_rows(*reports: ProbeReport) -> list[tuple[object, ...]]:
    rows = training_curves.rows(compare_reports(reports).groups)
    names = ("group", "step", "mean", "low", "high", "num_seeds")
    return [tuple(row[name] for name in names) for row in rows if row["quantity"] == "accuracy"]


def test_curves_are_means_over_seeds_with_students_interval_at_each_mark() -> None:
    reports = [marked("A", seed, {0: 0.1 * seed, 10: 0.5}) for seed in (1, 2, 3)] + [marked("B", 0, {0: 0.7, 5: None})]
    first, second, third, last = curve_rows(*reports)
    half = 4.302653 * 0.1 / math.sqrt(3)  # t(.975, 2) sd / sqrt(N)
    assert first == ("A", 0, pytest.approx(0.2), pytest.approx(0.2 - half), pytest.approx(0.2 + half), 3)
    assert second == ("A", 10, 0.5, 0.5, 0.5, 3)
    assert third == ("B", 0, 0.7, None, None, 1) and last == ("B", 5, None, None, None, 1)
    comparison = compare_reports(reports)
    assert "the curve of B is of one seed and has no interval" in " ".join(found(comparison))
    (figure,) = training_curves.figures(comparison.groups).values()
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "E of V: balanced accuracy for the context"
    assert axes.get_legend_handles_labels()[1] == ["A, 3 seeds", "B, 1 seed"] and len(axes.collections) == 1


def test_marks_at_other_steps_are_not_averaged() -> None:
    reports = [marked("A", 0, {0: 0.1, 10: 0.2}), marked("A", 1, {0: 0.1, 20: 0.2}), marked("B", 0, {0: 0.3, 7: 0.4})]
    assert [row[0] for row in curve_rows(*reports)] == ["B", "B"]
    said = " ".join(found(compare_reports(reports)))
    assert "no curve of A, whose runs were kept at different steps (seed 0 at 0, 10; seed 1 at 0, 20)" in said
    assert training_curves.figures(compare_reports(reports[:2]).groups) == {}


def test_a_comparison_is_written_whole(reports: list[ProbeReport], tmp_path: Path) -> None:
    comparison = compare_reports(reports)
    paths = write_comparison(comparison, tmp_path)
    assert {path.name for path in paths} == {path.name for path in tmp_path.iterdir()} == {
        "comparison.md", "comparison.json", "scores.parquet", "compare_outcomes.png",
    }  # fmt: skip
    summary = read_json(tmp_path / "comparison.json")
    assert "MONO (2 seeds), MOE (2 seeds)" in summary["title"]
    assert all(one["reason"] == "paired over 2 seeds" for one in summary["differences"] if one["estimate"] is not None)
    text = (tmp_path / "comparison.md").read_text()
    assert "not equality" in text and "Holm" in text and json.dumps(summary)
