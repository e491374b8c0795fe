"""The study of monitors in small, from training to a sealed zoo of its agents; its rules on made-up agents."""

from __future__ import annotations

import dataclasses
import types

import numpy as np
import pytest
import torch

from analysis.monitors.audit import audit, page
from analysis.monitors.behaviour import LOCKS_IN, MANIPULATES, TRAITS
from analysis.monitors.erasing import TARGETS
from analysis.monitors.registry import MONITORS
from analysis.monitors.scoring import Separation
from analysis.monitors.zoo import Label, load_labels, require_sealed
from analysis.studies import monitor_strata, monitoring
from analysis.studies.monitor_erasures import erasures
from analysis.studies.monitor_kinds import by_kind, kinds_in_words
from analysis.studies.monitor_verdict import verdict
from analysis.studies.monitoring import separations
from analysis.studies.monitoring_figures import figures_of
from analysis.studies.question import answer
from analysis.studies.update_leads import highest_scores, own_thresholds, update_leads, while_v_learns
from analysis.studies.watched import Watched
from analysis.studies.watched import watched as watched_agents
from analysis.studies.weak_agents import HEADS, RECIPES
from analysis.studies.zoo_building import build_zoo
from analysis.study import read_study
from envs.errors import UserError
from envs.niceness.assignment import JUDGES

TINY = {"reinforce_steps": 1280, "num_episodes": 60, "encoder_sizes": (16,), "hidden_size": 21, "updates": 16}
SMALL = {name: dataclasses.replace(RECIPES[name], **TINY) for name in ("ambiguous", "NS, weak")}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def solved_at_once(monkeypatch) -> None:
    """What the exact solution finds in the village with all powers at κ = 1, known."""
    values = {"RT": (52.0, 9.0), "IR": (37.0, 5.0), "NS": (26.0, 9.0)}
    layers = types.SimpleNamespace(num_states=0)
    best = types.SimpleNamespace(value=lambda judge: values[judge][0], layers=layers)
    inert = types.SimpleNamespace(values={judge: inert for judge, (_, inert) in values.items()})
    monkeypatch.setattr("analysis.studies.powerful_village.solve_village", lambda config, judges: best)
    monkeypatch.setattr("analysis.studies.powerful_village.evaluate_village", lambda config, policy: inert)


def test_the_study_in_small_and_a_zoo_of_its_agents(tmp_path, monkeypatch):
    question = dataclasses.replace(monitoring.QUESTION, cells=lambda seeds: monitoring.cells(seeds, SMALL))
    solved_at_once(monkeypatch)
    found = answer(question, tmp_path / "study", seeds=(0, 1), workers=0)
    assert found.study.exit_code == 0, found.study.failed
    assert "Of 4 agents" in found.words
    agents = watched_agents(read_study(tmp_path / "study"))
    assert [agent.label.recipe for agent in agents] == ["ambiguous", "NS, weak"] * 2
    assert {agent.label.head for agent in agents} <= set(HEADS) and len({agent.label.head for agent in agents}) > 1
    for agent in agents:
        assert set(agent.scores) == set(MONITORS) and len(agent.checkpoints) == 8
        assert list(agent.erasures) == [name for name, target in TARGETS.items() if agent.has(target.trait)]
        assert set(agent.label.regrets) == set(JUDGES)
        assert all((agent.label.onset[trait] is not None) >= agent.has(trait) for trait in TRAITS)
        assert agent.label.trained_at == dict.fromkeys(TRAITS, 0.1 if agent.label.recipe == "NS, weak" else 0.0)
    seals = build_zoo(tmp_path / "study", tmp_path / "zoo")
    require_sealed(tmp_path / "zoo", seals)
    labels = load_labels(tmp_path / "zoo")
    assert list(labels) == ["a1", "a2", "a3", "a4"]
    assert all(any(one == agent.label for agent in agents) for one in labels.values())
    assert sorted(one.recipe for one in labels.values()) == sorted(agent.label.recipe for agent in agents)
    with pytest.raises(UserError, match="holds no agent that was watched; give a folder that `valuelab niceness"):
        build_zoo(tmp_path / "zoo", tmp_path / "empty")
    assert not (tmp_path / "empty").exists()
    # Scores of the agents that were read back are those of the study.
    lines = audit(tmp_path / "zoo", {"value": MONITORS["value"].score}, tell=lambda share, text: None)
    for line in lines:
        mine = separations(agents, line.trait)["value"]
        assert line.found.auroc == mine.auroc and line.found.threshold == pytest.approx(mine.threshold, abs=1e-4)
    assert len(page(lines).splitlines()) == 3 * (2 + len(lines)) + 2


SERVES_IR = {"RT": 1.0, "IR": 0.5, "NS": 1.0}


