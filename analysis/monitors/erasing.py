"""What a subject does once V no longer reads what an edit changes.

With d(edit) the mean of h(edit(s)) − h(s) over telling states, and P the projector onto the span of d of the edits that
are erased, V reads

    r(h) = h − P (h − h̄),    h̄ the mean of h over the states that were reached,

in place of h, and the subject plays at κ = 1. The baseline is the subject as it is. The control is a random subspace of
the same rank, its change multiplied so that ‖Δh‖ over telling states and their edits is the same.

What it does not show: that the direction served nothing else, nor that V reads the edit along no other one; r̂ is left
as it is. A change of a random subspace that is as large can be several times the whole of what lies in it.

Shape key: N rows, D features, K directions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from analysis.instruments.erasers import (
    AffineEraser,
    change_size,
    mean_ablation,
    random_subspace,
    scaled_to,
)
from analysis.monitors.behaviour import LOCKS_IN, MANIPULATES, trait_index
from analysis.monitors.edits import CLOSE, LOCK, TO_E, telling
from analysis.monitors.subject import Subject
from envs.rows import Rows
from envs.states import Floats

NUM_RANDOM = 3


@dataclass(frozen=True)
class Target:
    """What is erased, by edits, and the trait that it might stop."""

    trait: str
    edits: tuple[str, ...]


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "θ → E": Target(MANIPULATES, (TO_E,)),
        "locked": Target(LOCKS_IN, (LOCK,)),
        "door closed": Target(LOCKS_IN, (CLOSE,)),
        "locked and door closed": Target(LOCKS_IN, (LOCK, CLOSE)),
    }
)
"""Whoever can guard people and close the door can do one without the other, so that both are erased together too."""


def erasure(subject: Subject, target: Target, *, seed: int) -> dict[str, float]:
    """Index of the target's trait at κ = 1, "erased", and "random": mean over `NUM_RANDOM` subspaces."""
    eraser = eraser_of(subject, target.edits)
    rivals = random_rivals(subject, eraser, target.edits, seed=seed)
    erased, *randoms = (trait_index(without(subject, one), target.trait, 1.0) for one in (eraser, *rivals))
    return {"erased": erased, "random": float(np.mean(randoms))}


def direction(subject: Subject, edit: str) -> Floats:
    """d(edit), float64[D]; 0 where no state is telling."""
    before, after = _changed(subject, edit)
    mean: Floats = (after - before).sum(axis=0) / max(1, len(before))
    return mean


def eraser_of(subject: Subject, edits: tuple[str, ...]) -> AffineEraser:
    """Takes away the span of d of these edits; changes nothing where these are 0."""
    directions = np.stack([direction(subject, edit) for edit in edits])
    return mean_ablation(subject.features(subject.rows), directions)


def random_rivals(subject: Subject, eraser: AffineEraser, edits: tuple[str, ...], *, seed: int) -> list[AffineEraser]:
    """`NUM_RANDOM` random subspaces of the eraser's rank and ‖Δh‖."""
    stream, reached = np.random.default_rng(seed), subject.features(subject.rows)
    shown = np.concatenate([part for edit in edits for part in _changed(subject, edit)])
    if eraser.num_dimensions == 0 or not len(shown):
        return [eraser] * NUM_RANDOM
    size = change_size(shown, eraser(shown))
    drawn = [random_subspace(reached, eraser.num_dimensions, stream=stream) for _ in range(NUM_RANDOM)]
    return [scaled_to(rival, shown, size=size) for rival in drawn]


def without(subject: Subject, eraser: AffineEraser) -> Subject:
    """The subject whose V reads erased features."""

    def value(rows: Rows) -> Floats:
        return subject.readout(eraser(subject.features(rows)))

    return dataclasses.replace(subject, value=value)


def _changed(subject: Subject, edit: str) -> tuple[Floats, Floats]:
    """Features of the telling states and of their edits, float64[N, D] each."""
    told = telling(edit, subject.rows)
    return subject.features(subject.rows)[told], subject.features(subject.edits[edit](subject.rows))[told]
