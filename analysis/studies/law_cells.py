"""T2 as the comparison runs it: each arm's V learns from the episodes whose needed object lies in its need's corner.

The recording is that of all tests; only the choice of episodes is this test's own. Corners are drawn per seed, and a
sister learns from the opposite corners, beside the same frozen D, whose behaviour knows no corner.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from agents.agent import AlphaAgent
from agents.exact import value_table
from agents.returns import returns_to_go
from agents.seeding import derive_seed, numpy_generator
from agents.values import fit_values
from analysis import admission
from analysis.arms import ARMS
from analysis.cells import CellContext, Row, cell_function
from analysis.predictions.activation_law import (
    PREDICTION,
    corner_distance,
    excess_decay,
    matched_contributions,
)
from analysis.predictions.parts import Floats, Ints
from analysis.predictions.predictors import KernelPredictor, Log
from analysis.studies.contest_cells import flattened
from analysis.studies.fitting import value_settings
from analysis.studies.held_out_units import cluster_seed, held_out_table, unit_contributions
from analysis.studies.lessons import arm_episodes
from analysis.studies.line_test import LineTest
from analysis.studies.yoked import RECORD, Recording, arm_agent, device_of, read_recording, setup_of, world_of_run
from envs.chosen_episodes import choose_episodes
from envs.episodes import Episodes, episode_of_step
from envs.rows import World
from envs.tabular import value_iteration
from envs.worlds.cells import ROW_STRIDE

LAW, KERNEL = "comparison.law", "comparison.law_kernel"
NUM_LEVELS = 400
NUM_STATES = 4096
PLANTS = MappingProxyType({"FADING": 1 / 3, "OPTIMUM": 0.0})
"""Planted contributions V* exp(-f distance): f per cell."""
ARMS_READ = ("MONO", "MONO-ROUTE", "ADD", "MOE", "ROUTE", "ROUTE-RAND", "POS", "NEG-F")


def corners_of(config: Row, num_needs: int, *, sister: bool) -> Ints:
    """The corner 0..3 of each need in the run of a seed, int[K]; the sister has the opposite ones."""
    order = numpy_generator(config["seed"], "comparison", "corners").permutation(4)
    corners = order[np.arange(num_needs) % 4]
    return 3 - corners if sister else corners


def place_distance(world: World, rows: np.ndarray, corners: Ints) -> Ints:
    """Steps from the needed object's cell to its need's corner, int[N]."""
    need = rows[:, world.config.num_objects + 1].astype(np.int64)
    cells = rows[np.arange(len(rows)), 1 + need].astype(np.int64)
    inside = np.stack([cells // ROW_STRIDE - 1, cells % ROW_STRIDE - 1], axis=1)
    return corner_distance(inside, corners[need], world.config.size)


def placed_episodes(world: World, episodes: Episodes, corners: Ints) -> Episodes:
    """The episodes whose needed object lies in its need's corner."""
    assert episodes.rows is not None, "our worlds record rows"
    return choose_episodes(episodes, place_distance(world, episodes.rows[episodes.offsets[:-1]], corners) == 0)


class _Held:
    """Held-out states of one seed: rows, contexts, V*, and distances from the run's and its sister's places."""

    def __init__(self, config: Row, world: World) -> None:
        mdp = held_out_table(world, num_levels=NUM_LEVELS)
        rng = numpy_generator(config["seed"], "comparison", "law states")
        index = rng.choice(len(mdp.rows), size=min(NUM_STATES, len(mdp.rows)), replace=False)
        self.rows, self.optimum = mdp.rows[index], value_iteration(mdp).values[index]
        self.contexts = world.context_of(self.rows)
        self.corners = [corners_of(config, world.config.num_objects, sister=sister) for sister in (False, True)]
        first, second = (place_distance(world, self.rows, corners) for corners in self.corners)
        self.distances = first, second

    def excess(self, pair: list[Floats]) -> float:
        """`excess_decay` of what two networks (or kernels) say."""
        return excess_decay((pair[0], pair[1]), self.contexts, distances=self.distances, optimum=self.optimum)


