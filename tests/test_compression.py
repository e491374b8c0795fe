"""T11 and T12: planted choices and trends come out, and the cells on real fits."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from agents.agent import AlphaAgent
from analysis.predictions.compression import Library, choice_compression, value_compression
from analysis.predictions.skill_trend import trend
from analysis.studies import trend_cells
from analysis.studies.comparison import run_comparison
from analysis.studies.compression_cells import event_rewards, library_of, planted_choices, proximities
from analysis.studies.held_out_units import held_out_table
from analysis.studies.outlook import Outlook, outlook
from analysis.studies.plan import make_plan
from envs.registry import make_world
from envs.rows import World
from envs.tabular import TabularMDP, start_value, state_index, value_iteration
from tests.test_reflection import SMALL


def rng(*key: int) -> np.random.Generator:
    return np.random.default_rng([11, *key])


def held_out(name: str, *, num_levels: int, num_states: int) -> tuple[World, TabularMDP, Outlook, Library]:
    world = make_world(name)
    table = held_out_table(world, num_levels=num_levels)
    seen = outlook(world, table, num_states=num_states, seed=0)
    return world, table, seen, library_of(world, table, seen)


@pytest.fixture(scope="module")
def needs() -> tuple[World, TabularMDP, Outlook, Library]:
    return held_out("MultiNeed", num_levels=60, num_states=900)


class TestLibrary:
    def test_rewards_of_events_by_context(self) -> None:
        world = make_world("DiamondGhost")
        assert event_rewards(world, held_out_table(world, num_levels=20)).tolist() == [[1.0, 1.0], [1.0, -1.0]]
        world = make_world("MultiNeed")
        assert (event_rewards(world, held_out_table(world, num_levels=3)) == np.eye(4)).all()

    def test_proximity_to_the_needed_object_is_the_optimum(
        self, needs: tuple[World, TabularMDP, Outlook, Library]
    ) -> None:
        world, table, seen, library = needs
        optimum = value_iteration(table).values[state_index(table, seen.rows)]
        near = proximities(world, seen.rows)[np.arange(len(seen.rows)), seen.contexts]
        assert near / world.discount == pytest.approx(optimum, abs=1e-9)
        assert library.of_utility(library.here)[:, -1] == pytest.approx(near)

    def test_what_an_ending_action_does_not_reach_is_lost(self) -> None:
        _, _, seen, library = held_out("DiamondGhost", num_levels=20, num_states=500)
        ended = library.ahead[seen.alive == 0]
        assert len(ended) and (np.sort(ended, axis=1) == [0.0, 1.0]).all()

    def test_the_models_are_nested(self, needs: tuple[World, TabularMDP, Outlook, Library]) -> None:
        """Every utility is a table of bids: its features are a linear map of theirs."""
        library = needs[3]
        bids, utility = (of(library.here) for of in (library.of_bids, library.of_utility))
        assert np.linalg.lstsq(bids, utility, rcond=None)[1].max(initial=0.0) < 1e-9
        assert (library.of_black_box(library.here)[:, : utility.shape[1]] == utility).all()
        assert library.of_bids(library.ahead).shape == (*library.ahead.shape[:2], 16)


@pytest.mark.parametrize(
    ("name", "low", "high"), [("BIDS", 0.05, 1.0), ("UTILITY", -0.03, 0.03), ("OPTIMUM", -0.03, 0.03)]
)
def test_planted_choices(
    name: str, low: float, high: float, needs: tuple[World, TabularMDP, Outlook, Library]
) -> None:
    _, table, seen, library = needs
    optimum = value_iteration(table).action_values[state_index(table, seen.rows)]
    choices = planted_choices(name, library, optimum, rng=rng(1))
    found = choice_compression(library, choices, layouts=seen.layouts, seed=0)
    assert low < found.gain < high
    assert found.black_box > found.bids - 0.15
    assert max(vars(found).values()) < 0.0


def test_values_of_a_utility_need_no_bids(needs: tuple[World, TabularMDP, Outlook, Library]) -> None:
    _, _, seen, library = needs
    noise = 0.05 * rng(2).normal(size=len(seen.rows))
    one = library.of_utility(library.here) @ [0.2, 0.1, 0.3, 0.0, 1.0]
    several = library.of_bids(library.here) @ rng(3).random(16)
    assert abs(value_compression(library, one + noise, layouts=seen.layouts).gain) < 0.02
    assert value_compression(library, several + noise, layouts=seen.layouts).gain > 0.1
    entropy = -0.5 * np.log(2 * np.pi * np.e * 0.05**2)
    assert value_compression(library, one + noise, layouts=seen.layouts).utility == pytest.approx(entropy, abs=0.05)


def test_few_layouts_are_refused(needs: tuple[World, TabularMDP, Outlook, Library]) -> None:
    library = needs[3]
    with pytest.raises(ValueError, match="2 layouts; 5 folds"):
        choice_compression(library, library.contexts, layouts=library.contexts % 2, seed=0)


class TestTrend:
    skill = np.array([0.1, 0.2, 0.5, 0.9, 0.9])

    def test_scores_that_rise_with_skill(self) -> None:
        found = trend(self.skill, 0.3 + self.skill)
        assert (found.slope, found.rank_correlation) == (pytest.approx(1.0), pytest.approx(1.0))
        assert (found.first, found.last) == pytest.approx((0.4, 1.2))

    def test_scores_that_rise_after_skill_has_saturated(self) -> None:
        skill = np.array([0.1, 0.9, 0.9, 0.9, 0.9])
        found = trend(skill, np.array([0.5, 0.1, 0.4, 0.6, 0.9]))
        assert found.slope == pytest.approx(0.0, abs=1e-9)

    def test_no_trend_without_a_change_of_skill(self) -> None:
        found = trend(np.full(5, 0.9), np.arange(5.0))
        assert (found.slope, found.rank_correlation, found.last) == (None, None, 4.0)
        assert trend(self.skill, np.ones(5)).rank_correlation is None


def test_the_optimum_has_skill_one(monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world("CrossedHistory")
    table = held_out_table(world, num_levels=10)
    solution = value_iteration(table)
    best = start_value(table, solution.values)

    def optimal(_: AlphaAgent, world: World, rows: np.ndarray) -> np.ndarray:
        known = {row.tobytes(): value for row, value in zip(table.rows, solution.values, strict=True)}
        return np.array([known.get(row.tobytes(), 0.0) for row in rows])

    monkeypatch.setattr(trend_cells, "value_table", optimal)
    assert trend_cells.skill_of(None, world, table, best=best) == pytest.approx(1.0)  # type: ignore[arg-type]
    monkeypatch.setattr(trend_cells, "value_table", lambda *_: -optimal(*_))
    assert trend_cells.skill_of(None, world, table, best=best) < 0.5  # type: ignore[arg-type]


@pytest.mark.slow
def test_compression_and_trends_for_real(tmp_path: Path) -> None:
    small = dataclasses.replace(SMALL, value_updates=400)
    plan = make_plan(
        "quick", tests=("T11", "T12", "T12-T0"), arms=("POS",), worlds=("MultiNeed", "CrossedHistory"),
        num_seeds=3, setups={"MultiNeed": small, "CrossedHistory": small},
    )  # fmt: skip
    result = run_comparison(plan, tmp_path, workers=0)
    assert result.study.exit_code == 0
    found = result.scores.tests
    assert found["T11"].controls is None
    assert max(abs(score) for score in found["T11"].lines["POS"].values()) < 0.1
    assert not found["T12"].lines["POS"], "so small a net learns no skill on MultiNeed, and no number is made of that"
    curve = [row for row in found["T12"].rows["POS"] if row["kind"] == "curve" and row["seed"] == 0]
    assert [row["step"] for row in curve] == [0, 10, 20, 30, 50, 80, 130, 200, 400]
    assert curve[-1]["value"] > 0.9
    curve = [row for row in found["T12-T0"].rows["POS"] if row["kind"] == "curve"]
    assert [row["seed"] for row in curve] == [0] * 9 + [1] * 9 + [2] * 9
    assert curve[0]["skill"] < curve[8]["skill"]
    rows = found["T12-T0"].rows["POS"]
    for seed in range(3):
        (score,) = (row for row in rows if row["kind"] == "score" and row["seed"] == seed)
        near = [row["value"] for row in rows if row["kind"] == "curve" and row["seed"] == seed and row["error"] <= 0.7]
        assert score["at equal error"] == (near[0] if near else None)
    assert curve[8]["error"] < 0.7 < curve[0]["error"]
