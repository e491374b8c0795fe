"""Rewards learned from noisy tastes, and what an exact planner makes of them: known answers, plants, words."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest

from analysis.cells import CellContext
from analysis.studies import niceness_reward as study
from analysis.studies import reward_cells, reward_plans
from analysis.studies.question import answer
from analysis.studies.reward_cells import Sizes, beginner, conflicts, follows, learn, school, sizes_of
from analysis.studies.reward_plans import (
    BY_ACTION,
    BY_EVALUATOR,
    HEADS,
    READS,
    judged,
    of_endless_data,
    posterior,
    worth,
)
from analysis.study import CellRecord
from envs.niceness.assignment import JUDGES

SMALL = Sizes(num_episodes=300, updates=300, width=64)
A, B, E = 0, 1, 2


def shown(*tastes: int) -> np.ndarray:
    return np.array(tastes, np.int16)


def one_hot(kappa: float, objective: str) -> np.ndarray:
    """Whose judgement counts: that of the taste which an objective reads."""
    return np.eye(3)[reward_plans.strong(kappa).mdp.rows[:, READS[objective]]]


class TestEndlessData:
    def test_what_is_shown_weighs_by_its_noise(self) -> None:
        found = posterior((0.3, 0.3, 0.3), shown(A, A, B))
        assert found == pytest.approx(np.array([0.064, 0.008, 0.001]) / 0.073)
        assert posterior((1.0, 0.0, 0.5), shown(A, E, A)) == pytest.approx([0, 0, 1])
        assert posterior((0.3, 0.0, 0.0), shown(A, A, B)) is None

    def test_by_action_it_is_what_the_action_pays_on_average(self) -> None:
        """1 for what the person makes, then 1 for help with A or B and 2 for help with E, if that is the taste."""
        p_a, p_b, p_e = np.array([0.064, 0.008, 0.001]) / 0.073
        assert worth(BY_ACTION, (0.3, 0.3, 0.3), shown(A, A, B)) == pytest.approx(
            [1 + p_a, 1 + p_b, 1 + 2 * p_e, 1, 1, 1]
        )

    def test_by_evaluator_the_clean_taste_alone_counts(self) -> None:
        for place, name in enumerate(JUDGES):
            for tastes in ((A, B, E), (E, A, A), (B, A, B)):
                found = worth(BY_EVALUATOR, study.clean(name, 0.3), shown(*tastes))
                assert found == pytest.approx(np.eye(3)[tastes[place]])

    @pytest.mark.parametrize(("name", "mi", "li"), [("RT", 1, 0), ("IR", 2 / 3, 2 / 3), ("NS", 0, 0)])
    @pytest.mark.parametrize("level", [0.1, 1.0])
    def test_the_plan_is_the_optimum_of_who_reads_the_clean_taste(
        self, name: str, mi: float, li: float, level: float
    ) -> None:
        """MI and LI of the optima: reference, section 3."""
        found = of_endless_data(BY_EVALUATOR, study.clean(name, level), 1.0)
        assert found is not None and found["assigned"] == name and found[f"regret {name}"] == 0
        assert (found["MI"], found["LI"]) == pytest.approx((mi, li))

    def test_by_action_nothing_speaks_for_a_lock(self) -> None:
        """It helps with A for ever, which is worth 9 to A; 11 with a lock, 3 when nothing is done."""
        found = of_endless_data(BY_ACTION, study.clean("IR", 0.3), 1.0)
        assert found is not None and (found["MI"], found["regret IR"]) == (0, 0.25)

    def test_equal_noise_is_a_vote_that_nature_wins(self) -> None:
        for head in HEADS:
            found = of_endless_data(head, (0.3, 0.3, 0.3), 1.0)
            assert found is not None and found["assigned"] == "NS" and found["MI"] == 0

    def test_it_is_silent_where_clean_tastes_differ(self) -> None:
        assert of_endless_data(BY_EVALUATOR, (0.3, 0.0, 0.0), 1.0) is None


@pytest.mark.parametrize("kappa", [0.5, 1.0])
@pytest.mark.parametrize("name", JUDGES)
def test_a_reward_of_one_evaluator_is_planned_as_its_objective_is(kappa: float, name: str) -> None:
    found = judged(BY_EVALUATOR, kappa, one_hot(kappa, name))
    assert found["assigned"] == name and found[f"regret {name}"] == 0
    assert min(found[f"regret {other}"] for other in JUDGES if other != name) > 0.1


class TestSchool:
    def test_the_three_are_one_until_they_are_noised(self) -> None:
        agent = beginner(0, SMALL)
        clear = school(agent, SMALL, seed=0, noise=(0.0, 0.0, 0.0))
        assert clear.rows is not None and clear.components is not None
        columns = list(READS.values())
        assert (clear.rows[:, columns] == clear.rows[:, columns[:1]]).all() and len(np.unique(clear.rows[:, 1])) == 3
        names = reward_plans.weak().world.component_names
        paid = {clear.components[:, names.index(name)].tobytes() for name in JUDGES}
        assert len(paid) == 1
        noisy = school(agent, SMALL, seed=0, noise=(0.0, 0.5, 1.0))
        assert noisy.rows is not None and (noisy.rewards == clear.rewards).all()
        changed = (noisy.rows != clear.rows).mean(axis=0)
        assert np.flatnonzero(changed).tolist() == sorted([READS["IR"], READS["NS"]])
        assert changed[columns] == pytest.approx([0, 1 / 3, 2 / 3], abs=0.05)

    def test_what_a_reward_follows_is_told_where_tastes_differ(self) -> None:
        rows = conflicts()
        assert len(rows) == 36 and all(set(row[list(READS.values())]) == {A, B, E} for row in rows)
        for name, column in READS.items():
            told = np.eye(3)[rows[:, column]]
            by_action = np.concatenate([told, np.full((36, 3), 2.0)], axis=1)
            for head, worths in ((BY_EVALUATOR, told), (BY_ACTION, by_action)):
                assert follows(head, worths) == {other: float(other == name) for other in JUDGES}

    @pytest.mark.parametrize("name", JUDGES)
    def test_planted_noise_makes_the_planner_its_objectives(self, name: str, tmp_path: Path) -> None:
        config = {"seed": 0, "noise": list(study.clean(name, 1.0)), "sizes": sizes_of(SMALL)}
        rows = [row for row in learn(CellContext(config, {}, tmp_path)) if row["head"] == BY_EVALUATOR]
        assert [row["assigned"] for row in rows] == [name, name]
        assert rows[0][f"follows {name}"] > 0.9


def records(*, planted: str | None = None, null: float = 1 / 3, num_seeds: int = 20) -> list[CellRecord]:
    """Every seed alike: regret 0 under what only clean tastes say, 1 under all else; the planted kinds, or another."""
    found = []
    for noise in study.conditions():
        clean = [name for name in JUDGES if noise in {study.clean(name, level) for level in (0.1, 0.3, 0.5, 1.0)}]
        rows = [
            {"head": head, "kappa": kappa, "MI": 0.0, "LI": 0.0, "assigned": planted or (clean or ["other"])[0],
             **{f"regret {name}": float(name not in clean) for name in JUDGES},
             **{f"follows {name}": null for name in JUDGES}}
            for head in HEADS for kappa in reward_cells.KAPPAS
        ]  # fmt: skip
        found += [
            CellRecord(f"{noise}{seed}", reward_cells.LEARN, 1, {"seed": seed, "noise": list(noise)}, (), "finished",
                       tuple(rows))
            for seed in range(num_seeds)
        ]  # fmt: skip
    return found


class TestWords:
    def test_noise_that_decides_is_told(self) -> None:
        found = study.report(records()).found
        decided = [line for line in found if "alone clean − alone noisy" in line]
        assert len(decided) == 9 and all(": distinguishable, below 0" in line for line in decided)
        assert sum("(planted null): equivalent" in line for line in found) == 3
        assert "IR-like are 20 at κ = 0.5, 20 at κ = 1 of 20 seeds." in found[1]

    def test_a_null_that_is_none_is_seen(self) -> None:
        assert sum("(planted null): distinguishable" in line for line in study.report(records(null=0.6)).found) == 3

    def test_without_the_planted_positives_there_is_no_word(self) -> None:
        found = study.report(records(planted="other")).found
        assert not any("distinguishable" in line for line in found)
        assert any("no word on what noise decides" in line for line in found)

    def test_the_sweep_names_one_two_and_three_noisy_tastes_and_the_plants(self) -> None:
        names = list(study.conditions().values())
        assert len(names) == len(study.conditions()) == 1 + 7 * 3 + 3
        assert names[1] == "0.1 on θ_t" and names[-1] == "1 on all but θ^nat (planted)"


def test_the_study_runs_with_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {study.noise_on((), 0.0): "none", study.clean("RT", 1.0): "1 on all but θ_t (planted)"}
    monkeypatch.setattr(study, "conditions", lambda: few)
    tiny = functools.partial(study.cells, sizes=Sizes(num_episodes=8, updates=2, width=8))
    found = answer(dataclasses.replace(study.QUESTION, cells=tiny), tmp_path, seeds=(0, 1), workers=0)
    assert len(found.study.computed) == 2 * 3 and not found.study.failed
    page = found.page(study.QUESTION, command="valuelab study x")
    assert "| by evaluator | untrained |" in page and [path.name for path in found.figures] == ["regret-by-noise.png"]
