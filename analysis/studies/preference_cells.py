"""T6 as the comparison runs it: what V1 and D choose between two doors that training never showed together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from agents.agent import AlphaAgent
from agents.checkpoint import load_agent
from agents.exact import policy_table, value_table
from analysis.admission import planted_fault
from analysis.arms import ARMS
from analysis.cells import CellContext, Row, cell_function
from analysis.predictions.lookahead import ValueFunction, action_values
from analysis.predictions.parts import Floats
from analysis.predictions.preference import (
    KNOWN,
    PAIRS,
    PREDICTION,
    REVERSED,
    Doors,
    coded_worths,
    crossed_doors,
    forced_choices,
    planted_values,
    share_made,
)
from analysis.studies.line_test import LineTest, PerSeed
from analysis.studies.reinforced import NORMALISED
from analysis.studies.yoked import AGENT, fitted_agent, recorder_of, setup_of, world_of_run
from envs.enumeration import state_finder
from envs.rows import World
from envs.tabular import enumerate_world, expected_reward, occupancy, policy_evaluation

PREFER = "comparison.preference"
DOORS = ("TwoDoors", "TwoDoors" + NORMALISED, "TwoDoors@explored")
"""Three recordings of one world: D's own play, the same after normalised advantages, and play at random."""
PLANTS = ("D", "V-PI", "ABSOLUTE", "RELATIVE")


@cell_function(PREFER, version=1, seconds=1.0)
def prefer(context: CellContext) -> list[Row]:
    """The forced choices of one line: of V1 with its V, or of a planted agent."""
    config, world = context.config, world_of_run(context.config).in_layout("crossed")
    doors = crossed_doors(world)
    player, _ = load_agent(context.parent(recorder_of(config["world"])).folder / AGENT)
    taken = ends_at_worse(player, world, doors)
    if config["arm"] == "D":
        return [_score(taken)]
    scores = _scores(context, player, world, doors=doors)
    chosen = forced_choices(doors, scores).mean(axis=1)
    return [_score(chosen) | {"D": float(taken[REVERSED]), "choices made": share_made(doors, scores)}]


def _score(chosen: Floats) -> Row:
    by_pair = {f"{worse} over {better}": float(share) for (better, worse), share in zip(PAIRS, chosen, strict=True)}
    return {"kind": "score", "score": float(chosen[REVERSED]), **by_pair}


def _scores(context: CellContext, player: AlphaAgent, world: World, *, doors: Doors) -> Floats:
    """What V1 of the line expects of each first step, float[P, L, A]."""
    config = context.config
    if config["arm"] == "V-PI":
        return exact_scores(player, world, doors, uniform_share=setup_of(config).uniform_share)
    flat = doors.rows.reshape(-1, world.row_size)
    return action_values(world, flat, value_of_line(context, world)).reshape(*doors.rows.shape[:2], -1)


def value_of_line(context: CellContext, world: World) -> ValueFunction:
    """V of a fit, or of a planted agent."""
    config = context.config
    if config["arm"] in ARMS:
        agent = fitted_agent(context)
        return lambda rows: value_table(agent, world, rows)
    worths = coded_worths(world.reward_weights, relative=config["arm"] == "RELATIVE")
    return lambda rows: planted_values(rows, worths, world.discount)


def exact_scores(player: AlphaAgent, world: World, doors: Doors, *, uniform_share: float) -> Floats:
    """R + discount V^pi(s') of the recorded mixture at the doors, float[P, L, A]."""
    mdp = enumerate_world(world, doors.levels.ravel())
    values = policy_evaluation(mdp, policy_table(player, world, mdp.rows, uniform_share=uniform_share))
    following = mdp.next_state[:, :, 0]
    scores = expected_reward(mdp) + world.discount * np.where(following < 0, 0.0, values[following])
    states = state_finder(mdp)(doors.rows.reshape(-1, world.row_size))
    return np.asarray(scores[states].reshape(*doors.rows.shape[:2], -1))


def ends_at_worse(player: AlphaAgent, world: World, doors: Doors) -> Floats:
    """P(D, sampled, ends at the worse object | it ends within the time limit), exactly, per pair: float[P]."""
    shares = []
    for (better, worse), levels in zip(PAIRS, doors.levels, strict=True):
        mdp = enumerate_world(world, levels)
        policy = policy_table(player, world, mdp.rows)
        visits = occupancy(mdp, policy, horizon=world.time_limit)
        reached = np.einsum("s,sa,sae->e", visits, policy, mdp.components[:, :, 0])
        first, second = (reached[world.event_names.index(name)] for name in (better, worse))
        shares.append(second / (first + second))
    return np.array(shares)


def fault(lines: Mapping[str, PerSeed]) -> str | None:
    """Why T6 may not be read: planted values that are not told apart, or D without its known answer."""
    known = lines.get("D", {})
    if known and min(known.values()) < KNOWN:
        return f"D takes C over B with probability {min(known.values()):.2f} in a seed, and {KNOWN:g} is known"
    return planted_fault(lines, "RELATIVE", "ABSOLUTE", margin=PREDICTION.margin)


TEST = LineTest(
    prediction=PREDICTION,
    cell=PREFER,
    worlds=DOORS,
    title="T6: is C taken before B, which is worth more?",
    axis="share of layouts in which V1 takes C before B",
    parents=("record", "fit"),
    # An oracle gate is never told of a pair that training did not show.
    arms=tuple(name for name, arm in ARMS.items() if arm.head != "POS"),
    plants=PLANTS,
    fault=fault,
    shown=("D", "C over A", "D over A", "D over B", "choices made"),
)
