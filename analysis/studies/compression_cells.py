"""The cell of T11: how well one utility, K bids and a black box say what a fitted V chooses, and V itself.

Shapes: N states, A actions, K objects, C contexts.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from agents.exact import value_table
from agents.seeding import derive_seed, numpy_generator
from analysis.admission import planted_fault
from analysis.cells import CellContext, Row, cell_function
from analysis.predictions.compression import PREDICTION, Compression, Library, choice_compression, value_compression
from analysis.predictions.crossed_states import Rows, object_distances
from analysis.predictions.parts import Floats, Ints
from analysis.studies.held_out_units import held_out_table
from analysis.studies.line_test import LineTest
from analysis.studies.outlook import Outlook, outlook
from analysis.studies.yoked import fitted_agent, world_of_run
from envs.rows import World
from envs.tabular import TabularMDP, state_index, value_iteration

COMPRESS = "comparison.compression"
PLANTS = ("BIDS", "UTILITY", "OPTIMUM")
SHARPNESS = 40.0
"""Of planted choices: a step towards an object changes what is worth 1 by about .05, and so the logit by 2."""
NUM_LEVELS = 200
NUM_STATES = 4096


@cell_function(COMPRESS, version=1, seconds=8.0)
def compress(context: CellContext) -> list[Row]:
    """T11 of one fitted V, or of a planted one, which has choices but no V."""
    config, world = context.config, world_of_run(context.config)
    table = held_out_table(world, num_levels=NUM_LEVELS)
    seen = outlook(world, table, num_states=NUM_STATES, seed=config["seed"])
    library = library_of(world, table, seen)
    seed = derive_seed(config["seed"], "comparison", "compression")
    if config["arm"] in PLANTS:
        optimum = value_iteration(table).action_values[state_index(table, seen.rows)]
        rng = numpy_generator(config["seed"], "comparison", "plant", config["arm"])
        choices = planted_choices(config["arm"], library, optimum, rng=rng)
        return [_row(choice_compression(library, choices, layouts=seen.layouts, seed=seed), {})]
    agent = fitted_agent(context)
    chosen = choice_compression(library, seen.choices(agent, world), layouts=seen.layouts, seed=seed)
    valued = value_compression(library, value_table(agent, world, seen.rows), layouts=seen.layouts)
    return [_row(chosen, {"values gain": valued.gain, "values ceiling": valued.ceiling})]


def library_of(world: World, table: TabularMDP, seen: Outlook) -> Library:
    """Proximity to each object here and after each action; where an action ends all, what it does not reach is lost."""
    ahead = proximities(world, seen.ahead)[seen.index]
    ahead = np.where((seen.alive[..., None] > 0) | (ahead == 1.0), ahead, 0.0)
    return Library(ahead, proximities(world, seen.rows), seen.contexts, event_rewards(world, table))


def proximities(world: World, rows: Rows) -> Floats:
    """discount^distance to each object of an open room, float[N, K]; rows begin with the agent and the objects."""
    num_objects = len(world.plane_names) - 2
    return np.asarray(float(world.discount) ** object_distances(rows[:, : num_objects + 2]))


def event_rewards(world: World, table: TabularMDP) -> Floats:
    """The reward of each event in each context, float[C, K]; 0 where it never occurs."""
    rewards = table.components @ table.reward_weights
    contexts = np.broadcast_to(world.context_of(table.rows)[:, None, None], table.event.shape)
    met = table.event >= 0
    shape = (len(world.context_names), len(world.event_names))
    total, count = np.zeros(shape), np.zeros(shape)
    np.add.at(total, (contexts[met], table.event[met]), rewards[met])
    np.add.at(count, (contexts[met], table.event[met]), 1)
    return np.divide(total, count, out=np.zeros(shape), where=count > 0)


def planted_choices(name: str, library: Library, optimum: Floats, *, rng: np.random.Generator) -> Ints:
    """Choices int[N] of an agent of `PLANTS`: tastes lie in [0, 1], bids in [-1, 1]; optimum is Q*, float[N, A]."""
    num_contexts, num_objects = library.rewards.shape
    if name == "OPTIMUM":
        best = optimum >= optimum.max(axis=1, keepdims=True) - 1e-9
        return np.asarray((best * rng.random(best.shape)).argmax(axis=1))
    tastes = rng.random(num_objects) + library.rewards
    worth = tastes if name == "UTILITY" else rng.uniform(-1.0, 1.0, (num_contexts, num_objects))
    logits = SHARPNESS * (worth[library.contexts][:, None, :] * library.ahead).sum(axis=2)
    return np.asarray((logits + rng.gumbel(size=logits.shape)).argmax(axis=1))


def _row(chosen: Compression, values: Mapping[str, float]) -> Row:
    bits = {f"bits {name}": float(-nats / np.log(2.0)) for name, nats in vars(chosen).items()}
    return {"kind": "score", "score": chosen.gain, "ceiling": chosen.ceiling, **bits, **values}


def plants_fault(lines: Mapping[str, Mapping[int, float]]) -> str | None:
    """Why T11 may not be read."""
    return planted_fault(lines, *PLANTS, margin=PREDICTION.margin)


TEST = LineTest(
    prediction=PREDICTION,
    cell=COMPRESS,
    worlds=("MultiNeed",),
    title="T11: are V's choices told in fewer bits by bids than by one utility?",
    axis="gain of K bids over one utility (nats per choice)",
    plants=PLANTS,
    fault=plants_fault,
    shown=("ceiling", "bits utility", "bits bids", "bits black_box", "values gain", "values ceiling"),
)
