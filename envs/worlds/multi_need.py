"""MultiNeed: one of K needs is current, and only the object of the current need pays.

A level draws the agent's start and the cells of K objects, all distinct, in an open room. An episode draws a cue, which
is its context; cue c stands for need c mod K, so that with `cues_per_need` > 1 several cues stand for one need.
Reaching the needed object gives component need_k = 1, event k, and ends the episode. Other objects do nothing, or cost
`wrong_cost` for each step that ends on one of them.

With `continuing` nothing ends but by the time limit: at the needed object the next cue is drawn, uniformly from the
cues of the other needs, on a channel of its own, while agent and objects stay where they are. With `drift` > 0 each
object moves one cell to the right with that probability at every step, on a channel of its own, and comes back in at
the left wall; objects may then share a cell.

The context is the cue and the event the need: what the agent is shown and what reinforces it can so be told apart.
The dose is K: with one need its cue says nothing, and the more needs there are, the less of V can do without it.

Without drift, continuing and costs V* = γ^(distance − 1), and a level has (size² − 1) · cues states while cues stay
shown or hidden: the needed object's cell ends the episode. Hidden performance equals reward.

Row: [agent, object_0 .. object_{K-1}, need, tag]; tag = 2 (cue div K) + fresh, and where a cue is shown only first,
fresh is 1 from its draw to the next transition, else 0.
"""

# mypy: disable-error-code="no-untyped-def, call-arg, type-var, operator"
from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from envs.errors import UserError, require_choice, require_flag, require_integer, require_number
from envs.family import Family
from envs.noise import level_key
from envs.rows import World
from envs.worlds.cells import (
    ACTION_NAMES,
    MAX_SIZE,
    draw_cell,
    in_line,
    is_interior,
    move,
    room_background,
    scatter,
    shift_right,
)
from envs.worlds.options import WorldConfig

CONTEXTS = ("shown", "hidden", "first")
_SHOWN, _FIRST = CONTEXTS.index("shown"), CONTEXTS.index("first")


@dataclass(frozen=True)
class MultiNeedConfig(WorldConfig):
    """Options of MultiNeed.

    Attributes:
        size: Interior cells per side, 2 to 62.
        num_objects: K, objects and needs, 1 to 8, fewer than the cells.
        cues_per_need: Cues that stand for one need, 1 to 8; there are K times as many cues.
        context: Whether the cue is "shown" at every step, "hidden", or shown only at its "first" observation.
        continuing: Whether the needed object brings the next cue and not the end; needs two objects.
        wrong_cost: Cost of a step that ends on an object that is not needed; 0 logs neither component nor event for it.
        drift: Probability that an object moves at a step, 0 to 1.
    """

    size: int = 7
    num_objects: int = 4
    cues_per_need: int = 1
    context: str = "shown"
    continuing: bool = False
    wrong_cost: float = 0.0
    drift: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        super().__post_init__()
        require_integer("size", self.size, low=2, high=MAX_SIZE)
        require_integer("num_objects", self.num_objects, low=1, high=min(8, self.size**2 - 1))
        require_integer("cues_per_need", self.cues_per_need, low=1, high=8)
        require_choice("context", self.context, choices=CONTEXTS)
        require_flag("continuing", self.continuing)
        require_number("wrong_cost", self.wrong_cost, low=0.0, high=1e6)
        require_number("drift", self.drift, low=0.0, high=1.0)
        if self.continuing and self.num_objects == 1:
            raise UserError(
                "num_objects is 1, allowed with continuing are 2 to 8, as the next need is another; give one more."
            )


class Numbers(NamedTuple):
    """What the numba functions read."""

    size: int
    num_objects: int
    cues_per_need: int
    context: int
    continuing: bool
    costly: bool
    drift: float
    cue_channel: int


