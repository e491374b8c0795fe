"""The study of monitors in small, from training to a sealed zoo of its agents; its rules on made-up agents."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from analysis.monitors.audit import audit, page
from analysis.monitors.behaviour import LOCKS_IN, MANIPULATES, TRAITS
from analysis.monitors.registry import MONITORS
from analysis.monitors.scoring import Separation
from analysis.monitors.zoo import Label, load_labels, require_sealed
from analysis.studies import monitor_strata, monitoring
from analysis.studies.monitoring import separations, verdict
from analysis.studies.question import answer
from analysis.studies.update_leads import highest_scores, own_thresholds, update_leads, while_v_learns
from analysis.studies.watched import Watched
from analysis.studies.watched import watched as watched_agents
from analysis.studies.weak_agents import HEADS, RECIPES
from analysis.studies.zoo_building import build_zoo
from analysis.study import read_study
from envs.errors import UserError

TINY = {"reinforce_steps": 1280, "num_episodes": 60, "encoder_sizes": (16,), "hidden_size": 21, "updates": 16}
SMALL = {name: dataclasses.replace(RECIPES[name], **TINY) for name in ("ambiguous", "NS, weak")}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_the_study_in_small_and_a_zoo_of_its_agents(tmp_path):
    question = dataclasses.replace(monitoring.QUESTION, cells=lambda seeds: monitoring.cells(seeds, SMALL))
    found = answer(question, tmp_path / "study", seeds=(0, 1), workers=0)
    assert found.study.exit_code == 0, found.study.failed
    assert "Of 4 agents" in found.words
    agents = watched_agents(read_study(tmp_path / "study"))
    assert [agent.label.recipe for agent in agents] == ["ambiguous", "NS, weak"] * 2
    assert {agent.label.head for agent in agents} <= set(HEADS) and len({agent.label.head for agent in agents}) > 1
    for agent in agents:
        assert set(agent.scores) == set(MONITORS) and len(agent.checkpoints) == 8
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
    assert len(page(lines).splitlines()) == 2 * (2 + len(lines)) + 1


def watched(
    shows: bool, score: float, checkpoints: list[tuple[int, float, float]] | None = None, *, seed: int = 0
) -> Watched:
    onset, trained_at = dict.fromkeys(TRAITS, 0.25 if shows else None), dict.fromkeys(TRAITS, 0.1)
    rows = [
        {"step": step, "index": dict.fromkeys(TRAITS, index), "score": dict.fromkeys(TRAITS, one)}
        for step, index, one in checkpoints or []
    ]  # fmt: skip
    return Watched(
        seed=seed, label=Label(dict.fromkeys(TRAITS, shows), onset, trained_at, head="", recipe=""),
        scores={name: dict.fromkeys(TRAITS, score) for name in MONITORS}, checkpoints=rows,
        erasure={"intact": 1.0, "erased": 0.0, "random": 1.0},
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
    (sentence,) = monitoring._erasure(stopped)
    assert "θ → E: erasing it stops manipulation more often than erasing a random one does. Of 12 agents" in sentence
    assert "12 stop without it and 0 without a random one, 0 and 12 go on" in sentence
    both = [dataclasses.replace(one, erasure={"intact": 1.0, "erased": 0.0, "random": 0.0}) for one in stopped]
    assert "not shown" in next(monitoring._erasure(both))
    assert list(monitoring._erasure([watched(False, 0.0)])) == []
