"""Pictures of T3: planted parts give the matrix and the maps that they must."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.instruments.walks import agent_cells
from analysis.predictions.ablation import diagonal_dominance, matched_parts
from analysis.studies import part_pictures
from analysis.studies.held_out_units import held_out_table
from envs.registry import make_world
from envs.rows import Rows

WORLD = make_world("ValueLab/MultiNeed-5x5-v0")
UNITS_A_PART = 3


def planted_units(rows: Rows) -> np.ndarray:
    """Units of context 3, then of 2, 1, 0, that are silent in every other context and follow the agent's cell."""
    cells, contexts = agent_cells(WORLD, rows), WORLD.context_of(rows)
    own = contexts[:, None] == np.repeat([3, 2, 1, 0], UNITS_A_PART)
    return own * (1.0 + cells[:, None]) * np.tile([1.0, 2.0, 3.0], 4)


def test_the_matching_is_the_best_of_all() -> None:
    shares = np.array([[0.1, 0.9, 0.0], [0.5, 0.1, 0.4], [0.6, 0.3, 0.1]])
    assert matched_parts(shares).tolist() == [2, 0, 1]
    assert diagonal_dominance(shares) == pytest.approx(((0.6 + 0.9 + 0.4) / 3 - 1 / 3) / (2 / 3))


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    states = held_out_table(WORLD, num_levels=3).rows
    found = part_pictures.picture_rows(
        planted_units(states), WORLD.context_of(states), seed=0, world=WORLD, units_of=planted_units
    )
    return [{**row, "seed": 5} for row in found]


def test_planted_parts_are_numbered_by_their_context(rows: list[dict]) -> None:
    np.testing.assert_allclose(part_pictures.mean_matrix(rows), np.eye(4), atol=1e-12)


def test_maps_hold_what_a_part_adds_where_the_agent_stands(rows: list[dict]) -> None:
    maps = {(row["part"], row["context"]): row["contributions"] for row in rows if row["kind"] == "map"}
    assert set(maps) == {(part, context) for part in range(4) for context in range(4)}
    for (part, context), drawn in maps.items():
        known = {cell: value for cell, value in enumerate(drawn) if value is not None}
        assert len(known) == 8  # 9 free cells but the needed object's, where the episode is over
        expected = [(part == context) * 6.0 * (1.0 + cell) for cell in known]
        np.testing.assert_allclose(list(known.values()), expected)


def test_each_line_has_its_maps_and_all_share_the_matrices(rows: list[dict]) -> None:
    score = {"kind": "score", "score": 0.5, "seed": 5}
    figures = part_pictures.draw({"MONO": [score, *rows], "POS": [score, *rows], "failed": []})
    assert set(figures) == {"T3-matrices.png", "T3-maps-MONO.png", "T3-maps-POS.png"}
    assert part_pictures.draw({"failed": []}) == {}
    titles = [axes.get_title(loc="left") for axes in figures["T3-matrices.png"].axes]
    assert titles[:2] == ["MONO", "POS"]
