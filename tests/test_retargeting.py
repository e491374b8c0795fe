"""Walks to cells, vectors that retarget, and T7: known answers, planted values, and the cell for real."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from agents.agent import AlphaAgent, build_agent
from agents.config import AgentConfig
from agents.exact import policy_table, value_table
from analysis.instruments.activations import edited, patch, read
from analysis.instruments.retargeting import cell_vectors, moved_rows, object_vectors, steered
from analysis.instruments.walks import (
    Floats,
    Walks,
    agent_cells,
    field_of,
    lookahead_probs,
    path_probability,
    walks_from,
)
from analysis.predictions.retargeting import path_to_targets, score_of, target_cells
from analysis.studies import retargeting_cells
from analysis.studies.comparison import run_comparison
from analysis.studies.plan import make_plan
from analysis.studies.retargeting_cells import (
    PLANTS,
    STRENGTHS,
    Level,
    PlantedValue,
    bounds,
    largest,
    levels_of,
    needed_cells,
    retarget,
)
from analysis.studies.retargeting_test import planted_fault
from analysis.studies.yoked import Setup
from envs.enumeration import enumerate_world
from envs.errors import UserError
from envs.registry import make_world
from envs.rows import World
from envs.step_buffers import observation_space
from envs.tabular import value_iteration

MAZE = make_world("CornerMaze", size=5, corner_size=5, generator="tree")
ROOM = make_world("MultiNeed", size=4, num_objects=2)
UP, RIGHT, DOWN, LEFT = range(4)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def walks_in(world: World, *, level: int = 0) -> Walks:
    return walks_from(world, world.begin([level], [0])[0])


def agent_for(world: World, **settings: object) -> AlphaAgent:
    config = AgentConfig(**{"encoder_sizes": (12, 10), "hidden_size": 16, **settings})  # type: ignore[arg-type]
    rows = world.begin(np.arange(20), np.zeros(20, np.int64))
    return build_agent(
        observation_space(world), world.num_actions, config, seed=0, sample=world.observe(rows)
    )  # fmt: skip


def brute_force(walks: Walks, probs: Floats, cell: int) -> float:
    """Sum over all action sequences of the least length that end at the cell, in plain Python."""
    steps = min(int(d) for d, c in zip(walks.distance, walks.cell, strict=True) if c == cell)
    paths = {0: 1.0}
    for _ in range(steps):
        after: dict[int, float] = {}
        for node, chance in paths.items():
            if not walks.ended[node]:
                for action in range(probs.shape[1]):
                    following = int(walks.next_node[node, action])
                    after[following] = after.get(following, 0.0) + chance * probs[node, action]
        paths = after
    total = sum(chance for node, chance in paths.items() if walks.cell[node] == cell)
    return total ** (1 / steps) if steps else 1.0


class TestWalks:
    @pytest.mark.parametrize("world", [MAZE, ROOM], ids=["maze", "room"])
    def test_nodes_are_the_enumerated_states_and_the_ends(self, world: World) -> None:
        walks = walks_in(world)
        mdp = enumerate_world(world, [0])
        alive = {row.tobytes() for row in walks.rows[~walks.ended]}
        assert alive <= {row.tobytes() for row in mdp.rows}
        assert len(alive) == len(mdp.rows) // world.num_starts
        assert walks.ended.sum() == 1 and walks.reward.max() == 1.0 and walks.reward[walks.ended].max() == 0.0
        assert (np.diff(walks.distance) >= 0).all() and walks.distance[0] == 0

    def test_the_optimum_walks_straight_to_the_end_and_nowhere_else(self) -> None:
        walks, mdp = walks_in(MAZE), enumerate_world(MAZE, [0])
        values = {row.tobytes(): value for row, value in zip(mdp.rows, value_iteration(mdp).values, strict=True)}
        optimal = np.array([values.get(row.tobytes(), 0.0) for row in walks.rows])
        found = path_probability(walks, lookahead_probs(walks, optimal, temperature=1e-4))
        goal = int(walks.cell[walks.ended][0])
        assert found[goal] == pytest.approx(1.0) and found[walks.cell[0]] == 1.0
        on_the_way = np.nansum(found > 0.99)
        assert on_the_way == walks.distance[walks.ended][0] + 1, "the only path of a tree, and no other cell"

    @pytest.mark.parametrize("world", [MAZE, ROOM], ids=["maze", "room"])
    def test_probabilities_are_those_of_all_shortest_paths(self, world: World) -> None:
        walks = walks_in(world, level=2)
        probs = np.random.default_rng(0).dirichlet(np.ones(4), size=len(walks.rows))
        found = path_probability(walks, probs)
        for cell in np.unique(walks.cell):
            assert found[cell] == pytest.approx(brute_force(walks, probs, int(cell))), cell
        assert np.isnan(found[np.setdiff1d(np.arange(found.size), walks.cell)]).all()

    def test_in_a_tree_it_is_the_papers_geometric_mean(self) -> None:
        """One path of n steps under a uniform policy: (4^-n)^(1/n) = 1/4 at every cell."""
        walks = walks_in(MAZE)
        found = path_probability(walks, np.full((len(walks.rows), 4), 0.25))
        others = np.setdiff1d(walks.cell, walks.cell[:1])
        np.testing.assert_allclose(found[others], 0.25)

    def test_batches_of_policies(self) -> None:
        walks = walks_in(ROOM)
        probs = np.random.default_rng(0).dirichlet(np.ones(4), size=(3, len(walks.rows)))
        found = path_probability(walks, probs)
        for one, alone in zip(found, probs, strict=True):
            np.testing.assert_array_equal(one, path_probability(walks, alone))

    def test_lookahead_by_hand(self) -> None:
        """Two states in a row and an end: Q = r + γ V, and V of the end is not read."""
        walks = dataclasses.replace(
            walks_in(ROOM), rows=np.zeros((3, 5), np.int16), cell=np.array([0, 1, 2]), distance=np.array([0, 1, 2]),
            next_node=np.array([[0, 1, 0, 0], [1, 2, 1, 0], [2, 2, 2, 2]]), ended=np.array([False, False, True]),
            reward=np.array([[0.0] * 4, [0.0, 1.0, 0.0, 0.0], [0.0] * 4]), discount=0.5,
        )  # fmt: skip
        found = lookahead_probs(walks, np.array([0.2, 0.8, 99.0]), temperature=0.1)
        logits = np.array([[0.1, 0.4, 0.1, 0.1], [0.4, 1.0, 0.4, 0.1], [0.0] * 4]) / 0.1
        np.testing.assert_allclose(found, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))

    def test_fields_stand_at_the_agents_cells(self) -> None:
        walks = walks_in(MAZE)
        probs = np.random.default_rng(0).dirichlet(np.ones(4), size=len(walks.rows))
        field = field_of(walks, probs)
        y, x = divmod(int(walks.cell[0]), walks.grid[1])
        np.testing.assert_array_equal(field[y, x], probs[0])
        assert np.isnan(field[walks.walls]).all()
        assert np.isfinite(field).all(axis=2).sum() == len(np.unique(walks.cell[~walks.ended]))
        assert agent_cells(MAZE, walks.rows[:1])[0] == walks.cell[0]

    def test_other_worlds_are_refused(self) -> None:
        for world, message in (
            (make_world("MultiNeed", drift=0.5), "has chance in it"),
            (dataclasses.replace(ROOM, action_names=("n", "e", "s", "w")), "actions n, e, s, w; walks need"),
        ):
            with pytest.raises(UserError, match=message):
                walks_in(world)


class TestVectors:
    def test_moved_rows_show_the_object_elsewhere_and_nothing_else(self) -> None:
        walks = walks_in(MAZE)
        cells = np.unique(walks.cell)[:3]
        moved = moved_rows(walks, cells, column=1)
        planes = MAZE.observe(moved[:, 0])["planes"].reshape(3, 3, -1)
        assert planes[:, 1].argmax(axis=1).tolist() == cells.tolist()
        np.testing.assert_array_equal(np.delete(moved, 1, axis=2)[1], np.delete(walks.rows, 1, axis=1))

    def test_steering_by_nothing_and_by_each_states_own_change(self) -> None:
        """The zero vector leaves V alone, and each state's own change at a site makes its V that of the move."""
        walks, agent = walks_in(MAZE), agent_for(MAZE)
        table = lambda rows: value_table(agent, MAZE, rows)  # noqa: E731
        cells = target_cells(walks, walks.cell[walks.ended])
        moved = moved_rows(walks, cells, column=1)
        for site in ("value_head.features", "value_encoder.0"):
            vectors = object_vectors(agent, site, walks=walks, moved=moved, table=table)
            still = steered(agent, site, 0 * vectors, rows=walks.rows, table=table)
            np.testing.assert_allclose(still, np.broadcast_to(table(walks.rows), still.shape), atol=1e-6)
            own = read(agent, [site], lambda: table(moved[0]))[site]
            with edited(agent, {site: patch(own)}):
                np.testing.assert_allclose(table(walks.rows), table(moved[0]), atol=1e-6)

    def test_object_vectors_are_mean_changes(self) -> None:
        walks, agent = walks_in(MAZE), agent_for(MAZE)
        table = lambda rows: value_table(agent, MAZE, rows)  # noqa: E731
        cells = target_cells(walks, walks.cell[walks.ended])
        moved = moved_rows(walks, cells, column=1)
        found = object_vectors(agent, "value_encoder.0", walks=walks, moved=moved, table=table)
        before = read(agent, ["value_encoder.0"], lambda: table(walks.rows[~walks.ended]))["value_encoder.0"]
        for vector, rows in zip(found, moved, strict=True):
            after = read(agent, ["value_encoder.0"], lambda rows=rows: table(rows[~walks.ended]))["value_encoder.0"]
            torch.testing.assert_close(vector, (after - before).mean(dim=0), atol=1e-6, rtol=0)

    def test_many_targets_are_split_into_batches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        walks, agent = walks_in(MAZE), agent_for(MAZE)
        table = lambda rows: value_table(agent, MAZE, rows)  # noqa: E731
        vectors = torch.randn(7, 10, generator=torch.Generator().manual_seed(0))
        whole = steered(agent, "value_head.features", vectors, rows=walks.rows, table=table)
        monkeypatch.setattr("analysis.instruments.retargeting.BATCH", 2 * len(walks.rows))
        parts = steered(agent, "value_head.features", vectors, rows=walks.rows, table=table)
        np.testing.assert_allclose(whole, parts, atol=1e-6)

    def test_a_channel_is_edited_at_one_cell(self) -> None:
        walks, agent = walks_in(MAZE), agent_for(MAZE, encoder="conv", conv_channels=(3,))
        cells = np.unique(walks.cell)
        vectors = cell_vectors((3, *walks.grid), cells, channel=1, strength=4.0)
        assert vectors.sum().item() == 4.0 * len(cells) and not vectors[:, [0, 2]].any()
        found = steered(
            agent, "policy_encoder.conv_0", vectors, rows=walks.rows, table=lambda rows: policy_table(agent, MAZE, rows)
        )
        assert found.shape == (len(cells), len(walks.rows), 4)
        np.testing.assert_allclose(found.sum(axis=2), 1.0)

    def test_largest_entries(self) -> None:
        vectors = torch.tensor([[1.0, -4.0, 2.0, 0.5], [0.0, 0.0, 3.0, -1.0]])
        assert largest(vectors, 0.5).tolist() == [[0.0, -4.0, 2.0, 0.0], [0.0, 0.0, 3.0, -1.0]]
        assert torch.equal(largest(vectors, 1.0), vectors)
        assert largest(vectors, 0.01).ne(0).sum(dim=1).tolist() == [1, 1]


