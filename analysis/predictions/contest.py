"""T0, the prediction contest: does the shard law add anything to what is already known about V?

Shapes: S seeds, M states (or choices) per seed, P predictors.

Before an agent is tested, each predictor sees only its training log (`predictors.py`):
    a  V*            the exact optimum
    b  one utility   max_o u_o discount^dist(o), u_o fitted
    c  shard law     max_o b_o(cue) discount^dist(o), bids b_o from logged reinforcement events
    d  kernel        ridge regression on the same data: any smooth learner
    e  sister seed   another initialisation of the same arm, trained on the same data: "V is a neural network"
Predictors are stacked on the *other* seeds' agents, over held-out layouts under every pairing, and scored on the
held-out agent, on pairings that it never trained:
    V:        y = w.x + w_0 + N(0, sigma^2), ridge;
    choices:  P(object of lower index) = sigmoid(w.x), L2-logistic, no intercept: x are differences between two objects
              in an order that knows nothing of the pairing, so an intercept could only smuggle it in.
    gain = LL(abcd) - LL(abd)   in nats per state;   ceiling = LL(abde) - LL(abd).
The weight on c is held at 0 or above (where it would be negative, c is left out): the law says that V is *lower* where
a pairing was never met, and a free weight would credit it with an agent that does the opposite.
Fitting on never-trained pairings alone would make the gain 0 by algebra: there the law is a multiple of V*. For the
same reason the law's tau < inf is not identified (all finite tau span the same columns), and tau = inf is V*.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from analysis.predictions.parts import Floats
from analysis.predictions.prediction import Prediction

PREDICTION = Prediction(
    key="T0",
    question="Does the shard law add to what V*, one utility and a kernel predict of V on never-trained pairings?",
    world="ValueLab/CrossedHistory-v0",
    actor="none (V1 for the choices)",
    metric="gain = LL(abcd) - LL(abd) in nats per held-out state of a never-trained pairing, stacked on other seeds",
    margin=0.05,
    family="confirmatory",
    positive="a planted agent that follows the shard law (tau = 0.5), with noise",
    null="planted agents that are V* with the same noise, or value a never-trained pairing *more* (anti-law)",
    rule="read only if SHARD-LAW - OPTIMUM has a lower 90 % bound above the margin and the 90 % intervals of OPTIMUM "
    "and ANTI-LAW lie inside it; then, per arm that is no control, its gain against 0: distinguishable if the 95 % "
    "interval (Holm over these arms) excludes 0 and the mean exceeds the margin; equivalent if the 90 % interval lies "
    "inside the margin; else inconclusive. What the law adds to the sister seed (e) is reported apart",
    does_not_show="that V is made of shards: a gain says that history predicts V, not how V stores it; no gain says "
    "that the law in this form adds nothing to V*, a utility and a kernel here. Stacks of different seeds share "
    "agents, so that the intervals are somewhat too narrow",
    version=3,
)
RIDGE = 1e-3
TAUS = MappingProxyType({"c": 0.5, "p": 0.0, "q": 1.0, "r": np.inf})
"""The shard law's tau by letter. It is not identified: c stands in the stacks, the others are scored on their own."""
STACKS = ("a", "b", "c", "d", "e", "p", "q", "r", "abd", "abcd", "abde", "abcde")


@dataclasses.dataclass(frozen=True)
class Subject:
    """One seed's agent and what the predictors say of it.

    Attributes:
        columns: Predictor letter -> float[M].
        target: float[M], the agent's V, or its choice in {0, 1}.
        scored: bool[M], what the likelihood is taken over (never-trained pairings); the stack is fitted on all.
    """

    columns: dict[str, Floats]
    target: Floats
    scored: NDArray[np.bool_]

    def matrix(self, letters: str) -> Floats:
        """float[M, len(letters)]."""
        return np.column_stack([self.columns[letter] for letter in letters])


@dataclasses.dataclass(frozen=True)
class Gain:
    """What the shard law adds, per seed.

    Attributes:
        gain: LL(abcd) - LL(abd), float[S], nats per state.
        ceiling: LL(abde) - LL(abd), float[S]: what knowing a sister network would add.
        gain_over_sister: LL(abcde) - LL(abde), float[S].
        log_likelihood: Mean nats of every stack that was scored, each float[S].
    """

    gain: Floats
    ceiling: Floats
    gain_over_sister: Floats
    log_likelihood: dict[str, Floats]


