"""Loops over the parts of V: rectify and sum up their units, weigh their values, and send gradients back through both.

torch takes three or four passes over the hidden layer for either direction, and for few parts its product with a thin
matrix, one column a part, takes as long as one with a tenth of its columns filled. What stands above the parts' values
is a few numbers a state, around which torch and autograd make some thirty operations.

Shape key: B batch, K parts, H hidden units of a part, U = K·H.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

import math

import numpy as np
from numba import njit

from envs.compilation import COMPILED, INLINED

GIVEN, SOFTMAX = 0, 1


@njit(**COMPILED, fastmath={"reassoc"})
def read_parts(hidden, weight, out):
    """Rectify hidden, float32[B, U], in place, and write out_bk = Σ_j weight_kj hidden_bkj, float32[B, K].

    `weight` is float32[K, H]. Sums are split among as many accumulators as the machine adds up at once.
    """
    num_parts, size = weight.shape
    for b in range(hidden.shape[0]):
        for k in range(num_parts):
            first, total = k * size, np.float32(0.0)
            for j in range(size):
                unit = hidden[b, first + j]
                # NaN stays what it is, and is seen in the loss.
                unit = np.float32(0.0) if unit < np.float32(0.0) else unit
                hidden[b, first + j] = unit
                total += weight[k, j] * unit
            out[b, k] = total


@njit(**COMPILED)
def spread_parts(given, hidden, weight, beside, out):
    """Gradients to the hidden layer before it was rectified, to the output weights and to the layer's bias.

    Args:
        given: float32[B, K], gradient to the parts' values.
        hidden: float32[B, U], after `read_parts`.
        weight: float32[K, H].
        beside: float32[B, U], what else reaches the hidden layer; [0, 0] where nothing does.
        out: (float32[B, U], float32[K, H], float32[U]); the latter two are added to.
    """
    to_layer, to_weight, to_bias = out
    num_parts, size = weight.shape
    for b in range(hidden.shape[0]):
        for k in range(num_parts):
            first, slope = k * size, given[b, k]
            for j in range(size):
                unit, reached = hidden[b, first + j], slope * weight[k, j]
                if beside.size:
                    reached += beside[b, first + j]
                reached = reached if unit > np.float32(0.0) else np.float32(0.0)
                to_layer[b, first + j] = reached
                to_weight[k, j] += slope * unit
                to_bias[first + j] += reached


@njit(**COMPILED)
def weigh_parts(values, gate, shares, told, out):
    """The squared error of Σ_k w_k p_k + bias, and its gradients; see `agents.value_tops.SquaredTop`.

    Args:
        values: p, float32[B, K].
        gate: (float32[B, K], mixing): scores, and whether weights are these (GIVEN) or their softmax (SOFTMAX).
        shares: (float32[B, K], of_gate): the share of the error that each part learns, NaN for all of it, [0, 0] where
            all learn all; and whether the gate learns that share, too.
        told: (total float32[B], bias, scale): the loss is scale times the mean of squares.
        out: gradients to (p as the weights learn it, p as the features learn it, scores), float32[B, K] each.

    Returns:
        The loss, and the gradient to the bias.
    """
    (scores, mixing), (share, of_gate), (total, bias, scale) = gate, shares, told
    to_values, to_again, to_scores = out
    num_parts, loss, to_bias = values.shape[1], 0.0, 0.0
    slope = 2.0 * scale / values.shape[0]
    for b in range(values.shape[0]):
        if mixing == SOFTMAX:
            _softmax(scores, b)
        error = np.float64(bias) - total[b]
        for k in range(num_parts):
            error += scores[b, k] * values[b, k]
        loss += error * error
        to_bias += slope * error
        mean = 0.0
        for k in range(num_parts):
            learned = 1.0
            if share.size and not math.isnan(share[b, k]):
                learned = np.float64(share[b, k])
            to_again[b, k] = slope * error * scores[b, k]
            to_values[b, k] = slope * error * scores[b, k] * learned
            to_scores[b, k] = slope * error * values[b, k] * (learned if of_gate else 1.0)
            mean += scores[b, k] * to_scores[b, k]
        if mixing == SOFTMAX:
            for k in range(num_parts):
                to_scores[b, k] = scores[b, k] * (to_scores[b, k] - mean)
    return scale * loss / values.shape[0], to_bias


@njit(**INLINED)
def _softmax(scores, b):
    """Replace the scores of row b by their softmax."""
    highest, total = scores[b, 0], np.float32(0.0)
    for k in range(1, scores.shape[1]):
        highest = max(highest, scores[b, k])
    for k in range(scores.shape[1]):
        scores[b, k] = math.exp(scores[b, k] - highest)
        total += scores[b, k]
    for k in range(scores.shape[1]):
        scores[b, k] /= total
