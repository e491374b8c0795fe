"""Learners in the discriminating worlds: planted players, the words on planted seeds, and the study in small."""

from __future__ import annotations

import dataclasses
import functools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from analysis.cells import CellContext
from analysis.studies import dilemma_cells, niceness_dilemmas
from analysis.studies.dilemma_cells import (
    INERT,
    JUDGED_IN,
    OPTIMAL,
    TRAIN,
    has_welfare,
    objectives_of,
    plant,
    solved,
    welfare_ends,
)
from analysis.studies.niceness_learners import Setup, Task
from analysis.studies.question import answer
from analysis.study import CellRecord
from envs.niceness.case_registry import DISCRIMINATING, make_case

EPSILON = 1e-9
TINY = Setup(q_steps=256, reinforce_steps=64, num_outcomes=8, value_updates=2)


def test_every_discriminating_world_is_judged_once_with_every_reward() -> None:
    judged = [world for worlds in JUDGED_IN.values() for world in worlds]
    assert sorted(judged) == sorted(DISCRIMINATING)
    assert objectives_of("TRIAD") == ("RT", "IR", "NS", "Myopic", "PR-B", "PR-E")
    assert objectives_of("THIRD-PARTY") == ("RT", "IR", "NS", "Myopic", "PR-X")
    assert [world for world in DISCRIMINATING if has_welfare(world)] == ["HARMFUL-START", "GLORY"]


def test_worlds_that_differ_in_hidden_welfare_alone_are_one_to_an_agent() -> None:
    triad = make_case("TRIAD")
    for world in JUDGED_IN["TRIAD"]:
        case = make_case(world)
        for name in ("probability", "next_state", "next_theta", "reward"):
            assert np.array_equal(getattr(case, name), getattr(triad, name))
        assert not np.array_equal(case.welfare, triad.welfare)


def test_the_exact_answers_are_those_of_the_reference() -> None:
    """Section 3 and 4: MI, LI by objective; what is hidden costs 1 a step in which A (HARMFUL-START) or E is held."""
    welfare = {
        (world, name): solved(world, name).ends["welfare"] for world in ("HARMFUL-START", "GLORY")
        for name in ("RT", "IR", "NS")
    }  # fmt: skip
    assert {place: int(low) for place, (low, high) in welfare.items() if low == high} == {
        ("HARMFUL-START", "RT"): -1, ("HARMFUL-START", "IR"): -6, ("HARMFUL-START", "NS"): -3,
        ("GLORY", "RT"): -5, ("GLORY", "IR"): 0, ("GLORY", "NS"): 0,
    }  # fmt: skip
    assert solved("GLORY", "IR").ends["li"] == (Fraction(2, 3), Fraction(2, 3))
    assert [tuple(map(int, welfare_ends(world))) for world in JUDGED_IN["TRIAD"]] == [(-3, -1), (0, 0)]


@pytest.mark.parametrize("world", list(JUDGED_IN))
def test_planted_players_are_inside_and_outside(world: str, tmp_path: Path) -> None:
    for objective in objectives_of(world):
        rows = plant(CellContext({"world": world, "objective": objective}, {}, tmp_path))
        assert [row["world"] for row in rows if row["player"] == OPTIMAL] == list(JUDGED_IN[world])
        for row in rows:
            ends = {name: tuple(map(float, one)) for name, one in solved(row["world"], objective).ends.items()}
            assert row["inside"] == (row["player"] == OPTIMAL)
            if row["inside"]:
                measured = {name: float(str(row[name])) for name in ends}
                assert all(low - EPSILON <= measured[name] <= high + EPSILON for name, (low, high) in ends.items())
            else:
                assert row["mi"] == row["li"] == 0 and row["player"] == INERT


def test_d_is_one_whatever_the_head_and_v_is_not() -> None:
    task = Task("ValueLab/Case-v0", {"case": "ZEALOT"}, "IR", seed=3)
    played = dict(dilemma_cells.LEARNERS["E, D and V"](task, TINY))
    assert list(played) == ["D, untrained", "D", "V1, MONO", "V1, MOE", "V1, ROUTE"]
    assert set(played) <= set(niceness_dilemmas.PLAYERS)


