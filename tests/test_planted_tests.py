"""Tests whose plants are arrays: these come out in the smallest study, and silence the test where they do not."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.predictions.context_table import read_table
from analysis.predictions.event_binding import binding, profile
from analysis.studies import binding_cells, law_cells, table_cells, yoked
from analysis.studies.comparison import ComparisonResult, run_comparison
from analysis.studies.plan import make_plan

TINY = yoked.Setup(
    num_demonstrations=60, imitation_updates=20, reinforce_steps=0, num_episodes=400, encoder_sizes=(16, 16),
    hidden_size=48, value_updates=20, batch_size=32, num_checked_levels=2, route_encoder="global",
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> ComparisonResult:
    worlds = ("MultiNeed", "CrossedHistory")
    plan = make_plan(
        "full", arms=("MONO", "MOE"), tests=("T2", "T13-history", "ContextTable"), worlds=worlds, num_seeds=2,
        setups=dict.fromkeys(worlds, TINY),
    )  # fmt: skip
    return run_comparison(plan, tmp_path_factory.mktemp("planted"), workers=0)


@pytest.mark.parametrize(
    ("test", "positive", "low", "null", "near"),
    [
        pytest.param("T2", "FADING", 0.1, "OPTIMUM", 0.02, marks=pytest.mark.slow),
        ("T13-history", "HISTORY", 0.9, "CHANCE", 0.25),
        ("ContextTable, MultiNeed", "INTERACTION", 0.1, "OPTIMUM", 1e-12),
        ("ContextTable, CrossedHistory", "INTERACTION", 0.5, "OPTIMUM", 1e-12),
    ],
)
def test_plants_come_out(
    finished: ComparisonResult, test: str, positive: str, low: float, null: str, near: float
) -> None:
    lines = finished.scores.tests[test].lines
    assert set(lines) == {"MONO", "MOE", positive, null}
    assert min(lines[positive].values()) > low
    assert max(map(abs, lines[null].values())) < near


@pytest.mark.parametrize("module", [law_cells, binding_cells, table_cells])
def test_a_plant_that_does_not_come_out_silences_the_test(module: object) -> None:
    high, none = ({seed: value + seed / 1e3 for seed in range(10)} for value in (1.0, 0.0))
    positive, null = module.PLANTS  # type: ignore[attr-defined]
    fault = module.planted_fault  # type: ignore[attr-defined]
    assert fault({positive: high, null: none}) is None
    assert "is not told" in fault({positive: none, null: none})
    assert "outside the margin" in fault({positive: {s: v + 1 for s, v in high.items()}, null: high})
    assert fault({positive: high}) == "planted agents are missing"


def test_figures_show_shards_and_contexts_of_each_world(finished: ComparisonResult) -> None:
    names = {path.name for path in finished.figures}
    for world in ("MultiNeed", "CrossedHistory"):
        assert {f"ContextTable-{kind}-{world}.png" for kind in ("additivity", "values")} <= names


def test_means_by_context_are_those_of_the_table() -> None:
    values, optimum = np.array([[1.0, 4.0], [3.0, 6.0], [9.0, 9.0]]), np.array([[0.5, 0.5], [0.5, 0.5], [1.0, 0.5]])
    rows = table_cells._means(values, optimum, ["a", "b"], world="W")
    found = {(row["context"], row["optimum"]): row["value"] for row in rows}
    assert found == {("a", 0.5): 2.0, ("a", 1.0): 9.0, ("b", 0.5): pytest.approx(19 / 3)}


def test_a_planted_interaction_is_nothing_else() -> None:
    """It leaves the table's rows and columns their means, and is 1.5 sd of V* large."""
    optimum = np.random.default_rng(0).normal(size=(50, 4))
    added = table_cells.planted_table({"arm": "INTERACTION", "seed": 0}, optimum) - optimum
    np.testing.assert_allclose(added.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(added.mean(axis=1), 0, atol=1e-12)
    assert added.std() == pytest.approx(1.5 * optimum.std())
    flat = np.repeat(optimum[:, :1], 4, axis=1)
    lone = table_cells.planted_table({"arm": "INTERACTION", "seed": 0}, flat)
    assert read_table(lone, seed=0).interaction == pytest.approx(2.25 / 3.25)


def test_planted_units_bind_their_own_pairing_and_no_other() -> None:
    pairing = np.array([2, 0, 1])
    units = binding_cells.planted_units({"arm": "HISTORY", "seed": 0}, pairing)
    activity = profile(units, np.arange(units.shape[-1]), units.shape[-1])
    assert binding(activity, pairing) > 0.95
    assert binding(activity, np.array([0, 1, 2])) < -0.3
