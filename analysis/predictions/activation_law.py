"""T2, the activation law: does a part's contribution fall with distance from the events that reinforced it?

Shapes: N states, C contexts and parts.

In each run the needed objects of context c were met in one corner of the room alone, corners drawn at random. V* knows
no place, but any smooth regressor decays away from its data, and rooms have edges. So the decay is read twice in
excess: of a sister network whose places were the opposite corners, and of a kernel regression on the same episodes.
    decay(A, place) = mean over contexts of -slope of the part's contribution on the distance of the needed object from
        the context's corner under `place`, V* held fixed (least squares), in units of the contribution's RMS per cell;
    excess = [decay(A, places of A) - decay(B, places of A) + decay(B, places of B) - decay(A, places of B)] / 2,
    score = excess of the networks' parts - excess of the two kernels.
The part of a context is found without labels and matched by the damage that it does (`ablation`).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from analysis.predictions.ablation import damage_shares
from analysis.predictions.parts import Floats, Ints, find_parts, part_contributions
from analysis.predictions.prediction import Prediction

PREDICTION = Prediction(
    key="T2",
    question="Does a part of V fade away from where its events were, more than any smooth fit does?",
    world="ValueLab/MultiNeed-v0",
    actor="none",
    metric="decay of a part's contribution per cell of distance from its context's reinforced corner, in RMS of the "
    "contribution, in excess of a sister with the opposite corners and of kernel regression",
    margin=0.02,
    family="exploratory",
    positive="planted contributions V* exp(-distance / 3)",
    null="planted contributions V*, which knows no place",
    rule="estimate with a 95 % interval over seeds; 0 means: as any smooth regressor. Read only if FADING - OPTIMUM "
    "has a lower 90 % bound above the margin and the 90 % interval of OPTIMUM lies inside it",
    does_not_show="that parts decay because they are parts: V as a whole may decay as fast (the reading `whole V`)",
    version=2,
)


def corner_distance(cells: Ints, corners: Ints, size: int) -> Ints:
    """Steps from a cell to a corner block of ceil(size/2) cells a side.

    Args:
        cells: int[N, 2], y and x in 0..size-1.
        corners: int[N] in 0..3: 2 (lower half) + (right half).
        size: Cells per side.

    Returns:
        int[N], 0 inside the block.
    """
    far = np.stack([corners // 2, corners % 2], axis=1) == 1
    inner = (size - 1) // 2
    beyond = np.where(far, (size - 1 - inner) - cells, cells - inner)
    return np.asarray(np.maximum(beyond, 0).sum(axis=1))


def matched_contributions(contributions: Floats, contexts: Ints, *, seed: int) -> Floats:
    """In each state, what the part says that is matched to the state's context: float[N] of u float[N, U]."""
    num_contexts = int(contexts.max()) + 1
    parts = find_parts(contributions, num_contexts, seed=seed)
    by_part = part_contributions(contributions, parts, num_contexts)
    owners = linear_sum_assignment(-damage_shares(by_part, contexts, num_contexts).T)[1]
    return np.asarray(by_part[np.arange(len(by_part)), owners[contexts]])


def decay(activity: Floats, contexts: Ints, *, distance: Ints, optimum: Floats) -> float:
    """Mean over contexts of the fall per cell of distance at fixed V*, in RMS of the activity.

    Args:
        activity: float[N], what the context's own part says in each state (or V, or a kernel's prediction).
        contexts: int[N] in 0..C-1.
        distance: int[N] from the context's place.
        optimum: V*, float[N].

    Returns:
        The decay; a part whose mean is negative fades where it rises. A part that says nothing counts as 0.
    """
    falls = []
    for context in range(int(contexts.max()) + 1):
        here = contexts == context
        said = activity[here] * np.sign(activity[here].mean())
        design = np.stack([np.ones(here.sum()), optimum[here], distance[here]], axis=1)
        slope = np.linalg.lstsq(design, said, rcond=None)[0][2]
        falls.append(-slope / max(float(np.sqrt((said**2).mean())), np.finfo(float).tiny))
    return float(np.mean(falls))


def excess_decay(
    pair: tuple[Floats, Floats], contexts: Ints, *, distances: tuple[Ints, Ints], optimum: Floats
) -> float:
    """How much more each of two networks fades from its own places than the other does from them.

    Args:
        pair: `activity` of the network and of its sister.
        contexts: int[N].
        distances: From the network's places, and from the sister's.
        optimum: V*, float[N].
    """
    falls = [[decay(said, contexts, distance=far, optimum=optimum) for far in distances] for said in pair]
    return float((falls[0][0] - falls[1][0] + falls[1][1] - falls[0][1]) / 2.0)