@cell_function(KERNEL, version=1, seconds=15.0)
def law_kernel(context: CellContext) -> list[Row]:
    """How much kernel regressions on the chosen episodes fade from their places."""
    config, world = context.config, world_of_run(context.config)
    recording, held = read_recording(context.parent(RECORD).folder, device_of(config)), _Held(config, world)
    said = []
    for name, corners in zip(("own", "sister"), held.corners, strict=True):
        episodes = placed_episodes(world, recording.episodes, corners)
        seed = derive_seed(config["seed"], "comparison", "law kernel", name, bits=32)
        kernel = KernelPredictor(_log(world, episodes), seed=seed)
        said.append(kernel.predict(flattened(world, held.rows)))
    return [{"kind": "kernel", "excess": held.excess(said)}]


def _log(world: World, episodes: Episodes) -> Log:
    """What kernel regression sees, without the steps whose outcome a time limit cut; it reads no distance or event."""
    assert episodes.rows is not None, "our worlds record rows"
    following, known = returns_to_go(episodes)
    nothing = np.zeros(0, dtype=np.int64)
    return Log(
        observations=flattened(world, episodes.rows[known]), distances=np.zeros((int(known.sum()), 0)),
        outcomes=following[known], episodes=episode_of_step(episodes)[known], event_cue=nothing, event_object=nothing,
        event_reward=np.zeros(0),
    )  # fmt: skip


@cell_function(LAW, version=2, seconds=10.0)
def law(context: CellContext) -> list[Row]:
    """T2: decay of an arm's parts beyond its sister's and the kernel's; the same of V as a whole."""
    if context.config["arm"] in PLANTS:
        return _planted(context)
    config, world = context.config, world_of_run(context.config)
    recording, held = read_recording(context.parent(RECORD).folder, device_of(config)), _Held(config, world)
    kernel = float(context.parent(KERNEL).rows[0]["excess"])
    seed = cluster_seed(config["seed"])
    agents = [
        _taught(config, recording, corners=corners, replica=replica) for replica, corners in enumerate(held.corners)
    ]
    parts = [matched_contributions(unit_contributions(agent, world, held.rows), held.contexts, seed=seed)
             for agent in agents]  # fmt: skip
    whole = held.excess([value_table(agent, world, held.rows) for agent in agents])
    excess = held.excess(parts)
    return [{
        "kind": "score", "score": excess - kernel, "parts": excess, "kernel": kernel, "whole_V": whole - kernel,
    }]  # fmt: skip


def _planted(context: CellContext) -> list[Row]:
    """The same of contributions that fade from their places, or know none."""
    held = _Held(context.config, world_of_run(context.config))
    fade = PLANTS[context.config["arm"]]
    own, sister = (held.optimum * np.exp(-fade * distances) for distances in held.distances)
    excess, kernel = held.excess([own, sister]), float(context.parent(KERNEL).rows[0]["excess"])
    return [{"kind": "score", "score": excess - kernel, "parts": excess, "kernel": kernel}]


def planted_fault(lines: Mapping[str, Mapping[int, float]]) -> str | None:
    """Why T2 may not be read: planted contributions that do not come out."""
    return admission.planted_fault(lines, "FADING", "OPTIMUM", margin=PREDICTION.margin)


def _taught(config: Row, recording: Recording, *, corners: Ints, replica: int) -> AlphaAgent:
    """The arm's V after the episodes of given corners; replica 1 has other initial weights."""
    arm, setup, world = ARMS[config["arm"]], setup_of(config), world_of_run(config)
    agent = arm_agent(recording.player, arm, world, setup=setup, regime=config["regime"], replica=replica)
    told = arm_episodes(recording.episodes, arm, seed=config["seed"])
    chosen = placed_episodes(world, told, corners)
    return fit_values(agent, chosen, value_settings(setup), seed=config["seed"], num_checkpoints=1)[0]


TEST = LineTest(
    prediction=PREDICTION,
    cell=LAW,
    worlds=("MultiNeed",),
    title="T2: does a part fade away from where its events were, more than a smooth fit does?",
    axis="decay per cell of distance, beyond the sister's and the kernel's",
    parents=("record", "log"),
    log_cell=KERNEL,
    arms=ARMS_READ,
    plants=tuple(PLANTS),
    fault=planted_fault,
    by_construction=("POS",),
    shown=("parts", "kernel", "whole_V"),
)
