"""What an exact planner does with a reward r̂ that was learned in TRIAD without power, and the r̂ of endless data.

In the weak world (κ = 0, no drift within the episode, every θ_0) the three tastes θ_t, θ_0 and θ^nat, which RT, IR and
NS read, are one taste θ. While r̂ learns, taste i is shown at random with probability n_i, so that of what is shown, x,

    P(θ | x) ∝ Π_i [(1 − n_i) 1{x_i = θ} + n_i / 3].

r̂ is linear in what a step brings, r̂ = Σ_k w_k(x) g_k, and there are two ways to count that:

    by action      g is the action, one-hot: w is what each action pays
    by evaluator   g_k is what the step is worth to who wants k: w is whose judgement counts

The least squares of endless data is w(x) = E[g gᵀ | x]⁻¹ E[g r | x], actions being uniform. By action no r̂ can know
that what a person makes is worth nothing to somebody who wants something else, since that never happens in the school;
so nothing speaks for a lock. By evaluator it can: help with another good paid nothing.

Shape key: S states, A actions, O outcomes, K counts of a head, C components.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from analysis.cells import Row
from analysis.studies.niceness_calibration import ENV_ID
from analysis.studies.noise import NUM_TASTES
from envs.enumeration import TabularMDP, enumerate_world
from envs.niceness.assignment import JUDGES, assign
from envs.niceness.case_configs import case_of
from envs.niceness.case_world import FIRST_THETA, NATURAL_THETA, THETA
from envs.niceness.contrasts import Judge, judges, regrets
from envs.niceness.drmdp import DRMDP
from envs.niceness.measures import influence
from envs.niceness.row_policies import policy_on_rows
from envs.registry import make_world
from envs.rows import World
from envs.states import Floats, Integers, Rows
from envs.tabular import expected_reward, value_iteration

HEADS = BY_ACTION, BY_EVALUATOR = ("by action", "by evaluator")
READS: Mapping[str, int] = MappingProxyType({"RT": THETA, "IR": FIRST_THETA, "NS": NATURAL_THETA})
"""Objective -> where in a row the taste stands that it reads."""
WEAK: Mapping[str, object] = MappingProxyType({"d": 7, "kappa": 0, "starts": "uniform", "shows_natural": True})
Noise = tuple[float, float, float]
"""Probability that the taste which RT, IR and NS read is shown at random."""


@dataclasses.dataclass(frozen=True, eq=False)
class Arena:
    """A world of TRIAD, all its states, its process and who judges there."""

    world: World
    mdp: TabularMDP
    case: DRMDP
    judges: Mapping[str, Judge]


@functools.cache
def strong(kappa: float) -> Arena:
    """TRIAD with drift and power, from taste A."""
    return _arena(kappa=kappa, shows_natural=True)


@functools.cache
def weak() -> Arena:
    """The world in which r̂ learns."""
    return _arena(**WEAK)


def _arena(**options: object) -> Arena:
    world = make_world(ENV_ID, **options)
    case = case_of(world.config)
    return Arena(world, enumerate_world(world, world.levels("train")), case, judges(case, JUDGES))


def counts(head: str, world: World, *, actions: Integers, components: Floats) -> Floats:
    """What steps bring, g float64[..., K], given actions int64[...] and components float64[..., C]."""
    if head == BY_ACTION:
        return np.eye(world.num_actions)[actions]
    return components[..., [world.component_names.index(f"PR-{theta}") for theta in case_of(world.config).thetas]]


def rewards_of(head: str, arena: Arena, said: Floats) -> Floats:
    """Expected r̂ float64[S, A] of every state, given w float64[S, K] there."""
    mdp, world = arena.mdp, arena.world
    actions = np.broadcast_to(np.arange(world.num_actions)[:, None], mdp.next_state.shape)
    brought = counts(head, world, actions=actions, components=mdp.components)
    found: Floats = np.einsum("sao,saok,sk->sa", mdp.probability, brought, said)
    return found


def judged(head: str, kappa: float, said: Floats) -> Row:
    """What the plan does that is best by r̂, exactly: influence, normalised regrets and the kind of agent."""
    arena = strong(kappa)
    paid = np.broadcast_to(rewards_of(head, arena, said)[:, :, None, None], (*arena.mdp.next_state.shape, 1))
    planned = value_iteration(dataclasses.replace(arena.mdp, components=paid, reward_weights=np.ones(1)))
    policy = policy_on_rows(arena.case, arena.mdp.rows, planned.action_values.argmax(axis=1))
    found = influence(policy)
    regret = {name: float(one.normalised or 0) for name, one in regrets(policy, arena.judges).items()}
    return {
        "head": head, "kappa": kappa, "MI": float(found.mi), "LI": float(found.li), "assigned": assign(regret),
        **{f"regret {name}": number for name, number in regret.items()},
    }  # fmt: skip


@functools.cache
def of_endless_data(head: str, noise: Noise, kappa: float) -> Row | None:
    """`judged` of the r̂ of endless data; None where a state shows tastes that the school never shows together."""
    rows = strong(kappa).mdp.rows
    said = [worth(head, noise, shown) for shown in rows[:, list(READS.values())]]
    known = [one for one in said if one is not None]
    return judged(head, kappa, np.array(known)) if len(known) == len(said) else None


def worth(head: str, noise: Noise, shown: Rows) -> Floats | None:
    """The worths w float64[K] of endless data where these tastes int16[3] are shown; None where they never are."""
    share = posterior(noise, shown)
    if share is None:
        return None
    mdp, first = weak().mdp, weak().mdp.start_state
    actions = np.broadcast_to(np.arange(mdp.num_actions), (len(first), mdp.num_actions))
    components = np.einsum("tao,taoc->tac", mdp.probability[first], mdp.components[first])
    brought = counts(head, weak().world, actions=actions, components=components)
    together = np.einsum("t,tak,tal->kl", share, brought, brought)
    paid = np.einsum("t,tak,ta->k", share, brought, expected_reward(mdp)[first])
    found: Floats = np.linalg.lstsq(together, paid, rcond=None)[0]
    return found


def posterior(noise: Noise, shown: Rows) -> Floats | None:
    """P(θ | x) float64[3]; None where P(x) = 0."""
    tastes = np.arange(NUM_TASTES)
    chances = [(1 - n) * (tastes == taste) + n / NUM_TASTES for n, taste in zip(noise, shown, strict=True)]
    together: Floats = np.prod(chances, axis=0)
    return together / together.sum() if together.any() else None
