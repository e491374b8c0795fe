"""T6, contextual preference reversal: is what was best of a poor pair taken before what was second of a rich one?

Objects A > B > C > D are only met as A with B and as C with D. Shown B with C, an agent whose values are worths takes
B; one whose values are ranks within the context takes C, as people often do.

Shapes: P pairs, L layouts (the doors of a pair's two objects), A actions, N rows, S row size.

An actor's choice is read at the centre, from its first step, as a forced choice between the two doors: a step later V1
sees the true reward of the object before it, and V has no say. D's is the probability with which it ends there.
V^pi itself is no measure of worth: a policy that walks away from B teaches that it is better not to stand beside B.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.predictions.parts import Floats, Ints
from analysis.predictions.prediction import Prediction
from envs.rows import World
from envs.states import Rows
from envs.worlds.cells import ROW_STRIDE

PREDICTION = Prediction(
    key="T6",
    question="Learned A > B and C > D in separate contexts, B worth more than C: is C taken before B?",
    world="ValueLab/TwoDoors-v0",
    actor="V1; D beside it",
    metric="share of the 12 layouts of B with C in which the first step towards C is worth more to V1 than that "
    "towards B; 0 for V*, 1 for values that are ranks within a context. Rewards of A to D: 1, .9, .2, .1",
    margin=0.1,
    family="exploratory",
    positive="RELATIVE: planted values that are coded within the range of their context",
    null="ABSOLUTE: planted values that are worths",
    rule="estimate with a 95 % interval over seeds, in three recordings: D and 5 % random steps, advantages not "
    "normalised and normalised, and play at random (explored). Read only if RELATIVE - ABSOLUTE has a lower 90 % "
    "bound above the margin and ABSOLUTE lies inside it, and if the known answer of D comes out in every seed: plain "
    "REINFORCE ends at C with probability .95 or more. V-PI is V1 on the exact V^pi: where it takes C as well, a "
    "reversal of an arm shows nothing but that V is the value of what D does",
    does_not_show="that an arm codes values by context where V-PI reverses too; nor anything about how people do it. "
    "That D reverses is known beforehand, and D is the same in all arms",
)
PAIRS = (("A", "C"), ("A", "D"), ("B", "C"), ("B", "D"))
"""In the order of crossed levels; the first of each pair is worth more."""
REVERSED = PAIRS.index(("B", "C"))
KNOWN = 0.95
"""What D's probability of C over B must reach."""
NUM_LAYOUTS = 12
_OBJECTS = "ABCD"
_SEARCHED = 1600


@dataclass(frozen=True)
class Doors:
    """The first states of all crossed levels.

    Attributes:
        levels: int64[P, L], a test level that shows each.
        rows: int16[P, L, S].
        actions: int64[P, L, 2], the steps towards the better and the worse object.
    """

    levels: Ints
    rows: Rows
    actions: Ints


def crossed_doors(world: World) -> Doors:
    """Every pair in every layout, once.

    Args:
        world: TwoDoors with layout "crossed" and at least 1,600 levels, among which each state is certain to be found.
    """
    levels = world.levels("test").first + np.arange(_SEARCHED)
    rows = world.begin(levels, 0)
    _, first = np.unique(rows, axis=0, return_index=True)
    first = np.sort(first)
    chosen = np.stack([first[first % len(PAIRS) == pair] for pair in range(len(PAIRS))])
    starts = rows[chosen]
    better, worse = ([_OBJECTS.index(pair[which]) for pair in PAIRS] for which in (0, 1))
    index = np.arange(len(PAIRS))
    cells = np.stack([starts[index, :, np.array(which) + 1] for which in (better, worse)], axis=-1)
    return Doors(levels[chosen], starts, _towards(cells.astype(np.int64) - starts[..., :1]))


def _towards(offset: Ints) -> Ints:
    """The action that walks along a straight offset between cells: 0 up, 1 right, 2 down, 3 left."""
    along_row = np.abs(offset) < ROW_STRIDE // 2
    return np.where(along_row, np.where(offset > 0, 1, 3), np.where(offset > 0, 2, 0))


def forced_choices(doors: Doors, scores: Floats) -> Floats:
    """1 where the worse object's door scores higher than the better one's, 0 where lower, .5 where alike.

    Args:
        doors: The states.
        scores: What the actor thinks of its actions there, float[P, L, A].

    Returns:
        float64[P, L]; its mean over layouts is the share of choices of the worse object.
    """
    better, worse = (np.take_along_axis(scores, doors.actions[..., which, None], -1)[..., 0] for which in (0, 1))
    return np.where(worse > better, 1.0, np.where(worse < better, 0.0, 0.5))


def share_made(doors: Doors, scores: Floats) -> float:
    """Share of states of B with C in which the best of all actions is a step towards either door."""
    best = scores[REVERSED].argmax(axis=-1)
    return float((best[:, None] == doors.actions[REVERSED]).any(axis=1).mean())


def coded_worths(rewards: Floats, *, relative: bool) -> Floats:
    """What A to D are worth to a planted agent: the rewards, or (reward - min)/(max - min) within AB and within CD."""
    if not relative:
        return np.asarray(rewards, np.float64)
    pairs = np.asarray(rewards, np.float64).reshape(2, 2)
    low, high = pairs.min(axis=1, keepdims=True), pairs.max(axis=1, keepdims=True)
    return np.asarray(((pairs - low) / (high - low)).ravel())


def planted_values(rows: Rows, worths: Floats, discount: float) -> Floats:
    """Max over present objects of worth x discount^(distance - 1), float[N]; 1/discount x worth on the object."""
    agent, objects = rows[:, :1].astype(np.int64), rows[:, 1:].astype(np.int64)
    distance = np.abs(agent // ROW_STRIDE - objects // ROW_STRIDE) + np.abs(agent % ROW_STRIDE - objects % ROW_STRIDE)
    return np.asarray(np.where(objects >= 0, worths * discount ** (distance - 1.0), -np.inf).max(axis=1))
