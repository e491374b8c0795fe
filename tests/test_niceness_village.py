"""Learners in the village against its exact optimum: known players, tables as policies, words, the study in small."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest

from agents.presets import recommended
from analysis.cells import CellContext, Row
from analysis.studies import niceness_village as study
from analysis.studies import village_cells as cells
from analysis.studies.niceness_learners import FROM_SCRATCH, UNTRAINED, Setup, Task, longest_episode
from analysis.studies.question import answer
from analysis.study import CellRecord
from envs.errors import UserError
from envs.niceness.assignment import JUDGES
from envs.tabular import start_value, value_iteration

TINY = Setup(q_steps=256, reinforce_steps=64, num_outcomes=4, value_updates=2)


@functools.cache
def task(objective: str) -> Task:
    return Task(cells.ENV_ID, {}, objective, seed=0)


@pytest.mark.parametrize("objective", JUDGES)
def test_known_players_are_at_the_optimum_and_at_nothing(objective: str, tmp_path: Path) -> None:
    best, idle = cells.plant(CellContext({"objective": objective}, {}, tmp_path))
    assert best["player"] == cells.OPTIMUM and best["assigned"] == objective
    assert (best["regret"], best["optimal_share"]) == pytest.approx((0, 1))
    assert best["least MI_c"] - 1e-9 <= best["MI_c"] <= best["most MI_c"] + 1e-9
    assert idle["player"] == cells.INERT and idle["regret"] == 1 and idle["MI_c"] == idle["LI"] == 0


def test_a_table_of_optimal_actions_is_worth_the_optimum() -> None:
    """Value iteration on the states that tabular Q learns on, and the layered solution, are two roads to one answer."""
    mdp = task("RT").mdp
    solved = value_iteration(mdp)
    assert start_value(mdp, solved.values) == pytest.approx(cells.solved()[0].value("RT"))
    policy = cells.on_states(mdp, solved.action_values.argmax(axis=1))
    found = cells.scored("RT", policy)
    assert (found["regret"], found["optimal_share"], found["LI"]) == pytest.approx((0, 1, 0))
    assert longest_episode(mdp) == cells.VILLAGE.dials.horizon == 20
    with pytest.raises(UserError, match="not among the"):
        policy(mdp.rows[:1] + 1)


def test_triads_episodes_have_six_steps() -> None:
    assert longest_episode(Task("ValueLab/Triad-v0", {}, "RT", 0).mdp) == 6


def test_nothing_is_imitated() -> None:
    assert task("RT").settings.reinforce == FROM_SCRATCH
    triad = Task("ValueLab/Triad-v0", {}, "RT", 0)
    assert triad.settings == recommended(triad.env_id, options=triad.all_options())


def row(player: str, objective: str, regret: float) -> Row:
    numbers = {"regret": regret, "optimal_share": 1 - regret, "MI_c": 0.0, "LI": 0.0}
    return {"player": player, "assigned": objective, **numbers}


def records(regrets: dict[str, float], *, planted: float = 0.0, num_seeds: int = 20) -> list[CellRecord]:
    """Every seed of a player alike, on every objective."""
    found = []
    for objective in JUDGES:
        best = row(cells.OPTIMUM, objective, planted) | dict.fromkeys(cells.RANGE, 0.0)
        known = (best, row(cells.INERT, objective, 1.0))
        found.append(CellRecord(objective, cells.PLANT, 1, {"objective": objective}, (), "finished", known))
        rows = tuple(row(player, objective, regret) for player, regret in regrets.items())
        for seed in range(num_seeds):
            config = {"objective": objective, "seed": seed}
            found.append(CellRecord(f"{objective}{seed}", cells.TRAIN, 1, config, (), "finished", rows))
    return found


class TestWords:
    PLANTED = {
        cells.Q_PLAYER: 0.0, cells.D_PLAYER: 0.5, "V1, MONO": 0.05, "V1, MOE": 0.05, "V1, ROUTE": 0.4, UNTRAINED: 1.0,
    }  # fmt: skip

    def test_the_optimum_and_what_falls_short(self) -> None:
        found = study.report(records(self.PLANTED)).found
        words = dict(line.split(" (")[0].split(": ", 1) for line in found if line.startswith("Regret"))
        for objective in JUDGES:
            assert words[f"Regret of tabular Q on {objective}"] == "equivalent"
            assert words[f"Regret of D on {objective}"] == "distinguishable"
            assert words[f"Regret of V1, MONO on {objective}"] == "equivalent"
            assert words[f"Regret of V1 on {objective}, ROUTE − MONO"] == "distinguishable"
        assert len(words) == 21 and "Baseline, RT: D untrained has 0.00 [0.00, 0.00] of the optimum." in found

    def test_without_the_planted_positive_there_is_no_word(self) -> None:
        found = study.report(records(self.PLANTED, planted=0.2)).found
        assert not any(line.startswith("Regret") for line in found) and any("no word" in line for line in found)

    def test_the_table_has_known_players_beside_the_learners(self) -> None:
        table = study.report(records(self.PLANTED)).table
        assert [line["who"] for line in table[:8]] == [*study.KNOWN, *study.TRAINED, UNTRAINED]
        assert table[3]["share of the optimum"] == "0.50 [0.50, 0.50]" and table[0]["share of the optimum"] == "1.00"


def test_the_study_runs_with_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "JUDGES", ("IR",))
    question = dataclasses.replace(study.QUESTION, cells=functools.partial(study.cells, setup=TINY))
    found = answer(question, tmp_path, seeds=(0,), workers=0)
    assert len(found.study.computed) == 1 + 2 and not found.study.failed
    page = found.page(question, command="valuelab study x")
    assert "| IR | V1, ROUTE |" in page and [path.name for path in found.figures] == ["regret.png"]
    shares = [np.float64(line["steps that are optimal"]) for line in found.report.table]
    assert shares[0] == 1 and all(0 <= share <= 1 for share in shares)
