"""Cells of the tests of parts, run for real on tiny networks: what they leave, and what holds by construction."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from analysis.admission import admit_metric
from analysis.studies import admitting, comparison, law_cells, organisation_cells, parts_cells, yoked
from analysis.studies.comparison import run_comparison
from analysis.studies.plan import cells_of, make_plan
from analysis.studies.yoked import world_of_run
from envs.chosen_episodes import choose_episodes
from envs.demonstrations import demonstrate
from envs.episodes import Episodes, concatenate, episode_returns
from envs.errors import UserError
from envs.registry import make_world

TINY = yoked.Setup(
    num_demonstrations=60, imitation_updates=20, reinforce_steps=0, num_episodes=400, encoder_sizes=(16, 16),
    hidden_size=48, value_updates=20, batch_size=32, num_checked_levels=2, route_encoder="global",
)  # fmt: skip
SMALL = dict.fromkeys(("MultiNeed", "MultiNeed-Objects2", "MultiNeed-Objects8", "DiamondGhost"), TINY)
TESTS = ("T1", "T2", "T3", "T9", "T13", "ContextTable")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> comparison.ComparisonResult:
    """All tests of parts on MultiNeed; the networks hardly learn, so that only what is built in may be asked."""
    plan = make_plan(
        "quick", arms=("MONO", "POS", "NEG-F"), tests=TESTS, worlds=("MultiNeed",), num_seeds=2, setups=SMALL
    )
    return run_comparison(plan, tmp_path_factory.mktemp("parts"), workers=0)


@pytest.mark.slow
class TestCells:
    def test_every_test_scores_its_lines(self, finished: comparison.ComparisonResult) -> None:
        assert finished.study.exit_code == 0
        tests = finished.scores.tests
        assert set(tests) == set(TESTS)
        assert set(tests["T9"].lines) == {
            "MONO", "POS", "DISTILL", "DISTILL-NOISY", "DISTILL-POS", "DISTILL-POS-NOISY"
        }  # fmt: skip
        assert all(len(scores) == 2 for test in tests.values() for scores in test.lines.values())

    def test_what_pos_is_by_construction(self, finished: comparison.ComparisonResult) -> None:
        tests = finished.scores.tests
        assert min(tests["T3"].extra["declared"]["POS"].values()) == pytest.approx(1.0)
        assert min(tests["T1"].extra["declared"]["POS"].values()) > 0.9
        assert set(tests["T13"].lines["POS"].values()) == {1.0}
        assert max(tests["T9"].lines["POS"].values()) == pytest.approx(0.0, abs=1e-9)
        assert min(tests["T9"].lines["DISTILL-POS"].values()) > 0.5

    def test_a_leak_of_pos_is_the_dose_of_admission(self, finished: comparison.ComparisonResult) -> None:
        admission = finished.scores.tests["T3"].admission
        assert admission is not None
        assert [dose for dose, _ in admission.dose_means] == [0.0, *parts_cells.LEAKS]
        assert admission.dose_means[-1][1] < admission.dose_means[0][1]

    def test_t9_is_admitted_by_its_own_pair(self, finished: comparison.ComparisonResult) -> None:
        admission = finished.scores.tests["T9"].admission
        assert admission is not None
        assert admission.null is None
        assert admission.separation.estimate > 0.5
        assert "DISTILL-POS - MONO" in finished.words

    def test_a_pupil_without_a_teacher_has_nothing_beyond_two_seeds(
        self, finished: comparison.ComparisonResult
    ) -> None:
        beyond = finished.scores.tests["T9"].extra["beyond_two_seeds"]
        assert beyond["MONO"] == {} != beyond["DISTILL"]

    def test_the_table_of_v_is_read_beside_the_exact_ones(self, finished: comparison.ComparisonResult) -> None:
        test = finished.scores.tests["ContextTable"]
        optimal = test.extra["interaction_optimal"]
        assert optimal["MONO"] == optimal["POS"]
        last = [r["explained"] for r in test.rows["MONO"] if r["kind"] == "additivity" and r["shards"] == 4]
        np.testing.assert_allclose(last, 1.0)


def test_a_pair_of_its_own_needs_no_untrained_network() -> None:
    high, low = ({seed: level + 0.01 * seed for seed in range(10)} for level in (0.9, 0.1))
    assert admit_metric(high, negative=low, untrained=None, pair=("A", "B")).admitted
    refused = admit_metric(low, negative=high, untrained=None, pair=("A", "B"))
    assert refused.reasons == ("A - B has a lower 90 % bound of -0.8, below 0.5",)


def test_doses_of_trained_leaks_go_before_leaks_that_are_read_where_all_were_trained() -> None:
    trained, read = {0: 0.5, 1: 0.5}, {0: 0.1, 1: 0.1}
    readings = {"leak 0.5": {"POS": read}, "untrained": {"MONO": read}}
    leaks = {"POS": read, **{f"POS-LEAK{percent}": trained for percent in (10, 25, 50, 100)}}
    assert admitting.by_leak(leaks, readings) == dict.fromkeys((0.1, 0.25, 0.5, 1.0), trained)
    del leaks["POS-LEAK50"]
    assert admitting.by_leak(leaks, readings) == {0.5: read}


def test_teachers_are_the_parents_of_t9() -> None:
    plan = make_plan("quick", arms=("MONO",), tests=("T9",), worlds=("MultiNeed",), num_seeds=2)
    cells = {cell.config["arm"]: cell for cell in cells_of(plan) if cell.function == organisation_cells.ORGANISE}
    by_hash = {cell.hash: (cell.config.get("arm"), cell.config.get("replica")) for cell in cells_of(plan)}
    assert [by_hash[key] for key in cells["DISTILL"].parent_hashes] == [("DISTILL", 1), ("MONO", 0), ("MONO", 1)]
    assert [by_hash[key] for key in cells["MONO"].parent_hashes] == [("MONO", 1), ("MONO", 0)]


class TestPlaces:
    config = {"world": "MultiNeed", "seed": 3, "setup": dataclasses.asdict(TINY)}  # noqa: RUF012
    world = world_of_run(config)

    def test_corners_are_drawn_and_the_sister_has_the_opposite(self) -> None:
        own, opposite = (law_cells.corners_of(self.config, 4, sister=sister) for sister in (False, True))
        assert sorted(own.tolist()) == [0, 1, 2, 3]
        assert (own + opposite == 3).all()
        assert any((law_cells.corners_of({**self.config, "seed": s}, 4, sister=False) != own).any() for s in range(9))

    def test_the_chosen_episodes_have_their_object_in_its_corner(self) -> None:
        episodes = demonstrate(self.world, self.world.levels("train"), num_episodes=400, seed=0)
        corners = law_cells.corners_of(self.config, 4, sister=False)
        placed = law_cells.placed_episodes(self.world, episodes, corners)
        assert 0.2 < placed.num_episodes / 400 < 0.45
        assert placed.rows is not None
        assert (law_cells.place_distance(self.world, placed.rows, corners) == 0).all()

    def test_places_of_a_row_by_hand(self) -> None:
        """The needed object 1 at y = 6, x = 0 of the interior: inside the lower left corner, 6 from the upper right."""
        row = self.world.begin(np.arange(1), 0).copy()
        row[0, 2], row[0, 5] = 64 * 7 + 1, 1
        assert law_cells.place_distance(self.world, row, np.array([0, 2, 0, 0])).tolist() == [0]
        assert law_cells.place_distance(self.world, row, np.array([0, 1, 0, 0])).tolist() == [6]


class TestChosenEpisodes:
    @pytest.fixture(scope="class")
    @classmethod
    def episodes(cls) -> Episodes:
        world = make_world("MultiNeed-5x5")
        return demonstrate(world, world.levels("train"), num_episodes=6, seed=0)

    def test_parts_put_together_are_the_whole(self, episodes: Episodes) -> None:
        first = np.arange(6) < 2
        joined = concatenate([choose_episodes(episodes, first), choose_episodes(episodes, ~first)])
        np.testing.assert_array_equal(joined.rows, episodes.rows)
        np.testing.assert_array_equal(joined.offsets, episodes.offsets)
        np.testing.assert_array_equal(joined.observations["planes"], episodes.observations["planes"])
        np.testing.assert_array_equal(joined.final_observations["planes"], episodes.final_observations["planes"])

    def test_returns_belong_to_the_chosen(self, episodes: Episodes) -> None:
        odd = np.arange(6) % 2 == 1
        chosen = choose_episodes(episodes, odd)
        np.testing.assert_array_equal(
            episode_returns(chosen, discount=0.9), episode_returns(episodes, discount=0.9)[odd]
        )

    @pytest.mark.parametrize("chosen", [np.zeros(6, bool), np.ones(5, bool), np.ones(6, int)])
    def test_no_mask_is_refused(self, chosen: np.ndarray, episodes: Episodes) -> None:
        with pytest.raises(UserError, match=r"bool\[6\] with at least one True"):
            choose_episodes(episodes, chosen)


@pytest.mark.slow
@pytest.mark.parametrize("world", ["MultiNeed-Objects2", "MultiNeed-Objects8"])
def test_known_numbers_of_parts_are_counted(world: str, tmp_path: Path) -> None:
    # Eight parts need a few units each in both halves.
    setups = {world: dataclasses.replace(TINY, hidden_size=160)}
    plan = make_plan("quick", arms=("POS",), tests=("T13-known",), worlds=(world,), num_seeds=2, setups=setups)
    result = run_comparison(plan, tmp_path, workers=2)
    lines = result.scores.tests["T13-known"].lines
    assert set(lines["POS"].values()) == {1.0}
    assert set(lines["NEG-F"].values()) | set(lines["MONO"].values()) == {0.0}
