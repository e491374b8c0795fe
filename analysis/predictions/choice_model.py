"""A linear model of choices among options, the same for every test that reads choices off features.

Shapes: N states, A options (actions), P features of an option.

    log P(a | s) = w . x[s, a] - log sum_b exp(w . x[s, b]),
    w minimises  mean_s -log P(choice | s) + penalty / 2 * sum_j (w_j sd_j)^2,
sd_j the standard deviation of feature j over all options that are fitted. Source: McFadden (1974), conditional logit.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import special
from scipy.optimize import minimize

from analysis.predictions.parts import Floats, Ints

MAX_STEPS = 300


@dataclasses.dataclass(frozen=True)
class ChoiceModel:
    """Weights of a fitted model, float[P]; a feature that was the same in all options has weight 0."""

    weights: Floats

    def log_probs(self, options: Floats) -> Floats:
        """Log P, float[N, A], of options float[N, A, P]; rows are distributions."""
        return np.asarray(special.log_softmax(options @ self.weights, axis=1))


def fit_choices(options: Floats, choices: Ints, *, penalty: float) -> ChoiceModel:
    """Fit by L-BFGS; the objective is convex.

    Args:
        options: float[N, A, P].
        choices: int[N] in 0..A-1.
        penalty: Of squared standardised weights, > 0: choices that a feature decides would let weights grow for ever.
    """
    num_states, num_actions, num_features = options.shape
    scale = options.reshape(-1, num_features).std(axis=0)
    scale = np.where(scale > 1e-9 * max(float(scale.max()), 1e-300), scale, np.inf)
    features = (options / scale).reshape(-1, num_features)
    states = np.arange(num_states)
    chosen = features.reshape(options.shape)[states, choices].sum(axis=0)

    def loss(weights: Floats) -> tuple[float, Floats]:
        # The log softmax by hand, over rows of states: along the short axis of actions it costs as much as a product.
        log_probs = np.ascontiguousarray((features @ weights).reshape(num_states, num_actions).T)
        log_probs -= log_probs.max(axis=0)
        log_probs -= np.log(np.exp(log_probs).sum(axis=0))
        slope = (np.exp(log_probs).T.ravel() @ features - chosen) / num_states + penalty * weights
        fit = -float(log_probs[choices, states].mean())
        return fit + 0.5 * penalty * float(weights @ weights), slope

    start = np.zeros(num_features)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": MAX_STEPS})
    return ChoiceModel(np.asarray(found.x / scale))
