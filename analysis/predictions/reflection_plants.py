"""Planted networks for T8: what they know of themselves is known, so that a test that misses it may not be read.

Shapes: N states, A actions, M situations, C contexts, U units, D features of E, P features of an action.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from analysis.predictions.parts import Floats, Ints
from analysis.predictions.privileged_access import Network

ACCESS_PLANTS = ("OWN-NOISE", "SHARED")
CROSS_PLANTS = ("OPEN", "CLOSED")
CALIBRATION_PLANTS = ("CHANGED", "STEADY")
NOISE = 0.05
"""Of the networks' own deviations from Q*, in units of reward; a step costs .05 of it in our worlds."""
NUM_UNITS = 32
UNITS_PER_PART = 16
UNIT_NOISE = 0.1


def access_pair(name: str, optimum: Floats, *, rng: np.random.Generator) -> tuple[Network, Network]:
    """Two planted networks that choose argmax_a Q* + own noise; OWN-NOISE's layers hold that noise, SHARED's another.

    Both know the same Q*, with a noise in common that breaks its ties: else the least weight on anything would.

    Args:
        name: One of `ACCESS_PLANTS`.
        optimum: Q*, float[N, A].
        rng: Draws noise and layers.
    """
    known = optimum + NOISE * rng.normal(size=optimum.shape)
    return _noisy(name, known, rng=rng), _noisy(name, known, rng=rng)


def _noisy(name: str, known: Floats, *, rng: np.random.Generator) -> Network:
    decides, idle = NOISE * rng.normal(size=(2, *known.shape))
    shown = decides if name == "OWN-NOISE" else idle
    held = np.stack([known, shown / NOISE], axis=2)
    return Network(held @ rng.normal(size=(2, NUM_UNITS)), (known + decides).argmax(axis=1))


def calibration_case(
    name: str, contexts: Ints, *, num_actions: int, rng: np.random.Generator
) -> tuple[Floats, Ints]:
    """Options float[N, A, P] and choices int[N], drawn from the softmax of one projection of a random layer.

    STEADY shows this layer. CHANGED shows it through an orthogonal matrix of each context's own.
    """
    layer = rng.normal(size=(len(contexts), num_actions, NUM_UNITS))
    logits = 3.0 * layer @ (rng.normal(size=NUM_UNITS) / NUM_UNITS**0.5)
    choices = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    if name == "STEADY":
        return layer, choices
    turns = [np.linalg.qr(rng.normal(size=(NUM_UNITS, NUM_UNITS)))[0] for _ in range(int(contexts.max()) + 1)]
    return np.einsum("nap,npq->naq", layer, np.array(turns)[contexts]), choices


@dataclasses.dataclass(frozen=True)
class Insides:
    """What T8b reads: `units` float[M, C, U], `features` float[M, C, D], `values` float[M, C]."""

    units: Floats
    features: Floats
    values: Floats


def cross_case(name: str, optimum: Floats, *, rng: np.random.Generator) -> Insides:
    """A planted network of C parts, part k being at work in context k and ten times quieter elsewhere.

    Part k's units vary, up to noise, with a signal of its own: OPEN's with mixtures of the values in all contexts,
    CLOSED's with the value in context k. E's features are noise and the value in the context shown.

    Args:
        name: One of `CROSS_PLANTS`.
        optimum: V* of every situation under every context, float[M, C].
        rng: Draws mixtures and noise.
    """
    num_situations, num_contexts = optimum.shape
    values = (optimum - optimum.mean(axis=0)) / optimum.std(axis=0)
    parts = []
    for part in range(num_contexts):
        mixture = np.zeros((num_contexts, UNITS_PER_PART))
        mixture[part] = 1.0
        if name == "OPEN":
            mixture = mixture + rng.normal(size=mixture.shape)
        loudness = np.where(np.arange(num_contexts) == part, 1.0, 0.1)
        parts.append(loudness[None, :, None] * (values @ mixture)[:, None, :])
    signal = np.concatenate(parts, axis=2)
    units = signal + UNIT_NOISE * rng.normal(size=signal.shape) * np.abs(signal).mean(axis=0)
    features = values[:, :, None] + UNIT_NOISE * rng.normal(size=(num_situations, num_contexts, UNITS_PER_PART))
    return Insides(units, features, values)