NEEDS = make_world("MultiNeed")


class TestPlantedValues:
    """The measure on values whose answer is known: a place coded apart from the agent's, and a table of pairs."""

    @pytest.fixture(scope="class")
    @classmethod
    def levels(cls) -> list[Level]:
        return list(levels_of(NEEDS))[:4]

    @pytest.mark.parametrize("name", PLANTS)
    def test_they_are_the_optimum(self, name: str, levels: list[Level]) -> None:
        rows = levels[1].walks.rows[~levels[1].walks.ended]
        mdp = enumerate_world(NEEDS, [NEEDS.levels("test").first + 1])
        optimal = {row.tobytes(): value for row, value in zip(mdp.rows, value_iteration(mdp).values, strict=True)}
        found = PlantedValue(name, NEEDS)(rows).numpy()
        np.testing.assert_allclose(found, [optimal[row.tobytes()] for row in rows], atol=1e-6)

    def scores(self, name: str, levels: list[Level]) -> dict[float, float]:
        plant = PlantedValue(name, NEEDS)
        table = lambda rows: plant(rows).double().numpy()  # noqa: E731
        ends = bounds(table, levels)
        assert ends["shown"] > 0.9 and ends["moved"] > 0.95 and ends["unedited"] < 0.5
        doses = [row for row in retarget(plant, table, levels, site="code", seed=0) if row["share"] == 1.0]
        scores = {
            row["strength"]: score_of(edited=row["edited"], random=row["random"], shown=ends["shown"]) for row in doses
        }
        return {strength: score for strength, score in scores.items() if score is not None}

    def test_a_place_coded_apart_is_retargeted_and_more_so_by_more(self, levels: list[Level]) -> None:
        scores = self.scores("SLOT", levels)
        assert scores[1.0] == pytest.approx(1.0, abs=1e-3)
        assert list(scores) == sorted(STRENGTHS) and scores[0.25] < scores[0.5] < scores[1.0]

    def test_a_table_of_pairs_is_not(self, levels: list[Level]) -> None:
        assert all(abs(score) < 0.1 for score in self.scores("LOOKUP", levels).values())

    def test_targets_are_free_and_not_near(self, levels: list[Level]) -> None:
        for level in levels:
            distance = {int(c): int(d) for c, d in zip(level.walks.cell[::-1], level.walks.distance[::-1], strict=True)}
            assert min(distance[int(cell)] for cell in level.targets) == 2
            assert int(level.walks.cell[level.walks.ended][0]) not in level.targets
            assert needed_cells(level.moved[:, 0]).tolist() == [
                64 * (cell // 9) + cell % 9 for cell in level.targets.tolist()
            ]

    def test_paths_under_one_value_or_one_each(self, levels: list[Level]) -> None:
        level, values = levels[0], np.random.default_rng(0).normal(size=len(levels[0].walks.rows))
        alone = path_to_targets(level.walks, values, level.targets)
        each = path_to_targets(level.walks, np.tile(values, (len(level.targets), 1)), level.targets)
        np.testing.assert_array_equal(alone, each)

    def test_a_value_of_nothing_has_no_score(self) -> None:
        assert score_of(edited=0.3, random=0.2, shown=0.29) is None
        assert score_of(edited=0.3, random=0.2, shown=0.4) == pytest.approx(0.5)

    def test_plants_that_do_not_come_out_are_told(self) -> None:
        good = {"SLOT": {0: 1.0, 1: 0.95}, "LOOKUP": {0: -0.05, 1: 0.02}}
        assert planted_fault(good) is None
        assert planted_fault({}) == "planted values are missing"
        assert "SLOT scores 0.80" in str(planted_fault(good | {"SLOT": {0: 0.8}}))
        assert "LOOKUP scores -0.20" in str(planted_fault(good | {"LOOKUP": {0: 0.0, 1: -0.2}}))


TINY = Setup(
    num_demonstrations=60, imitation_updates=20, reinforce_steps=0, num_episodes=120, encoder_sizes=(16, 16),
    hidden_size=48, value_updates=20, batch_size=32, num_checked_levels=2, route_encoder="global",
)  # fmt: skip


def test_the_comparison_runs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retargeting_cells, "NUM_LEVELS", 2)
    plan = make_plan("quick", arms=("MOE",), tests=("T7",), num_seeds=2, setups={"MultiNeed": TINY})
    result = run_comparison(plan, tmp_path, workers=0)
    found = result.scores.tests["T7"]
    assert result.study.exit_code == 0 and found.controls is None
    assert set(found.lines) >= set(PLANTS) and set(found.extra["shown"]) == {"MOE", *PLANTS}
    assert min(found.lines["SLOT"].values()) > 0.9
    assert [path.name for path in result.figures if path.name.startswith("T7")]