def gain_of(subjects: Sequence[Subject], *, kind: str) -> Gain:
    """Score all stacks and their differences.

    Args:
        subjects: One per seed, at least 2; all have the columns a to e, and may have the law's other taus.
        kind: "values" (Gaussian) or "choices" (Bernoulli).

    Raises:
        ValueError: Fewer than 2 seeds: the stack is fitted on the others.
    """
    if len(subjects) < 2:
        raise ValueError(f"{len(subjects)} seed(s) given; the stack is fitted on the other seeds: give at least 2.")
    score = {"values": stacked_values, "choices": stacked_choices}[kind]
    known = subjects[0].columns.keys()
    nats = {letters: score(subjects, letters) for letters in STACKS if known >= set(letters)}
    gain, ceiling = nats["abcd"] - nats["abd"], nats["abde"] - nats["abd"]
    return Gain(gain, ceiling, nats["abcde"] - nats["abde"], nats)


def stacked_values(subjects: Sequence[Subject], letters: str) -> Floats:
    """Mean Gaussian log-likelihood of each seed's V, float[S]; ridge on standardised predictors of the other seeds."""
    moments = {
        kept: [_moments(subject.matrix(kept), subject.target) for subject in subjects] for kept in _nested(letters)
    }
    return np.array([_value_score(subjects, moments, held_out) for held_out in range(len(subjects))])


def stacked_choices(subjects: Sequence[Subject], letters: str) -> Floats:
    """Mean Bernoulli log-likelihood of each seed's choices, float[S]; nan for a seed without a choice to score."""
    return np.array([_choice_score(subjects, held_out, letters) for held_out in range(len(subjects))])


def _nested(letters: str) -> tuple[str, ...]:
    """The stack, and where it holds the law the stack without it."""
    return (letters, letters.replace("c", "")) if "c" in letters and len(letters) > 1 else (letters,)


def _value_score(subjects: Sequence[Subject], moments: dict[str, list[Floats]], held_out: int) -> float:
    own = subjects[held_out]
    for letters, each in moments.items():
        model = _ridge(sum(each) - each[held_out])
        if "c" not in letters or model[0][letters.index("c")] >= 0:
            break
    return _gaussian(model, own.matrix(letters)[own.scored], own.target[own.scored])


def _moments(features: Floats, targets: Floats) -> Floats:
    """Second moments of [1, x, y], float[P + 2, P + 2]: all that a ridge fit needs, and they add over seeds."""
    table = np.column_stack([np.ones(len(targets)), features, targets])
    return np.asarray(table.T @ table)


def _ridge(moments: Floats) -> tuple[Floats, float, float]:
    """Weights, offset and residual variance from summed moments; the penalty is on standardised predictors."""
    mean = moments[0, 1:] / moments[0, 0]
    covariance = moments[1:, 1:] / moments[0, 0] - np.outer(mean, mean)
    inner, cross = covariance[:-1, :-1], covariance[:-1, -1]
    weights = np.linalg.solve(inner + RIDGE * np.diag(np.maximum(np.diag(inner), 1e-12)), cross)
    variance = covariance[-1, -1] - 2 * weights @ cross + weights @ inner @ weights
    return weights, float(mean[-1] - weights @ mean[:-1]), max(float(variance), 1e-12)


def _gaussian(model: tuple[Floats, float, float], features: Floats, targets: Floats) -> float:
    weights, offset, variance = model
    residual = targets - offset - features @ weights
    return float((-0.5 * np.log(2 * np.pi * variance) - residual**2 / (2 * variance)).mean())


def _choice_score(subjects: Sequence[Subject], held_out: int, letters: str) -> float:
    others = [subject for index, subject in enumerate(subjects) if index != held_out]
    own, choices = subjects[held_out], np.concatenate([subject.target for subject in others])
    if not own.scored.any():
        return float("nan")
    for kept in _nested(letters):
        weights = _logistic(np.concatenate([subject.matrix(kept) for subject in others]), choices)
        if "c" not in kept or weights[kept.index("c")] >= 0:
            break
    logits = own.matrix(kept)[own.scored] @ weights
    return float(-np.logaddexp(0.0, np.where(own.target[own.scored] > 0.5, -logits, logits)).mean())


def _logistic(features: Floats, choices: Floats) -> Floats:
    from sklearn.linear_model import LogisticRegression

    scale = np.sqrt((features**2).mean(axis=0))
    scale = np.where(scale > 1e-12, scale, 1.0)
    if len(np.unique(choices)) < 2:
        return np.zeros(features.shape[1])
    fit = LogisticRegression(C=1.0, fit_intercept=False, max_iter=1000).fit(features / scale, choices)
    return np.asarray(fit.coef_[0] / scale)
