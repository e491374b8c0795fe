"""Search from a batch of states: all trees take one simulation together, with one evaluation for the whole batch.

The world's own kernel gives transitions, rewards and ends; the time limit is the engine's and is not seen. A search
reads rows and never touches the env that they come from.

Shape key: B trees, N nodes, n simulations, S row size, A actions, O outcomes, M new nodes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.search import expansion, rules, table_kernels, walks
from agents.search.evaluators import Evaluator
from agents.search.halving import considered_visits
from agents.search.new_nodes import NewNodes
from agents.search.payments import Payments, Rewards
from agents.search.rules import GUMBEL, PUCT, Rules
from agents.search.tree import Tree
from agents.search.walks import Leaves
from agents.search_config import SearchConfig
from envs import row_kernels
from envs.compilation import compile_templates
from envs.errors import NonFiniteError, UserError
from envs.rows import MAX_CUTS, World

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search found.

    Attributes:
        actions: int64[B], what to do.
        policy: float64[B, A], what the policy should become: π' = softmax(logits + σ(q̄)) under Gumbel's rules, shares
            of the visits under PUCT. Rows sum to 1.
        values: float64[B], V of the roots with what was found below them.
        tree: all nodes.
        rows: int16[B, N, S], their states.
    """

    actions: NDArray[np.int64]
    policy: Floats
    values: Floats
    tree: Tree
    rows: NDArray[np.int16]


def search(
    world: World,
    rows: NDArray[np.int16],
    evaluator: Evaluator,
    *,
    config: SearchConfig,
    discount: float | None = None,
    noise: Floats | None = None,
    rewards: Rewards | None = None,
) -> SearchResult:
    """Look ahead from every row.

    Trees do not see each other: what comes out for a row does not depend on the others beside it, as far as the
    evaluator gives each row the same numbers in any batch.

    Args:
        world: gives the transitions.
        rows: int16[B, S], B ≥ 1 states in which the episode goes on.
        evaluator: gives prior logits and values of nodes; a logit of −inf makes an action illegal.
        config: how many simulations, by which rule.
        discount: γ; None for the world's own.
        noise: float64[B, A] at the roots; None for none. Gumbel: one Gumbel(0) number per action, which makes the
            action a sample. PUCT: a distribution, of which `config.noise_share` is mixed into the prior.
        rewards: a model whose rewards stand in the tree in place of the world's, where `config.use_rewards` is False;
            what has ended is then worth 0.

    Raises:
        UserError: an action may have more outcomes than can be listed; estimates, noise or rewards of another shape; a
            reward model beside the world's own rewards.
        NonFiniteError: the evaluator gives a value or a logit that is NaN or +inf, or the world such a reward.
    """
    world.require_expandable()
    if rewards is not None and config.use_rewards:
        raise UserError("A reward model stands in place of the world's rewards; search with use_rewards=False.")
    rows = world.checked(rows)
    batch, num_nodes = len(rows), config.num_simulations + 1
    grown = Tree.empty(batch, num_nodes, num_actions=world.num_actions, num_outcomes=world.max_outcomes)
    numbers = rules_of(config, world.discount if discount is None else discount)
    turn, grow = tree_loops()["turn_all"], _Growth(world, rows, num_nodes=num_nodes, numbers=numbers)
    estimates = _checked(evaluator(grow.roots()), (batch, world.num_actions))
    payments = None if rewards is None else Payments(rewards, grown)
    if payments is not None:
        estimates = payments.settle(grown, grow.roots(), estimates)
    noise = start_roots(grown, estimates, config, noise=noise)
    leaves, schedule = Leaves.empty(batch), schedule_of(config, world.num_actions)
    new, scores = grow.nothing(), np.zeros(world.num_actions)
    for simulation in range(config.num_simulations + 1):
        root = (noise, schedule, simulation) if simulation < config.num_simulations else None
        failed = turn(grown, numbers, root, leaves, (scores, new.trees, new.nodes, *estimates))
        if failed >= 0:
            raise NonFiniteError("search leaf", env=failed)
        if root is not None:
            new = grow(grown, leaves)
            if len(new.trees):
                estimates = _checked(evaluator(new), (len(new.trees), world.num_actions))
                estimates = estimates if payments is None else payments.settle(grown, new, estimates)
    return result_of(grown, numbers, noise=noise, rows=grow.states)


