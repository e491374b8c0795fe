"""T8a, privileged access: does a network's own hidden layer tell its choices better than a sister's layer does?

Shapes: N states, A actions, P features of an action, C contexts.

Two networks, own and sister, share architecture and data and differ in their initial weights. A head is a linear model
of choices (`choice_model`): it sees one network's last hidden layer at the states to which the actions lead, and names
the action that one of the networks chooses. It is fitted in all contexts but one, on half of the layouts, and read in
the context that was held out, on the other half.

Most choices are V*'s, hence shared, and any good layer tells them. So heads are read where the two networks choose
differently, and are asked which of the two choices is that of the network they were fitted to:
    hit(x -> y) = share of these states at which the head from the layer of x to the choices of y puts y's choice above
                  the other's; ties count half,
    score = mean over y of hit(y -> y) - hit(x -> y), x the other network;  mean over held-out contexts.
What both layers know, and what makes one of them the better layer for everybody's choices, cancels: then the score is
0. A layer that tells its own deviations, and nothing of the other's, scores 0.5; a score nears 1 where each layer
also insists on its own choice when it is asked for the other's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from analysis.predictions.choice_model import fit_choices
from analysis.predictions.parts import Floats, Ints
from analysis.predictions.prediction import Prediction

Flags = NDArray[np.bool_]

PREDICTION = Prediction(
    key="T8a",
    question="Does V's own hidden layer tell its choices in a new context better than a sister network's layer does?",
    world="ValueLab/MultiNeed-v0, ValueLab/DiamondGhost-v0",
    actor="V1",
    metric="hit(own layer) - hit(sister's layer) of a linear head that sees the layer where the actions lead and names "
    "which of two different choices is the network's own, in a context and on layouts that it was not fitted on; mean "
    "over both networks and all contexts",
    margin=0.1,
    family="confirmatory",
    positive="planted pair OWN-NOISE: layers that mix Q* with the network's own noise, which decides its choice",
    null="planted pair SHARED: the same choices, but layers that mix Q* with noise that decides nothing",
    rule="read only if OWN-NOISE - SHARED has a lower 90 % bound above the margin and the 90 % interval of SHARED lies "
    "inside it; then each arm that is no control against 0, and the primary contrasts, Holm over each family: "
    "distinguishable if the adjusted interval excludes 0 and |mean| > margin; equivalent if the 90 % interval lies "
    "inside the margin; else inconclusive",
    does_not_show="that the network uses what the head reads, or has a model of itself: V is linear in its last layer, "
    "so that privilege is to be expected, and what is tested is whether it reaches into a context that the head never "
    "saw. A score of 0 does not show that nothing is told, since a readout that is not linear may find it",
)
PENALTY = 1e-3


@dataclasses.dataclass(frozen=True)
class Network:
    """A network as heads see it: `options` float[N, A, P], its layer where each action leads; `choices` int[N]."""

    options: Floats
    choices: Ints


@dataclasses.dataclass(frozen=True)
class Split:
    """Where a head is fitted and where it is read, both bool[N]."""

    fitted: Flags
    read: Flags


@dataclasses.dataclass(frozen=True)
class Access:
    """What heads tell, the mean over both networks and over held-out contexts.

    Attributes:
        score: own_hit - sister_hit, -1..1.
        own_hit: hit(y -> y), 0..1.
        sister_hit: hit(x -> y).
        accuracy_gap: Accuracy of own minus sister's layer over all states and actions: small where choices are shared.
        nats_gap: The same in log-likelihood per state.
        familiar: The score of heads that were fitted in all contexts.
        differing: Share of states where the two choose differently.
    """

    score: float
    own_hit: float
    sister_hit: float
    accuracy_gap: float
    nats_gap: float
    familiar: float
    differing: float


def privileged_access(own: Network, sister: Network, *, contexts: Ints, layouts: Ints) -> Access:
    """Score two networks that differ in their initial weights.

    Args:
        own: The network.
        sister: The other one, at the same states.
        contexts: int[N], context of each state, at least two.
        layouts: int[N], at least two; levels that look alike have one number.

    Returns:
        The scores. The two networks may change places.

    Raises:
        ValueError: One context or one layout only, or the two choose alike wherever a head is read.
    """
    held_out = np.mean([_readings(own, sister, split) for split in held_out_contexts(contexts, layouts)], axis=0)
    familiar = _readings(own, sister, held_out_layouts(layouts))
    own_hit, sister_hit, accuracy_gap, nats_gap = (float(number) for number in held_out)
    return Access(
        score=own_hit - sister_hit,
        own_hit=own_hit,
        sister_hit=sister_hit,
        accuracy_gap=accuracy_gap,
        nats_gap=nats_gap,
        familiar=float(familiar[0] - familiar[1]),
        differing=float((own.choices != sister.choices).mean()),
    )


def held_out_layouts(layouts: Ints) -> Split:
    """Fitted on one half of the layouts (every other number), read on the other half."""
    names, number = np.unique(layouts, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"all {len(layouts)} states are of one layout; a head is read on others: give at least two.")
    half = number % 2 == 0
    return Split(half, ~half)


def held_out_contexts(contexts: Ints, layouts: Ints) -> Iterator[Split]:
    """Per context: fitted in the other contexts on one half of the layouts, read in this one on the other half."""
    names, halves = np.unique(contexts), held_out_layouts(layouts)
    if len(names) < 2:
        raise ValueError(f"all {len(contexts)} states are of context {names.tolist()}; one is held out: give two.")
    for context in names:
        here = contexts == context
        yield Split(halves.fitted & ~here, halves.read & here)


def head_log_probs(options: Floats, choices: Ints, split: Split) -> Floats:
    """Log probability of each action, float[rows read, A], by a head from `options` to `choices`."""
    head = fit_choices(options[split.fitted], choices[split.fitted], penalty=PENALTY)
    return head.log_probs(options[split.read])


def _readings(own: Network, sister: Network, split: Split) -> Floats:
    """Own hit, sister's hit, accuracy gap and nats gap, float[4], each the mean over both networks."""
    return np.asarray(np.mean([_of_network(own, sister, split), _of_network(sister, own, split)], axis=0))


def _of_network(network: Network, other: Network, split: Split) -> Floats:
    chosen, rival = network.choices[split.read], other.choices[split.read]
    differ, rows = chosen != rival, np.arange(len(chosen))
    if not differ.any():
        raise ValueError(f"the two networks choose alike at all {len(chosen)} states that are read; read more states.")
    hits, accuracy, nats = [], [], []
    for reader in (network, other):
        log_probs = head_log_probs(reader.options, network.choices, split)
        hits.append(_share_above(log_probs[rows, chosen][differ], log_probs[rows, rival][differ]))
        accuracy.append(float((log_probs.argmax(axis=1) == chosen).mean()))
        nats.append(float(log_probs[rows, chosen].mean()))
    return np.array([hits[0], hits[1], accuracy[0] - accuracy[1], nats[0] - nats[1]])


def _share_above(first: Floats, second: Floats) -> float:
    """Share of entries in which the first is the larger, ties counting half."""
    return float((first > second).mean() + 0.5 * (first == second).mean())
