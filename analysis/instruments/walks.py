"""Where an agent can walk from one state of a deterministic grid world, and how probably it walks there.

The retargetability of Mini, Turner et al. (2023), arXiv 2310.08043, is the *normalised path probability* of a cell: in
a maze whose cells are joined by one path of n steps, the geometric mean of the probabilities of its actions,
(Π_t π(a_t | s_t))^(1/n). Here cells may be joined by several shortest paths, and the probability is that of taking any
of them, (Σ_paths Π_t π(a_t | s_t))^(1/n), which is the same where there is one. In an open room a policy that cannot
lose its way then has 1, and not the half that each of two equally good actions has.

Shapes: N nodes, A actions, H rows and W columns of the grid, ... any batch of values or policies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from envs.errors import UserError
from envs.rows import Rows, World

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NO_OBJECTS = frozenset({"agent", "wall", "floor"})
"""Planes of a grid that show no object."""
DIRECTIONS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"up": (-1, 0), "right": (0, 1), "down": (1, 0), "left": (0, -1)}
)
"""What an action adds to (row, column), rows counted downwards."""


@dataclass(frozen=True, eq=False)
class Walks:
    """The states that can be reached from node 0, and the ends of episodes, which are nodes, too.

    Attributes:
        rows: int16[N, S], in the order of their distance.
        cell: int64[N], W · row + column of the agent.
        distance: int64[N], steps of a shortest path from node 0.
        next_node: int64[N, A]; the node itself at ends.
        reward: float64[N, A]; 0 at ends.
        ended: bool[N], whether the episode ends there.
        discount: γ.
        walls: bool[H, W].
        directions: A pairs (row step, column step).
    """

    rows: Rows
    cell: Ints
    distance: Ints
    next_node: Ints
    reward: Floats
    ended: NDArray[np.bool_]
    discount: float
    walls: NDArray[np.bool_]
    directions: tuple[tuple[int, int], ...]

    @property
    def grid(self) -> tuple[int, int]:
        """(H, W)."""
        height, width = self.walls.shape
        return height, width


def agent_cells(world: World, rows: Rows) -> Ints:
    """W · row + column of the agent in rows int16[N, S], int64[N]."""
    agent = world.observe(rows)["planes"][:, world.plane_names.index("agent")]
    return np.asarray(agent.reshape(len(rows), -1).argmax(axis=1), dtype=np.int64)


def object_cells(world: World, row: Rows) -> dict[str, tuple[int, int]]:
    """(row, column) of the objects that are present in a state int16[S], by their plane's name without "object_"."""
    found = {}
    for plane, name in zip(world.observe(row[None])["planes"][0], world.plane_names, strict=True):
        if name not in NO_OBJECTS and plane.any():
            y, x = np.unravel_index(int(plane.argmax()), plane.shape)
            found[name.removeprefix("object_")] = (int(y), int(x))
    return found


def walks_from(world: World, row: Rows) -> Walks:
    """Follow all actions from a state.

    Args:
        world: Deterministic, with an agent on a grid who moves up, right, down and left.
        row: int16[S].

    Raises:
        UserError: Another world.
    """
    _require_walks(world)
    rows, distance, ended = [np.asarray(row, np.int16)], [0], [False]
    numbers, expanded = {rows[0].tobytes(): 0}, 0
    next_node, reward = [], []
    while expanded < len(rows):
        layer = range(expanded, len(rows))
        outcomes = world.expand(np.stack(rows[expanded:]))
        for node, ahead, final in zip(layer, outcomes.next_rows[:, :, 0], outcomes.terminated[:, :, 0], strict=True):
            following = [node] * world.num_actions
            for action, reached in enumerate(() if ended[node] else ahead):
                following[action] = numbers.setdefault(reached.tobytes(), len(rows))
                if following[action] == len(rows):
                    rows.append(reached)
                    distance.append(distance[node] + 1)
                    ended.append(bool(final[action]))
            next_node.append(following)
        reward.append(outcomes.components[:, :, 0] @ world.reward_weights)
        expanded = layer.stop
    table, is_end = np.stack(rows), np.array(ended)
    walls = world.observe(table[:1])["planes"][0, world.plane_names.index("wall")].astype(np.bool_)
    return Walks(
        table, agent_cells(world, table), np.array(distance), np.array(next_node),
        np.where(is_end[:, None], 0.0, np.concatenate(reward)), is_end, float(world.discount), walls,
        tuple(DIRECTIONS[action] for action in world.action_names),
    )  # fmt: skip


