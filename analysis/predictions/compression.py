"""T11, compression: in how few words can V and its choices be said?

Shapes: N states, A actions, K objects, C contexts, P features.

Three models say what V1 chooses, from one library of features, x[s, a, o] = discount^(distance to object o after a),
and are scored on layouts that they were not fitted on:
    one utility   softmax of sum_o (u_o + w r_o(c)) x_o: a taste for each object and for reward, in all contexts alike;
    K bids        softmax of sum_o b_o(c) x_o: in each context one bid for each object;
    black box     softmax of a small network's score of (x, reward * x, context), the same network for all actions.
Each is nested in the next. r_o(c) is the world's own reward of object o in context c.
    gain = LL(bids) - LL(utility),   ceiling = LL(black box) - LL(utility),   nats per choice;  bits = -LL / ln 2.
The same for V itself: linear in x[s, o] (the black box: boosted trees) with Gaussian errors, whose variance is that
on the layouts that were fitted.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from agents.seeding import torch_generator
from analysis.predictions.choice_model import fit_choices
from analysis.predictions.parts import Floats, Ints
from analysis.predictions.prediction import Prediction

PREDICTION = Prediction(
    key="T11",
    question="Are V's choices told in fewer bits by a bid for each object and context than by one utility?",
    world="ValueLab/MultiNeed-v0",
    actor="V1",
    metric="gain = LL(K bids) - LL(one utility) in nats per choice, cross-validated over layouts; same features",
    margin=0.05,
    family="exploratory",
    positive="planted agent BIDS: bids drawn for every object and context",
    null="planted agents UTILITY (a taste for each object, and for reward, in all contexts alike) and OPTIMUM (V*'s "
    "choices, ties broken at random)",
    rule="estimate with a 95 % interval over seeds; read only if BIDS - UTILITY has a lower 90 % bound above the "
    "margin and the 90 % intervals of UTILITY and OPTIMUM lie inside it",
    does_not_show="that bids are what V computes: any V whose error depends on object and context gains. A tie says "
    "that bids add nothing to one utility with these features, which know distance and reward alone",
)
NUM_FOLDS = 5
PENALTY = 1e-6
RIDGE = 1e-6
NUM_TREES = 60
HIDDEN_SIZE = 32
NUM_STEPS = 300
LEARNING_RATE = 1e-2
WEIGHT_DECAY = 1e-3


@dataclasses.dataclass(frozen=True)
class Library:
    """The features that all models share.

    Attributes:
        ahead: x after each action, float[N, A, K].
        here: x at the state, float[N, K].
        contexts: int[N].
        rewards: r_o(c), float[C, K].
    """

    ahead: Floats
    here: Floats
    contexts: Ints
    rewards: Floats

    def of_utility(self, features: Floats) -> Floats:
        """K + 1 features of the one-utility model from x, float[..., K] with states first: x_o, and reward * x."""
        rewards = self.rewards[self.contexts].reshape(len(self.contexts), *[1] * (features.ndim - 2), -1)
        return np.concatenate([features, (rewards * features).sum(axis=-1, keepdims=True)], axis=-1)

    def of_bids(self, features: Floats) -> Floats:
        """C * K features of the K-bid model: x_o in its own column for each context."""
        shown = np.eye(len(self.rewards))[self.contexts].reshape(len(self.contexts), *[1] * (features.ndim - 2), -1, 1)
        return (shown * features[..., None, :]).reshape(*features.shape[:-1], -1)

    def of_black_box(self, features: Floats) -> Floats:
        """Those of the one-utility model, and the context, float[..., K + 1 + C]."""
        told = self.of_utility(features)
        shown = np.eye(len(self.rewards))[self.contexts].reshape(len(self.contexts), *[1] * (features.ndim - 2), -1)
        return np.concatenate([told, np.broadcast_to(shown, (*told.shape[:-1], shown.shape[-1]))], axis=-1)


@dataclasses.dataclass(frozen=True)
class Compression:
    """Mean held-out log-likelihood in nats, by model, and what bids and the black box add to one utility."""

    utility: float
    bids: float
    black_box: float

    @property
    def gain(self) -> float:
        """LL(bids) - LL(utility)."""
        return self.bids - self.utility

    @property
    def ceiling(self) -> float:
        """LL(black box) - LL(utility)."""
        return self.black_box - self.utility


def choice_compression(library: Library, choices: Ints, *, layouts: Ints, seed: int) -> Compression:
    """Score the three models of choices.

    Args:
        library: Features of the states.
        choices: int[N].
        layouts: int[N], dealt to 5 folds by their number.
        seed: Of the black box's initial weights.
    """
    utility, bids = library.of_utility(library.ahead), library.of_bids(library.ahead)
    seen = library.of_black_box(library.ahead)
    nats = np.zeros((3, len(choices)))
    for test in _folds(layouts):
        rows = np.arange(int(test.sum()))
        for model, options in enumerate((utility, bids)):
            fitted = fit_choices(options[~test], choices[~test], penalty=PENALTY)
            nats[model, test] = fitted.log_probs(options[test])[rows, choices[test]]
        nats[2, test] = _network_log_probs(seen[~test], choices[~test], seen[test], seed=seed)[rows, choices[test]]
    return Compression(*(float(each.mean()) for each in nats))


def value_compression(library: Library, values: Floats, *, layouts: Ints) -> Compression:
    """Score the three models of V, float[N]; layouts as for choices."""
    utility, bids = library.of_utility(library.here), library.of_bids(library.here)
    seen = library.of_black_box(library.here)
    nats = np.zeros((3, len(values)))
    for test in _folds(layouts):
        told = [_linear(features[~test], values[~test], features) for features in (utility, bids)]
        told.append(_boosted_values(seen[~test], values[~test], seen))
        for model, predicted in enumerate(told):
            error = values - predicted
            variance = max(float((error[~test] ** 2).mean()), 1e-12)
            nats[model, test] = -0.5 * np.log(2 * np.pi * variance) - error[test] ** 2 / (2 * variance)
    return Compression(*(float(each.mean()) for each in nats))


def _folds(layouts: Ints) -> list[NDArray[np.bool_]]:
    """bool[N] of each fold; whole layouts. ValueError where there are fewer layouts than folds."""
    names, number = np.unique(layouts, return_inverse=True)
    if len(names) < NUM_FOLDS:
        raise ValueError(f"states are of {len(names)} layouts; {NUM_FOLDS} folds of whole layouts need as many.")
    return [number % NUM_FOLDS == fold for fold in range(NUM_FOLDS)]


def _network_log_probs(options: Floats, choices: Ints, unseen: Floats, *, seed: int) -> Floats:
    """Log probabilities [n, A] for options unseen float[n, A, F], by one hidden layer trained on the full batch."""
    centre, scale = options.mean(axis=(0, 1)), options.std(axis=(0, 1)) + 1e-9
    told, asked = (torch.from_numpy(((each - centre) / scale).astype(np.float32)) for each in (options, unseen))
    generator = torch_generator(seed, "comparison", "black box")
    shapes = ((HIDDEN_SIZE, told.shape[2]), (1, HIDDEN_SIZE))
    drawn = [torch.randn(shape, generator=generator) * (2.0 / shape[1]) ** 0.5 for shape in shapes]
    first, last, bias = (each.requires_grad_() for each in (*drawn, torch.zeros(HIDDEN_SIZE)))

    def scores(seen: Tensor) -> Tensor:
        return functional.linear(functional.linear(seen, first, bias).relu(), last).squeeze(2)

    optimizer = torch.optim.AdamW([first, last, bias], lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    target = torch.from_numpy(choices)
    for _ in range(NUM_STEPS):
        optimizer.zero_grad()
        functional.cross_entropy(scores(told), target).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        return np.asarray(scores(asked).log_softmax(dim=1).double().numpy())


def _boosted_values(features: Floats, values: Floats, unseen: Floats) -> Floats:
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(max_iter=NUM_TREES, early_stopping=False).fit(features, values)
    return np.asarray(model.predict(unseen))


def _linear(features: Floats, values: Floats, unseen: Floats) -> Floats:
    table = np.column_stack([np.ones(len(features)), features])
    weights = np.linalg.solve(table.T @ table + RIDGE * len(table) * np.eye(table.shape[1]), table.T @ values)
    return np.asarray(np.column_stack([np.ones(len(unseen)), unseen]) @ weights)
