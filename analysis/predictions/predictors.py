"""The predictors of T0: what each of them says about V, given only the agent's training log.

Shapes: n logged steps, M test states, K objects (and cues).

A `Log` is what a predictor may see: per logged step the cue, each object's distance, the outcome (discounted return),
and per reinforcement event its cue and object. Distances are path lengths, infinite for an absent object.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from analysis.predictions.parts import Floats, Ints

KERNEL_SAMPLES = 4000
KERNEL_WIDTHS = (1.0, 2.0, 4.0, 8.0)
KERNEL_PENALTIES = (0.03, 0.3)


@dataclasses.dataclass(frozen=True)
class Log:
    """A training log.

    Attributes:
        observations: float[n, F], flattened observations.
        distances: float[n, K], inf where an object is absent.
        outcomes: float[n], discounted returns.
        episodes: int[n], the episode of each step.
        event_cue: int[E], the cue at each reinforcement event.
        event_object: int[E], the object of each event.
        event_reward: float[E].
    """

    observations: Floats
    distances: Floats
    outcomes: Floats
    episodes: Ints
    event_cue: Ints
    event_object: Ints
    event_reward: Floats


@dataclasses.dataclass(frozen=True)
class States:
    """States to predict: distances float[M, K], inf where an object is absent; cues int[M]."""

    distances: Floats
    cues: Ints


def proximity(distances: Floats, discount: float) -> Floats:
    """discount^(distance - 1), 0 for an absent object: what reaching it is worth, per unit of utility."""
    return np.where(np.isfinite(distances), discount ** (np.where(np.isfinite(distances), distances, 1.0) - 1.0), 0.0)


def optimum(states: States, discount: float) -> Floats:
    """(a) V* = max_o discount^(dist(o) - 1), float[M]."""
    return np.asarray(proximity(states.distances, discount).max(axis=1))


def fit_utilities(log: Log, discount: float) -> Floats:
    """u_o of (b): per object, least squares of outcomes on proximity through 0, over steps at which only o is present.

    Returns:
        float[K]; 0 for an object that never appears alone.
    """
    near = proximity(log.distances, discount)
    alone = (near > 0).sum(axis=1) == 1
    squares = (near[alone] ** 2).sum(axis=0)
    products = (near[alone] * log.outcomes[alone, None]).sum(axis=0)
    return np.where(squares > 0, products / np.where(squares > 0, squares, 1.0), 0.0)


def utility_values(states: States, utilities: Floats, discount: float) -> Floats:
    """(b) max_o u_o discount^(dist(o) - 1), float[M]."""
    return np.asarray((utilities[None, :] * proximity(states.distances, discount)).max(axis=1))


def bids(log: Log, num_cues: int, tau: float) -> Floats:
    """b_o(cue) = sum over events of o of r exp(-[cue != cue_event]/tau) / n_o: float[K cues, K objects].

    tau = 0 counts events under the same cue only; tau = inf forgets the cue. 0 for an object without events.
    """
    num_objects = log.distances.shape[1]
    leak = 0.0 if tau == 0 else float(np.exp(-1.0 / tau))
    total = np.zeros((num_cues, num_objects))
    np.add.at(total, (log.event_cue, log.event_object), log.event_reward)
    count = np.bincount(log.event_object, minlength=num_objects)
    similar = total + leak * (total.sum(axis=0, keepdims=True) - total)
    return np.where(count > 0, similar / np.maximum(count, 1), 0.0)


def shard_values(states: States, bid: Floats, discount: float) -> Floats:
    """(c) max_o b_o(cue) discount^(dist(o) - 1), float[M]."""
    return np.asarray((bid[states.cues] * proximity(states.distances, discount)).max(axis=1))


class KernelPredictor:
    """(d) RBF kernel ridge on flat observations; width and penalty are chosen on held-out episodes of the log."""

    def __init__(self, log: Log, *, seed: int) -> None:
        """Fit on `KERNEL_SAMPLES` logged steps drawn without replacement; a quarter of their episodes chooses.

        `seed` is of a named stream (`agents.seeding.derive_seed`), never a run's own.
        """
        from sklearn.kernel_ridge import KernelRidge

        rng = np.random.default_rng(seed)
        size = min(KERNEL_SAMPLES, len(log.outcomes))
        chosen = rng.choice(len(log.outcomes), size=size, replace=False)
        features, self._offset = log.observations[chosen], float(log.outcomes[chosen].mean())
        target = log.outcomes[chosen] - self._offset
        held_out = np.isin(log.episodes[chosen], rng.permutation(np.unique(log.episodes))[::4])
        models = [
            KernelRidge(kernel="rbf", gamma=1.0 / (2 * width**2), alpha=penalty)
            for width in KERNEL_WIDTHS
            for penalty in KERNEL_PENALTIES
        ]
        errors = [
            (
                (model.fit(features[~held_out], target[~held_out]).predict(features[held_out]) - target[held_out]) ** 2
            ).mean()
            for model in models
        ]
        self._model = models[int(np.argmin(errors))].fit(features, target)

    def predict(self, observations: Floats) -> Floats:
        """Predicted values, float[M]."""
        return np.asarray(self._model.predict(observations) + self._offset)
