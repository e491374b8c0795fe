"""The cells of T0: what the predictors say of one seed, and the contest over all seeds of one arm.

Shapes: n logged steps, N rows, M test states, A actions, S row size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.checkpoint import load_agent
from agents.exact import value_table
from agents.returns import returns_to_go
from agents.seeding import derive_seed, numpy_generator
from analysis.cells import CellContext, ParentResult, Row, cell_function
from analysis.predictions import predictors
from analysis.predictions.contest import TAUS, Gain, Subject, gain_of
from analysis.predictions.crossed_states import (
    Rows,
    choice_levels,
    crossed_rows,
    cues,
    object_distances,
)
from analysis.predictions.lookahead import ValueFunction, first_reached, preference
from analysis.predictions.parts import Floats
from analysis.studies.crossed_plants import PLANTS, planted_value
from analysis.studies.yoked import AGENT, EPISODES, FIT, RECORD, world_of_run
from envs.archives import unzipped, zipped
from envs.episodes import Episodes, episode_of_step, load_episodes
from envs.rows import World
from envs.storage import write_bytes

PREDICT, CONTEST = "comparison.predict", "comparison.contest"
NUM_LAYOUTS = 12
NUM_CHOICES = 600
LOGGED_STEPS = 20_000
LETTERS = "abcdpqr"
COLUMNS = "columns.npz"


def flattened(world: World, rows: Rows) -> Floats:
    """Observations as a network sees them, flat: float[N, F]."""
    seen = world.observe(rows)
    return np.concatenate([seen["planes"].reshape(len(rows), -1), seen["vector"]], axis=1).astype(np.float64)


def training_log(world: World, episodes: Episodes, *, seed: int) -> predictors.Log:
    """What the predictors may see: some logged steps of one seed, and every reinforcement event."""
    if episodes.rows is None:
        raise ValueError("the recording holds no rows; record it in a world of this package.")
    # Where a time limit cut an episode V's targets bootstrap; a predictor has no V to do so, and leaves it out.
    following, known = returns_to_go(episodes)
    size = min(LOGGED_STEPS, int(known.sum()))
    rng = numpy_generator(seed, "comparison", "log")
    chosen = rng.choice(np.flatnonzero(known), size=size, replace=False)
    events = np.flatnonzero(episodes.events >= 0)
    return predictors.Log(
        observations=flattened(world, episodes.rows[chosen]),
        distances=object_distances(episodes.rows[chosen]),
        outcomes=following[chosen],
        episodes=episode_of_step(episodes)[chosen],
        event_cue=episodes.contexts[events],
        event_object=episodes.events[events],
        event_reward=episodes.rewards[events],
    )


def predictor_functions(world: World, log: predictors.Log, *, seed: int) -> dict[str, ValueFunction]:
    """Predictors a, b, d, and c at every tau, as value functions."""
    utilities = predictors.fit_utilities(log, world.discount)
    kernel = predictors.KernelPredictor(log, seed=derive_seed(seed, "comparison", "kernel", bits=32))
    return {
        "a": lambda rows: predictors.optimum(_states(rows), world.discount),
        "b": lambda rows: predictors.utility_values(_states(rows), utilities, world.discount),
        "d": lambda rows: kernel.predict(flattened(world, rows)),
        **{letter: _law(world, log, tau) for letter, tau in TAUS.items()},
    }


def _law(world: World, log: predictors.Log, tau: float) -> ValueFunction:
    """Predictor c, the shard law, at one tau."""
    bids = predictors.bids(log, len(world.context_names), tau)
    return lambda rows: predictors.shard_values(_states(rows), bids, world.discount)


def _states(rows: Rows) -> predictors.States:
    return predictors.States(object_distances(rows), cues(rows))


def test_rows(config: Mapping[str, Any]) -> tuple[Rows, Any]:
    """Held-out layouts under every pairing, int16[M, S], and which of them show a never-trained pairing, bool[M]."""
    world = world_of_run(config)
    rows = crossed_rows(world.in_layout("crossed"), num_layouts=NUM_LAYOUTS).reshape(-1, world.row_size)
    shown = np.isfinite(object_distances(rows)).argmax(axis=1)
    return rows, shown != np.array(world.config.pairing)[cues(rows)]


def test_choices(config: Mapping[str, Any]) -> Rows:
    """First states of held-out levels with two objects at equal distance, int16[M, S]."""
    world = world_of_run(config)
    return choice_levels(world.in_layout("choice"), np.array(world.config.pairing), num_levels=NUM_CHOICES).rows


@cell_function(PREDICT, version=3, seconds=6.0)
def predict(context: CellContext) -> list[Row]:
    """The predictors of one seed, from its training log alone: columns for test states and for choices."""
    config, world = context.config, world_of_run(context.config)
    log = training_log(world, load_episodes(context.parent(RECORD).folder / EPISODES), seed=config["seed"])
    functions = predictor_functions(world, log, seed=config["seed"])
    rows, choices = test_rows(config)[0], test_choices(config)
    arrays = {f"values/{letter}": function(rows) for letter, function in functions.items()}
    arrays |= {f"choices/{letter}": preference(world, choices, function) for letter, function in functions.items()}
    write_bytes(context.folder / COLUMNS, zipped(arrays))
    utilities = predictors.fit_utilities(log, world.discount)
    return [{"kind": "predictors", "utilities": [float(item) for item in utilities], "num_events": len(log.event_cue)}]


def subjects_of(
    config: Mapping[str, Any], columns: Mapping[str, Floats], *, value: ValueFunction, sister: ValueFunction
) -> tuple[Subject, Subject]:
    """One seed's agent before the contest: its V on test states, and its choices."""
    world, (rows, crossed), choices = world_of_run(config), test_rows(config), test_choices(config)
    values = {letter: columns[f"values/{letter}"] for letter in LETTERS} | {"e": sister(rows)}
    preferences = {letter: columns[f"choices/{letter}"] for letter in LETTERS} | {
        "e": preference(world, choices, sister)
    }
    reached = first_reached(world, choices, value)
    lower = np.isfinite(object_distances(choices)).argmax(axis=1)
    arrived = reached >= 0
    return (
        Subject(values, value(rows), crossed),
        Subject({k: v[arrived] for k, v in preferences.items()}, (reached == lower)[arrived] * 1.0, arrived[arrived]),
    )