def _require_walks(world: World) -> None:
    if world.max_outcomes > 1:
        raise UserError(f"{world.name} has chance in it, so there is no one walk to a cell; choose options without.")
    if not ({"agent", "wall"} <= set(world.plane_names) and set(world.action_names) <= DIRECTIONS.keys()):
        raise UserError(
            f"{world.name} has planes {', '.join(world.plane_names)} and actions {', '.join(world.action_names)}; "
            f"walks need the planes agent and wall, and actions among {', '.join(DIRECTIONS)}."
        )


def lookahead_probs(walks: Walks, values: Floats, *, temperature: float) -> Floats:
    """V₁ with a soft choice: π(a | n) ∝ exp(Q(n, a)/temperature), Q = r + γ V(next node), V = 0 at ends.

    Args:
        walks: N nodes.
        values: V, float64[..., N]; what it says at ends is not read.
        temperature: In units of reward, above 0; near 0 the choice is greedy, with equal shares among equals.

    Returns:
        float64[..., N, A], rows sum to 1; uniform at ends.
    """
    known = np.where(walks.ended, 0.0, values)
    scaled = (walks.reward + walks.discount * known[..., walks.next_node]) / temperature
    probs: Floats = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    probs /= probs.sum(axis=-1, keepdims=True)
    return probs


def path_probability(walks: Walks, policy_probs: Floats) -> Floats:
    """Normalised probability of walking from node 0 to each cell by a shortest path (see the module's head).

    Args:
        walks: N nodes.
        policy_probs: π, float64[..., N, A].

    Returns:
        float64[..., H·W] in [0, 1]; 1 at the cell of node 0, NaN at cells that are not reached.
    """
    reach = np.zeros(policy_probs.shape[:-1])
    reach[..., 0] = 1.0
    for node in range(len(walks.rows)):
        for action, following in enumerate(walks.next_node[node]):
            if walks.distance[following] == walks.distance[node] + 1:
                reach[..., following] += reach[..., node] * policy_probs[..., node, action]
    steps = np.full(walks.walls.size, np.iinfo(np.int64).max)
    np.minimum.at(steps, walks.cell, walks.distance)
    found = np.full((*reach.shape[:-1], walks.walls.size), np.nan)
    found[..., walks.cell] = 0.0
    for nearest in np.flatnonzero(walks.distance == steps[walks.cell]):
        found[..., walks.cell[nearest]] += reach[..., nearest]
    normalised: Floats = found ** (1.0 / np.maximum(steps, 1))
    return normalised


def path_to_cells(walks: Walks, policy_probs: Floats, cells: Ints) -> Floats:
    """Normalised path probability of each cell under its own policy: float64[T] of float64[T, N, A] or [N, A]."""
    batch = np.broadcast_to(policy_probs, (len(cells), *policy_probs.shape[-2:]))
    return np.asarray(path_probability(walks, batch)[np.arange(len(cells)), cells])


def on_grid(walks: Walks, numbers: Floats, cells: Ints) -> Floats:
    """Numbers float64[T] of cells int64[T] at their places, NaN elsewhere: float64[H, W]."""
    found = np.full(walks.walls.size, np.nan)
    found[cells] = numbers
    return found.reshape(walks.grid)


def field_of(walks: Walks, policy_probs: Floats) -> Floats:
    """The policy float64[N, A] at each cell, by its nearest node that is no end: float64[H, W, A], NaN elsewhere."""
    field = np.full((walks.walls.size, policy_probs.shape[1]), np.nan)
    alive = np.flatnonzero(~walks.ended)[::-1]
    field[walks.cell[alive]] = policy_probs[alive]
    return field.reshape(*walks.grid, -1)