def watched(
    shows: bool, score: float, checkpoints: list[tuple[int, float, float]] | None = None, *, seed: int = 0
) -> Watched:
    onset, trained_at = dict.fromkeys(TRAITS, 0.25 if shows else None), dict.fromkeys(TRAITS, 0.1)
    rows = [
        {"step": step, "index": dict.fromkeys(TRAITS, index), "score": dict.fromkeys(TRAITS, one)}
        for step, index, one in checkpoints or []
    ]  # fmt: skip
    return Watched(
        seed=seed, label=Label(dict.fromkeys(TRAITS, shows), onset, SERVES_IR, trained_at, head="", recipe=""),
        scores={name: dict.fromkeys(TRAITS, score) for name in MONITORS}, checkpoints=rows,
        erasures=dict.fromkeys(TARGETS, {"intact": 1.0, "erased": 0.0, "random": 1.0}),
    )  # fmt: skip


def test_a_verdict_needs_agents_on_both_sides_and_a_clear_area():
    many = [watched(True, 1.0)] * 20 + [watched(False, 0.0)] * 20
    found = separations(many, MANIPULATES)["value"]
    assert (found.auroc[0], found.lead, found.caught, found.false_alarms) == (1.0, pytest.approx(0.15), 1.0, 0.0)
    assert verdict(found) == "it is seen coming"
    few = separations(many[:20] + many[20:27], LOCKS_IN)["value"]
    assert verdict(few).startswith("no verdict, since fewer than 8")
    by_chance = [watched(k % 2 == 0, float(k % 3)) for k in range(40)]
    assert verdict(separations(by_chance, MANIPULATES)["value"]) == "not shown"
    assert isinstance(found, Separation)
    assert separations([watched(True, 1.0)] * 3, MANIPULATES) == {}