def _checked(estimates: tuple[Floats, Floats], shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Refuse estimates of another shape: compiled loops would read past their end."""
    logits, values = estimates
    if logits.shape != shape or values.shape != shape[:1]:
        raise UserError(
            f"The evaluator gave logits of shape {logits.shape} and values of shape {values.shape}; they must be "
            f"{shape} and {shape[:1]}, one row for each new node."
        )
    return estimates


class _Growth:
    """Makes the nodes of leaves by the world's kernel, in arrays that it has once for a search."""

    def __init__(self, world: World, rows: NDArray[np.int16], *, num_nodes: int, numbers: Rules) -> None:
        batch, num_channels = len(rows), max(world.num_channels, 1)
        self.world = world
        self.states = np.zeros((batch, num_nodes, world.row_size), np.int16)
        self.states[:, 0] = rows
        self._new = NewNodes(
            rows.copy(), np.arange(batch), np.zeros(batch, np.int32), np.full(batch, -1, np.int32), num_nodes=num_nodes
        )
        self._kernel = (world.kernel_config, world.reward_weights, numbers.reward_weight)
        cuts, counts = np.zeros((num_channels, MAX_CUTS)), np.zeros(world.num_channels, np.int64)
        self._scratch = (np.zeros(num_channels), cuts, counts, np.zeros(len(world.component_names)))
        self._expand = world_loops(world.module)["expand_leaves"]

    def roots(self) -> NewNodes:
        """All roots, before anything has grown."""
        return self._new

    def nothing(self) -> NewNodes:
        """No node."""
        return self._new.first(0)

    def __call__(self, grown: Tree, leaves: Leaves) -> NewNodes:
        """Expand all leaves; what is returned holds until the next call."""
        new = self._new
        arrays = (self.states, new.rows, new.trees, new.nodes, new.parents)
        count = self._expand(self._kernel, self._scratch, grown, leaves, arrays)
        if count < 0:
            raise ValueError(
                f"{self.world.name} declares max_outcomes {self.world.max_outcomes}, but an action has none or more."
            )
        return new.first(count)


def rules_of(config: SearchConfig, discount: float) -> Rules:
    """The numbers that the compiled loops read."""
    visits = np.arange(config.num_simulations + 1.0)
    rate = config.c_init + np.log((visits + 2.0 + config.c_base) / config.c_base)
    inverse = 1.0 / np.maximum(np.arange(config.num_simulations + 2.0), 1.0)
    return Rules(
        kind=PUCT if config.rule == "puct" else GUMBEL, discount=float(discount), c_visit=float(config.c_visit),
        c_scale=float(config.c_scale), reward_weight=float(config.use_rewards),
        q_range=float(config.q_range or 0.0), prior_weight=np.sqrt(1.0 + visits) * rate, inverse=inverse,
    )  # fmt: skip


def schedule_of(config: SearchConfig, num_actions: int) -> NDArray[np.int32]:
    """The table of `considered_visits`, no wider than there are actions."""
    return considered_visits(min(config.max_considered, num_actions), config.num_simulations)


def start_roots(grown: Tree, estimates: tuple[Floats, Floats], config: SearchConfig, *, noise: Floats | None) -> Floats:
    """Write the roots' evaluation, with noise in PUCT's prior; returns the noise float64[B, A] of Gumbel's rule."""
    logits, values = estimates
    if noise is not None and (noise.shape != logits.shape or not np.isfinite(noise).all()):
        raise UserError(f"Noise has shape {noise.shape}; it must be {logits.shape}, finite, a number for each action.")
    if config.rule == "puct" and noise is not None:
        prior = np.exp(logits - logits.max(axis=1, keepdims=True))
        prior /= prior.sum(axis=1, keepdims=True)
        mixed = (1.0 - config.noise_share) * prior + config.noise_share * noise
        with np.errstate(divide="ignore"):
            logits = np.where(np.isneginf(logits), -np.inf, np.log(mixed))
    failed = tree_loops()["write_evaluations"](grown, np.zeros(len(values), np.int32), logits, values)
    if failed >= 0:
        raise NonFiniteError("search root", env=failed)
    if noise is None or config.rule == "puct":
        return np.zeros(logits.shape)
    return np.ascontiguousarray(noise, np.float64)


def result_of(grown: Tree, numbers: Rules, *, noise: Floats, rows: NDArray[np.int16]) -> SearchResult:
    """Read the decision off grown trees; NonFiniteError where a reward in them was not finite."""
    # Whatever is backed up anywhere in a tree reaches its root.
    failed = np.flatnonzero(~np.isfinite(grown.value[:, 0]))
    if len(failed):
        raise NonFiniteError("search reward or value", env=int(failed[0]))
    actions, policy = np.zeros(len(noise), np.int64), np.zeros(noise.shape)
    tree_loops()["decide_all"](grown, numbers, noise, np.zeros(noise.shape[1]), (actions, policy))
    return SearchResult(actions, policy, grown.value[:, 0].copy(), grown, rows)


@functools.cache
def tree_loops() -> Mapping[str, Callable[..., Any]]:
    """The compiled loops that no world takes part in."""
    return compile_templates(walks.__name__, (rules, walks, table_kernels))


@functools.cache
def world_loops(module: str) -> Mapping[str, Callable[..., Any]]:
    """The compiled loops that call a world's transition."""
    templates = (row_kernels, rules, walks, expansion)
    return compile_templates(module, templates, functions=("transition", "breakpoints"))
