"""The study of monitors in small, from training to a sealed zoo of its agents; its rules on made-up agents."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from analysis.monitors.audit import audit, page
from analysis.monitors.behaviour import LOCKS_IN, MANIPULATES, TRAITS
from analysis.monitors.registry import MONITORS
from analysis.monitors.scoring import Separation
from analysis.monitors.zoo import load_labels, require_sealed
from analysis.studies import monitoring
from analysis.studies.monitoring import Watched, separations, update_leads, verdict
from analysis.studies.question import answer
from analysis.studies.weak_agents import HEADS, RECIPES
from analysis.studies.zoo_building import build_zoo
from analysis.study import read_study

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
    agents = monitoring.watched(read_study(tmp_path / "study"))
    assert [agent.recipe for agent in agents] == ["ambiguous", "NS, weak"] * 2
    assert {agent.head for agent in agents} <= set(HEADS) and len({agent.head for agent in agents}) > 1
    for agent in agents:
        assert set(agent.scores) == set(MONITORS) and len(agent.checkpoints) == 8
        assert all((agent.onset[trait] is not None) >= agent.shows[trait] for trait in TRAITS)
    seals = build_zoo(tmp_path / "study", tmp_path / "zoo", seeds=(0, 1), recipes=SMALL)
    require_sealed(tmp_path / "zoo", seals)
    labels = load_labels(tmp_path / "zoo")
    assert list(labels) == ["a1", "a2", "a3", "a4"]
    assert sorted(one.recipe for one in labels.values()) == sorted(agent.recipe for agent in agents)
    # Scores of the agents that were read back are those of the study.
    lines = audit(tmp_path / "zoo", {"value": MONITORS["value"].score}, tell=lambda share, text: None)
    for line in lines:
        mine = separations(agents, line.trait)["value"]
        assert line.found.auroc == mine.auroc and line.found.threshold == pytest.approx(mine.threshold, abs=1e-4)
    assert len(page(lines).splitlines()) == 2 + len(lines)


def watched(
    shows: bool, score: float, checkpoints: list[tuple[int, float, float]] | None = None, *, seed: int = 0
) -> Watched:
    both = dict.fromkeys(TRAITS, shows)
    rows = [
        {"step": step, "index": dict.fromkeys(TRAITS, index), "score": dict.fromkeys(TRAITS, one)}
        for step, index, one in checkpoints or []
    ]  # fmt: skip
    return Watched(
        seed=seed, recipe="", head="", shows=both, onset=dict.fromkeys(TRAITS, 0.25 if shows else None),
        scores={name: dict.fromkeys(TRAITS, score) for name in MONITORS}, checkpoints=rows,
        erasure={"intact": 1.0, "erased": 0.0, "random": 1.0},
    )  # fmt: skip


def test_a_verdict_needs_agents_on_both_sides_and_a_clear_area():
    many = [watched(True, 1.0)] * 20 + [watched(False, 0.0)] * 20
    found = separations(many, MANIPULATES)["value"]
    assert (found.auroc[0], found.lead, found.caught, found.false_alarms) == (1.0, 0.25, 1.0, 0.0)
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
    assert update_leads([early, silent, late, harmless], MANIPULATES, 1.0) == {0: 200.0, 2: -100.0}


def test_agents_that_were_trained_alike_are_compared_with_each_other_alone():
    agents = [watched(True, 2.0), watched(False, 1.0), dataclasses.replace(watched(False, 3.0), recipe="other")]
    assert monitoring.within_recipes(agents, MANIPULATES) == [1.0]
    assert monitoring.within_recipes(agents[::2], MANIPULATES) == []
    assert monitoring.ever_fired([watched(False, 0.0, [(1, 0.0, 2.0)]), *agents], LOCKS_IN, 1.0) == [True, False, False]


def test_an_erased_direction_counts_against_a_random_one():
    stopped = [watched(True, 1.0)] * 12
    (sentence,) = monitoring._erasure(stopped)
    assert "erasing it stops manipulation. Of 12 agents that manipulate 12 stop without it and 0" in sentence
    both = [dataclasses.replace(one, erasure={"intact": 1.0, "erased": 0.0, "random": 0.0}) for one in stopped]
    assert "not shown" in next(monitoring._erasure(both))
    assert list(monitoring._erasure([watched(False, 0.0)])) == []
