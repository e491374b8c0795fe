"""Every arm can be built wherever it means anything, and the tests that no other study runs end in scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.agent import build_agent
from analysis.arms import ARMS
from analysis.instruments.walks import object_cells
from analysis.studies import yoked
from analysis.studies.comparison import run_comparison
from analysis.studies.plan import make_plan
from analysis.studies.setups import SETUPS
from envs.step_buffers import observation_space
from envs.tabular import enumerate_world

SIZES = {
    "num_demonstrations": 60, "imitation_updates": 20, "reinforce_steps": 0, "num_episodes": 120,
    "encoder_sizes": (16, 16), "hidden_size": 48, "value_updates": 20, "batch_size": 32, "num_checked_levels": 2,
}  # fmt: skip


# DishMaze has no contexts; its tests read arms whose V needs none.
@pytest.mark.parametrize("label", [label for label in SETUPS if not label.startswith("DishMaze")])
def test_every_arm_is_built_in_every_world_that_it_is_for(label: str) -> None:
    world, setup = yoked.world_of_run({"world": label, "seed": 0}), SETUPS[label]
    config = yoked.agent_config(world, setup, head="MONO", regime="scratch")
    player = build_agent(observation_space(world), world.num_actions, config, seed=0)
    sizes = {}
    for arm in ARMS.values():
        if not arm.worlds or label in arm.worlds:
            agent = yoked.arm_agent(player, arm, world, setup=setup, regime="scratch", replica=0)
            sizes[arm.name] = sum(part.numel() for part in agent.value_head.parameters())
    assert len(sizes) >= len(ARMS) - 3
    whole = sizes["MONO"] + sum(part.numel() for part in player.value_encoder.parameters())
    unequal = {name for name, size in sizes.items() if abs(size - sizes["MONO"]) > 0.02 * whole and ARMS[name].matched}
    assert not unequal


@pytest.mark.slow
def test_doses_graphs_and_maps_of_other_worlds(tmp_path: Path) -> None:
    worlds = ("MultiNeed", "DiamondGhost", "CrossedHistory@dose10")
    setups = {world: yoked.Setup(**SIZES, route_encoder=SETUPS[world].route_encoder) for world in worlds}
    plan = make_plan(
        "full", arms=("MONO", "ROUTE-GATE", "ROUTE-GLOBAL-E", "POS"), tests=("T3", "T14", "CrossedHistory-dose"),
        worlds=worlds, num_seeds=2, setups=setups,
    )  # fmt: skip
    result = run_comparison(plan, tmp_path, workers=0)
    assert result.study.exit_code == 0
    tests = result.scores.tests
    assert set(tests) == {"T3, MultiNeed", "T3, DiamondGhost", "T14", "CrossedHistory-dose"}
    assert set(tests["T14"].lines) == {"MONO", "POS"}
    assert {"ROUTE-GATE", "ROUTE-GLOBAL-E", "SHARD-LAW"} <= set(tests["CrossedHistory-dose"].lines)
    assert {f"T3-matrices-{world}.png" for world in worlds[:2]} <= {path.name for path in result.figures}


def test_objects_are_found_by_whatever_name_their_plane_has() -> None:
    world = yoked.world_of_run({"world": "DiamondGhost", "seed": 0})
    assert set(object_cells(world, enumerate_world(world, [0]).rows[0])) == {"diamond", "ghost"}