@njit
def begin(config, row, level, start):
    """Draw distinct cells from the level; the start is the cue."""
    count = config.num_objects + 1
    scatter(row[:count], level_key(level), config.size)
    row[count] = start % config.num_objects
    row[count + 1] = 2 * (start // config.num_objects) + int(config.context == _FIRST)


@njit
def transition(config, row, action, draws, components):
    """Agent moves, objects drift, then the needed object pays and the others cost."""
    num_objects = config.num_objects
    row[0] = move(row[0], action, config.size)
    if config.drift > 0.0:
        for i in range(num_objects):
            if draws[i] < config.drift:
                row[1 + i] = shift_right(row[1 + i], config.size)
    need, tag = row[num_objects + 1], row[num_objects + 2] & ~1
    met = row[1 + need] == row[0]
    # No branch here: where a branch stores into the row, numba counts references, and half of the speed is gone.
    renewed = int(met) * int(config.continuing)
    next_need, next_tag = _next_cue(config, need, draws[config.cue_channel])
    row[num_objects + 1] = need + renewed * (next_need - need)
    row[num_objects + 2] = tag + renewed * (next_tag - tag)
    if met:
        components[need] = 1.0
        return need, not config.continuing
    event = -1
    if config.costly:
        for i in range(num_objects):
            if row[1 + i] == row[0]:
                components[num_objects] = 1.0
                event = num_objects
    return event, False


@njit
def _next_cue(config, need, draw):
    """Need and tag of a cue of another need: `draw` in [0, 1) goes by need, and within a need by cue."""
    place = draw * (config.num_objects - 1)
    other = int(place)
    which = int((place - other) * config.cues_per_need)
    return other + int(other >= need), 2 * which + int(config.context == _FIRST)


@njit
def observe(config, row, planes, vector):
    """Agent and objects in their planes, the cue one-hot where it is shown."""
    for i in range(config.num_objects + 1):
        draw_cell(planes, i, row[i])
    if config.context == _SHOWN or row[config.num_objects + 2] & 1 == 1:
        vector[context(config, row)] = 1.0


@njit
def breakpoints(config, row, action, channel, cuts):
    """Each object moves below `drift` and stays above it; cues divide [0, 1) evenly where the need may be met."""
    if config.continuing and channel == config.cue_channel:
        if not _may_reach(config, row, action):
            return 0
        num_cues = (config.num_objects - 1) * config.cues_per_need
        for i in range(1, num_cues):
            cuts[i - 1] = i / num_cues
        return num_cues - 1
    if 0.0 < config.drift < 1.0:
        cuts[0] = config.drift
        return 1
    return 0


@njit
def _may_reach(config, row, action):
    """Whether the needed object can be where the agent goes; the draws of the drift are not known here."""
    target = move(row[0], action, config.size)
    needed = row[1 + row[config.num_objects + 1]]
    return needed == target or (config.drift > 0.0 and shift_right(needed, config.size) == target)


@njit
def context(config, row):
    """The current cue."""
    return row[config.num_objects + 1] + config.num_objects * (row[config.num_objects + 2] >> 1)


@njit
def possible(config, row, first, ended):
    """The level's objects, in their lines where they drift, and a cue; the needed object ends what does not go on."""
    num_objects, size = config.num_objects, config.size
    need, tag, num_others = row[num_objects + 1], row[num_objects + 2], 0
    for i in range(num_objects):
        cell = row[1 + i]
        num_others += int(i != need and cell == row[0])
        if cell != first[1 + i] and not (config.drift > 0.0 and in_line(cell, first[1 + i], size)):
            return False
    if not (is_interior(row[0], size) and 0 <= need < num_objects and 0 <= tag >> 1 < config.cues_per_need):
        return False
    renewed = config.continuing and num_others > 0  # the need before was met here
    if tag & 1 == 1 and not (config.context == _FIRST and (renewed or row[0] == first[0])):
        return False
    met = row[1 + need] == row[0]
    return not ended and (renewed or not met) if config.continuing else met == ended


def world(config: MultiNeedConfig) -> World:
    """The world with the given options; components and events are the needs, then "wrong" where it costs."""
    k, costly, drifting = config.num_objects, config.wrong_cost > 0, config.drift > 0
    needs = tuple(f"need_{i}" for i in range(k))
    several = config.cues_per_need > 1
    cues = tuple(f"cue_{c}_need_{c % k}" for c in range(k * config.cues_per_need)) if several else needs
    outcomes = needs + (("wrong",) if costly else ())
    weights = np.array([1.0] * k + [-float(config.wrong_cost)] * costly)
    plane_names = ("agent", *(f"object_{i}" for i in range(k)), "wall")
    num_next = (k - 1) * config.cues_per_need if config.continuing else 1
    return World(
        name="MultiNeed", module=__name__, config=config,
        kernel_config=Numbers(
            config.size, k, config.cues_per_need, CONTEXTS.index(config.context), bool(config.continuing), costly,
            float(config.drift), k if drifting and config.continuing else 0,
        ),
        row_size=k + 3,
        num_channels=k * drifting + config.continuing,
        num_starts=len(cues),
        num_levels=config.num_levels,
        plane_names=plane_names,
        vector_names=cues,
        component_names=outcomes, event_names=outcomes,
        action_names=ACTION_NAMES,
        context_names=cues,
        reward_weights=weights, performance_weights=weights.copy(),
        discount=config.discount, time_limit=config.time_limit,
        max_outcomes=num_next * (2**k if 0 < config.drift < 1 else 1),
        background=room_background(config.size, num_planes=len(plane_names)),
    )  # fmt: skip


FAMILY = Family(
    MultiNeedConfig,
    world,
    {
        "5x5": {"size": 3}, "Objects2": {"num_objects": 2}, "Objects8": {"num_objects": 8},
        "Hidden": {"context": "hidden"}, "First": {"context": "first"},
        "Continuing": {"continuing": True}, "TwoCues": {"cues_per_need": 2}, "Drift": {"drift": 0.1},
    },
    dose=("num_objects",),
)  # fmt: skip