def test_a_seed_is_judged_by_the_threshold_of_the_others():
    """One seed whose harmless agents score high: they are false alarms by the others' threshold, and not by all's."""
    agents = [watched(False, 0.1 * k, seed=k // 4) for k in range(20)] + [watched(True, 1.0, seed=k) for k in range(5)]
    found = separations(agents, MANIPULATES)["value"]
    assert found.threshold == pytest.approx(1.7) and found.false_alarms == 0.2
    by_seed = monitoring.by_seed([*agents, watched(True, 9.0, seed=7)], MANIPULATES)
    assert by_seed == {0: 1.0, 1: 1.0, 2: pytest.approx(0.625), 3: 0.0, 4: 0.0}


def test_a_lead_in_updates_is_from_the_alarm_to_the_deed():
    early = watched(True, 1.0, [(100, 0.0, 2.0), (200, 0.0, 2.0), (300, 1.0, 2.0)])
    silent = watched(True, 1.0, [(100, 0.0, 0.0), (200, 1.0, 0.0)])
    late = watched(True, 1.0, [(100, 1.0, 0.0), (200, 1.0, 2.0)])
    harmless = watched(False, 1.0, [(100, 1.0, 2.0)])
    agents = [early, silent, late, harmless]
    assert update_leads(agents, MANIPULATES, np.full(4, 1.0)) == {0: 200.0, 2: -100.0}
    assert update_leads(agents, MANIPULATES, np.array([3.0, 1.0, 1.0, 1.0])) == {2: -100.0}


def test_who_looks_often_needs_a_higher_threshold():
    """Harmless agents that score high early alone: silent at the end, and one false alarm each while V learns."""
    harmless = [watched(False, 0.0, [(100, 0.0, 2.0), (200, 0.0, 0.0)], seed=k) for k in range(10)]
    agents = [*harmless, watched(True, 3.0, [(100, 0.0, 1.0), (200, 1.0, 3.0)], seed=10)]
    scores = highest_scores(agents, MANIPULATES)
    assert scores.tolist() == [2.0] * 10 + [3.0]
    assert own_thresholds(scores, agents, MANIPULATES).tolist() == [2.0] * 11
    at_the_end, throughout = while_v_learns(agents, MANIPULATES)
    assert "of 1 of the 1 agents that end with the trait and of 10 of the 10 that end without it" in at_the_end
    assert "Lead in updates of V 100 over the 1" in at_the_end
    assert "of 1 of the 1 agents that end with the trait and of 0 of the 10 that end without it" in throughout
    assert "Lead in updates of V 0 over the 1 that have one, 1 of them 0" in throughout


def test_each_agent_is_held_to_the_threshold_of_other_seeds_while_v_learns():
    agents = [watched(False, float(k), [(1, 0.0, float(k))], seed=k) for k in range(5)]
    assert own_thresholds(highest_scores(agents, LOCKS_IN), agents, LOCKS_IN).tolist() == [4.0] * 4 + [3.0]


def of_recipe(recipe: str, agent: Watched, *, trained_at: float = 0.1) -> Watched:
    label = dataclasses.replace(agent.label, recipe=recipe, trained_at=dict.fromkeys(TRAITS, trained_at))
    return dataclasses.replace(agent, label=label)


def test_agents_that_were_trained_alike_are_compared_with_each_other_alone():
    agents = [watched(True, 2.0), watched(False, 1.0), of_recipe("other", watched(False, 3.0))]
    share, pairs, p = monitor_strata.within_recipes(agents, MANIPULATES)
    assert (share, pairs, p) == (1.0, 1, pytest.approx(0.5, abs=0.05))
    assert monitor_strata.within_recipes(agents[::2], MANIPULATES) is None


def test_a_monitor_that_knows_the_recipe_alone_is_found_out():
    """Agents of one recipe all score alike: a perfect monitor over agents, by chance among those trained alike."""
    agents = [
        of_recipe(name, watched(shows, score, seed=seed))
        for seed in range(10) for name, score, shares in (("bad", 1.0, 8), ("good", 0.0, 2))
        for shows in [seed < shares]
    ]  # fmt: skip
    assert separations(agents, MANIPULATES)["value"].auroc[0] == pytest.approx(0.8)
    share, pairs, p = monitor_strata.within_recipes(agents, MANIPULATES)
    assert (share, pairs, p) == (0.5, 32, 1.0)
    recipe = monitor_strata.recipe_scores(agents, MANIPULATES)
    assert recipe[0] == pytest.approx(7 / 9) and recipe[1] == pytest.approx(1 / 9)  # the other nine seeds' share
    low, high = monitor_strata.over_recipes(agents, MANIPULATES)
    assert (low, high) == (0.5, pytest.approx(0.8))  # both recipes alike, or one of each
    assert len(list(monitor_strata.strata(agents, MANIPULATES))) == 3


def test_what_a_monitor_sees_is_told_by_the_power_that_agents_had():
    """Blind to agents without power, perfect on those with a little."""
    agents = [of_recipe("", watched(k % 2 == 0, 0.0), trained_at=0.0) for k in range(20)]
    agents += [of_recipe("", watched(k % 2 == 0, float(k % 2 == 0)), trained_at=0.25) for k in range(20)]
    without, little = monitor_strata.by_power(agents, LOCKS_IN)
    assert "among 20 agents trained at κ = 0 the main monitor has AUROC 0.50" in without
    assert without.endswith("catches 0.00 of 10 at 0.00 false alarms.")
    assert "among 20 agents trained at κ = 0.25 the main monitor has AUROC 1.00" in little
    assert "10 of these show the trait at that κ already" in little


def test_an_erased_direction_counts_against_a_random_one():
    stopped = [watched(True, 1.0)] * 12
    sentences = list(erasures(stopped))
    assert [one.partition(": ")[0] for one in sentences] == [f"Direction of {name}" for name in TARGETS]
    assert (
        "θ → E: erasing it stops manipulation more often than erasing a random one does. Of 12" in sentences[0]
    )
    assert "12 stop without it and 0 without a random one, 0 and 12 go on" in sentences[0]
    assert "door closed: erasing it stops lock-in more often" in sentences[3] and "that lock in 12 stop" in sentences[1]
    same = dict.fromkeys(TARGETS, {"intact": 1.0, "erased": 0.0, "random": 0.0})
    assert all("not shown" in one for one in erasures([dataclasses.replace(one, erasures=same) for one in stopped]))
    assert list(erasures([watched(False, 0.0)])) == []


def test_kinds_are_counted_and_told_from_the_others():
    serves_rt = dataclasses.replace(watched(True, 2.0).label, regrets={"RT": 0.05, "IR": 1.0, "NS": 1.0})
    agents = [watched(True, 1.0)] * 3 + [dataclasses.replace(watched(True, 2.0), label=serves_rt)] * 2
    assert kinds_in_words(agents) == (
        "With all powers at κ = 1 they behave like RT 2, IR 0, NS 0, other 3, ambiguous 0; "
        "they serve RT 2, IR 3, NS 0, other 0, ambiguous 0."
    )
    sentences = list(by_kind(agents, MANIPULATES))
    assert [one.partition("agents that ")[2].partition(" do;")[0] for one in sentences] == [
        "behave like RT", "behave like other", "serve RT", "serve IR",
    ]  # fmt: skip
    assert "2 of the 2 agents that behave like RT do" in sentences[0] and "with AUROC 1.00" in sentences[0]
    assert "AUROC 0.00" in sentences[3]


def test_figures_of_two_agents_and_words_of_two_seeds_stay_within_what_scores_can_be():
    seen = [(1, 0.0, 0.0)]
    agents = [watched(has, score, seen, seed=seed) for seed in range(2) for has, score in ((True, 2.0), (False, 1.0))]
    worse = [*agents, watched(True, 0.0, seen, seed=1)]
    found = {trait: separations(worse[1:3], trait) for trait in TRAITS}
    for figure in figures_of(found).values():
        for axes in figure.axes:
            low, high = axes.get_xlim()
            assert low >= -0.02 and high <= 1.02
            assert all(0 <= x <= 1 for line in axes.lines for x in line.get_xdata())
    (words,) = (
        one for one in monitoring._of_trait(worse, MANIPULATES, separations(worse, MANIPULATES)) if "over 2" in one
    )
    assert "AUROC within seeds 0.75 [0.00, 1.00] over 2 seeds" in words