@cell_function(CONTEST, version=4, seconds=8.0)
def contest(context: CellContext) -> list[Row]:
    """The contest over all seeds of one arm (or plant); rows carry one seed each."""
    seeds = context.config["seeds"]
    pairs = [_of_seed(context, seed) for seed in seeds]
    by_kind = {"values": [values for values, _ in pairs], "choices": [choices for _, choices in pairs]}
    gains = {kind: gain_of(subjects, kind=kind) for kind, subjects in by_kind.items()}
    made = [len(choices.target) / NUM_CHOICES for choices in by_kind["choices"]]
    return [
        {"kind": "score", "seed": seed, **_readings(gains, index), "share of choices made": made[index]}
        for index, seed in enumerate(seeds)
    ]


def _readings(gains: Mapping[str, Gain], index: int) -> Row:
    readings = {f"{kind} {name}": number for kind in gains for name, number in _numbers(gains[kind], index).items()}
    return {"score": readings["values gain"], **readings}


def _of_seed(context: CellContext, seed: int) -> tuple[Subject, Subject]:
    config = {**context.config, "seed": seed}
    parents = [parent for parent in context.parents.values() if parent.config["seed"] == seed]
    (predicted,) = (parent for parent in parents if parent.function == PREDICT)
    columns = unzipped((predicted.folder / COLUMNS).read_bytes())
    if config["arm"] in PLANTS:
        value, sister = (planted_value(config, stream) for stream in ("agent", "sister"))
        return subjects_of(config, columns, value=value, sister=sister)
    fits = sorted((parent for parent in parents if parent.function == FIT), key=lambda parent: parent.config["replica"])
    value, sister = (_fitted(parent) for parent in fits)
    return subjects_of(config, columns, value=value, sister=sister)


def _fitted(parent: ParentResult) -> ValueFunction:
    agent, _ = load_agent(parent.folder / AGENT)
    world = world_of_run(parent.config)
    return lambda rows: value_table(agent, world, rows)


def _numbers(gain: Gain, index: int) -> Row:
    numbers = {"gain": gain.gain, "ceiling": gain.ceiling, "gain_over_sister": gain.gain_over_sister}
    numbers |= {f"nats_{letters}": score for letters, score in gain.log_likelihood.items()}
    return {name: _number(scores[index]) for name, scores in numbers.items()}


def _number(value: float) -> float | None:
    """None for a seed whose agent reached no object: records hold no NaN."""
    return float(value) if np.isfinite(value) else None