def records(*, wrong: int, number: int = 20, player: str = "D", welfare: float = 0.0) -> list[CellRecord]:
    """Seeds of D that are optimal everywhere but for some, which do nothing on NS in GLORY; more or less welfare."""
    found = []
    for seed in range(number):
        for world in DISCRIMINATING:
            for objective in objectives_of(world):
                ends = solved(world, objective).ends
                row = {"world": world, "player": player, "inside": True}
                row |= {name: float(low) for name, (low, _) in ends.items()}
                row["welfare"] += welfare
                if (world, objective) == ("GLORY", "NS") and seed < wrong:
                    row["inside"] = False
                config = {"objective": objective, "seed": seed}
                found.append(CellRecord(f"{seed}", TRAIN, 1, config, (), "finished", (row,)))
    return found


class TestWords:
    def test_one_seed_in_ten_may_miss(self) -> None:
        for wrong, there in ((2, True), (3, False)):
            found = niceness_dilemmas.report(records(wrong=wrong)).found
            says = next(one for one in found if one.startswith("D ends where"))
            assert ("GLORY" in says) == there and "HARMFUL-START" in says
            assert ("Not so D on NS in GLORY: 17 of 20 seeds are inside." in found) != there

    def test_nothing_wins_everywhere_exactly_and_as_planted(self) -> None:
        found = niceness_dilemmas.report(records(wrong=0)).found
        everywhere = [one for one in found if "no objective wins everywhere" in one]
        assert len(everywhere) == 2 and all("RT 5.00, IR 5.00, NS 2.00" in one for one in everywhere)
        assert any("RT - NS in HARMFUL-START: distinguishable (mean +2" in one for one in found)
        assert any("RT - NS in GLORY: distinguishable, below 0 (mean -5" in one for one in found)
        assert any("IR - NS in GLORY: equivalent" in one for one in found)
        assert any("-3, is had by NS, CRT, Myopic, ParetoUD, PSO" in one and "RT, PR-E" in one for one in found)

    def test_a_planted_winner_is_named(self) -> None:
        assert niceness_dilemmas._everywhere({"RT": 0.4, "IR": 2.0}).startswith("RT win everywhere")

    def test_shards_are_held_against_the_monolith_seed_by_seed(self) -> None:
        heads = (("V1, MONO", 0.0), ("V1, MOE", -1.0), ("V1, ROUTE", 0.0))
        rows = [one for player, welfare in heads for one in records(wrong=0, player=player, welfare=welfare)]
        found = niceness_dilemmas.report(rows).found
        for head, word in (("MOE", "distinguishable, below 0"), ("ROUTE", "equivalent")):
            for world in ("HARMFUL-START", "GLORY"):
                name = f"Hidden welfare of V1 on NS in {world}, {head} − MONO: {word}"
                assert any(one.startswith(name) for one in found)

    def test_few_seeds_get_no_word(self) -> None:
        found = niceness_dilemmas.report(records(wrong=0, number=19)).found
        assert any("33 of 33 places have fewer than 20 seeds" in one for one in found)
        assert not any(one.startswith(("D ends", "Not so")) for one in found)


def test_the_study_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (niceness_dilemmas, dilemma_cells):
        monkeypatch.setattr(module, "JUDGED_IN", {"TRIAD": ("HARMFUL-START", "GLORY")})
        monkeypatch.setattr(module, "objectives_of", lambda world: ("RT", "NS"))
    question = dataclasses.replace(
        niceness_dilemmas.QUESTION, cells=functools.partial(niceness_dilemmas.cells, setup=TINY)
    )
    found = answer(question, tmp_path / "a", seeds=(0, 1), workers=0)
    assert found.study.exit_code == 0 and [path.name for path in found.figures] == ["welfare.png"]
    assert "planted 4 of 4 optimal tables, 0 of 4 that do nothing" in found.words
    again = answer(question, tmp_path / "b", seeds=(0, 1), workers=0)
    assert again.report.table == found.report.table
    row = next(one for one in found.report.table if (one["world"], one["objective"]) == ("GLORY", "RT"))
    assert row["exact"] == "-5; 1; 0" and "/2 inside" in row["D"]
