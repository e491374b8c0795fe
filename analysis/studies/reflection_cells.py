"""Q3, can V read itself? T8a (privileged access), T8b (cross-part readability) and T8c (calibration) of fitted values.

"The layer" is, in every arm, the contributions of V's last hidden units, whose sum plus the bias is V. So each arm's
layer tells its own V completely, gate included; arms differ in how far what holds in one context holds in another.

Shapes: N states, A actions, U units, C contexts, M situations.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from agents.agent import AlphaAgent
from agents.checkpoint import load_agent
from agents.exact import value_table
from agents.seeding import numpy_generator
from analysis.admission import planted_fault
from analysis.cells import CellContext, Row, cell_function
from analysis.instruments.minimal_pairs import context_cells, match_contexts
from analysis.predictions import calibration as calibrating
from analysis.predictions import cross_reading as crossing
from analysis.predictions import privileged_access as privilege
from analysis.predictions.privileged_access import Network, head_log_probs, held_out_contexts, privileged_access
from analysis.predictions.reflection_plants import (
    ACCESS_PLANTS,
    CALIBRATION_PLANTS,
    CROSS_PLANTS,
    Insides,
    access_pair,
    calibration_case,
    cross_case,
)
from analysis.studies.held_out_units import cluster_seed, held_out_table, unit_contributions
from analysis.studies.line_test import LineTest
from analysis.studies.outlook import Outlook, layouts_of, outlook
from analysis.studies.yoked import AGENT, FIT, device_of, world_of_run
from envs.rows import World
from envs.tabular import TabularMDP, state_index, value_iteration

ACCESS, CROSS_READ, CALIBRATE = "comparison.privileged_access", "comparison.cross_reading", "comparison.calibration"
WORLDS = ("MultiNeed", "DiamondGhost")
NUM_LEVELS = 200
NUM_STATES = 4096
NUM_SITUATIONS = 4096


def networks_of(context: CellContext) -> list[AlphaAgent]:
    """The fits among a cell's parents: the line's own, then its sister where there is one."""
    fits = sorted((p for p in context.parents.values() if p.function == FIT), key=lambda p: p.config["replica"])
    return [load_agent(parent.folder / AGENT)[0].to(device_of(context.config)) for parent in fits]


def network_of(agent: AlphaAgent, world: World, seen: Outlook) -> Network:
    """Its layer where the actions lead, and what V1 does with it."""
    return Network(seen.options(unit_contributions(agent, world, seen.ahead)), seen.choices(agent, world))


@cell_function(ACCESS, version=1, seconds=5.0)
def access(context: CellContext) -> list[Row]:
    """T8a of one fitted V and its sister, or of a planted pair."""
    config, world = context.config, world_of_run(context.config)
    table = held_out_table(world, num_levels=NUM_LEVELS)
    seen = outlook(world, table, num_states=NUM_STATES, seed=config["seed"])
    if config["arm"] in ACCESS_PLANTS:
        optimum = value_iteration(table).action_values[state_index(table, seen.rows)]
        rng = numpy_generator(config["seed"], "comparison", "plant", config["arm"])
        own, sister = access_pair(config["arm"], optimum, rng=rng)
    else:
        own, sister = (network_of(agent, world, seen) for agent in networks_of(context))
    found = privileged_access(own, sister, contexts=seen.contexts, layouts=seen.layouts)
    return [{"kind": "score", **vars(found)}]


@cell_function(CALIBRATE, version=1, seconds=3.0)
def calibrate(context: CellContext) -> list[Row]:
    """T8c of one fitted V, or of a planted one."""
    config, world = context.config, world_of_run(context.config)
    seen = outlook(
        world, held_out_table(world, num_levels=NUM_LEVELS), num_states=NUM_STATES, seed=config["seed"]
    )
    if config["arm"] in CALIBRATION_PLANTS:
        rng = numpy_generator(config["seed"], "comparison", "plant", config["arm"])
        options, choices = calibration_case(
            config["arm"], seen.contexts, num_actions=world.num_actions, rng=rng
        )
    else:
        (agent,) = networks_of(context)
        own = network_of(agent, world, seen)
        options, choices = own.options, own.choices
    splits = list(held_out_contexts(seen.contexts, seen.layouts))
    log_probs = np.concatenate([head_log_probs(options, choices, split) for split in splits])
    found = calibrating.calibration(log_probs, np.concatenate([choices[split.read] for split in splits]))
    return [{"kind": "score", "score": found.error, **{k: v for k, v in vars(found).items() if k != "error"}}]


@cell_function(CROSS_READ, version=1, seconds=3.0)
def cross_read(context: CellContext) -> list[Row]:
    """T8b of one fitted V, or of a planted one."""
    config, world = context.config, world_of_run(context.config)
    table = held_out_table(world, num_levels=NUM_LEVELS)
    matched = situations(world, table, seed=config["seed"])
    if config["arm"] in CROSS_PLANTS:
        rng = numpy_generator(config["seed"], "comparison", "plant", config["arm"])
        inside = cross_case(config["arm"], value_iteration(table).values[matched], rng=rng)
    else:
        (agent,) = networks_of(context)
        inside = insides_of(agent, world, table.rows[matched])
    seed = cluster_seed(config["seed"])
    layouts = layouts_of(world, table.rows[matched[:, 0]])
    found = crossing.cross_reading(inside.units, inside.features, inside.values, layouts=layouts, seed=seed)
    return [{"kind": "score", **vars(found)}]


def situations(world: World, table: TabularMDP, *, seed: int) -> np.ndarray:
    """States that differ in their context alone, int64[M, C], at most 4,096 situations drawn without replacement."""
    contexts = world.context_of(table.rows)
    matched, _ = match_contexts(table.rows, contexts, cells=context_cells(table.rows, contexts))
    rng = numpy_generator(seed, "comparison", "situations")
    return matched[rng.choice(len(matched), size=min(NUM_SITUATIONS, len(matched)), replace=False)]


@torch.no_grad()
def insides_of(agent: AlphaAgent, world: World, rows: np.ndarray) -> Insides:
    """Units, features of E and V of the rows int16[M, C, S]."""
    shape, flat = rows.shape[:2], rows.reshape(-1, rows.shape[2])
    features = agent.features_of_value(world.observe(flat))[0].double().cpu().numpy()
    return Insides(
        unit_contributions(agent, world, flat).reshape(*shape, -1),
        features.reshape(*shape, -1),
        value_table(agent, world, flat).reshape(shape),
    )


def access_fault(lines: Mapping[str, Mapping[int, float]]) -> str | None:
    """Why T8a may not be read."""
    return planted_fault(lines, *ACCESS_PLANTS, margin=privilege.PREDICTION.margin)


def cross_fault(lines: Mapping[str, Mapping[int, float]]) -> str | None:
    """Why T8b may not be read."""
    return planted_fault(lines, *CROSS_PLANTS, margin=crossing.PREDICTION.margin)


def calibration_fault(lines: Mapping[str, Mapping[int, float]]) -> str | None:
    """Why T8c may not be read."""
    return planted_fault(lines, *CALIBRATION_PLANTS, margin=calibrating.PREDICTION.margin)


ACCESS_TEST = LineTest(
    prediction=privilege.PREDICTION,
    cell=ACCESS,
    worlds=WORLDS,
    title="T8a: does V's own layer tell its choices in a new context better than a sister's?",
    axis="own hit - sister's hit where the two choose differently, held-out context",
    parents=("fit", "sister"),
    plants=ACCESS_PLANTS,
    fault=access_fault,
    against_zero=privilege.PREDICTION.margin,
    contrasts=True,
    by_construction=("POS",),
    shown=("own_hit", "sister_hit", "familiar", "accuracy_gap", "differing"),
)

CROSS_TEST = LineTest(
    prediction=crossing.PREDICTION,
    cell=CROSS_READ,
    worlds=WORLDS,
    title="T8b: can another context's value be read from the part of V that is at work?",
    axis="R² from 16 units at work - R² from 16 features of E",
    plants=CROSS_PLANTS,
    fault=cross_fault,
    shown=("from_part", "from_encoder", "from_whole_encoder", "own_value"),
)

CALIBRATION_TEST = LineTest(
    prediction=calibrating.PREDICTION,
    cell=CALIBRATE,
    worlds=WORLDS,
    title="T8c: is a head on V's own layer as sure of V's choices as it is right?",
    axis="expected calibration error in held-out contexts",
    plants=CALIBRATION_PLANTS,
    fault=calibration_fault,
    shown=("overconfidence", "confidence", "accuracy"),
)
