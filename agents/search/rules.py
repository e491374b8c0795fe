"""Which action a search tries next: PUCT, and Gumbel AlphaZero's rules for the root and for the nodes below it.

Template functions (see `envs.compilation`) of one tree b and one node. An action whose prior logit is −inf is illegal
and never chosen; among equal scores the lowest action wins.

    PUCT      argmax_a q̂(a) + (c_init + log((1 + N + c_base + 1)/c_base))·√(1 + N)·π(a)/(1 + N_a)
    interior  argmax_a π'(a) − N_a/(1 + N),   π' = softmax(logits + σ(q̄))
    root      argmax_a g(a) + logits(a) + σ(q̄(a)) among the actions that sequential halving considers
    σ(q̄) = (c_visit + max_a N_a)·c_scale·(q̄ − min q̄)/R
    q̂    = (Q − min)/R, over the node's value and its visited Q; an action without a visit counts as the least

N = Σ_a N_a. R is the range of returns where one is given, else the greatest minus the least value at the node, which
scales them to [0, 1]. q̄ completes Q: an action without a visit has the mixed value

    v_mix = (v̂ + N·Σ_{a visited} π(a) Q(a)/Σ_{a visited} π(a))/(1 + N).

Sources: Silver et al. (2018), Science 362:1140, for PUCT, with the scaling of Schrittwieser et al. (2020),
arXiv 1911.08265, by node in place of by tree; Danihelka et al. (2022), "Policy improvement by planning with Gumbel",
sections 2 to 4 and appendix D for v_mix. Constants and scaling are those that mctx uses, so that the two can be
compared visit by visit. There a given R is `rescale_values=False` with `value_scale` c_scale/R, and for PUCT
`qtransform_by_min_max`, but that an action without a visit counts there as the least return.

Shape key: B trees, A actions, n simulations.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PUCT, GUMBEL = 0, 1
LEAST_SPREAD = 1e-8
LEAST_SCORE = -1e9


class Rules(NamedTuple):
    """The numbers of a search.

    Attributes:
        kind: PUCT or GUMBEL.
        discount: γ.
        c_visit, c_scale: of σ.
        reward_weight: 1, or 0 where the tree holds no true reward.
        q_range: R; 0 for the spread at each node.
        prior_weight: float64[n + 1], of PUCT's prior by N.
        inverse: float64[n + 2], 1/i; a product costs a fifth of a quotient, and a table nothing beside a logarithm.
    """

    kind: int
    discount: float
    c_visit: float
    c_scale: float
    reward_weight: float
    q_range: float
    prior_weight: NDArray[np.float64]
    inverse: NDArray[np.float64]


def next_action(tree, rules, b, node, root, scores):
    """The action to try at a node; `root` is (noise[B, A], `considered_visits` table, number of the simulation)."""
    if rules.kind == PUCT:
        return _puct(tree, rules, b, node)
    if node > 0 and tree.nodes[b, node].visits == 0:
        return _most_probable(tree, b, node)
    total, _ = completed_values(tree, rules, b, node, scores)
    if node > 0:
        return _most_missed(tree, rules, b, node, total, scores)
    noise, considered, simulation = root
    num_considered = _num_legal(tree, b, considered.shape[1] - 1)
    return best_considered(tree, noise, b, considered[simulation, num_considered], scores)


def decide(tree, rules, b, noise, scores):
    """The action of tree b after its last simulation; writes what the policy should become into scores[A].

    PUCT: the most visited action, and N_a/N. Gumbel: the best of the most visited actions, and π'.
    """
    if rules.kind == PUCT:
        total, best = 0, 0
        for a in range(scores.size):
            total += tree.edges[b, 0, a].visits
            if tree.edges[b, 0, a].visits > tree.edges[b, 0, best].visits:
                best = a
        for a in range(scores.size):
            scores[a] = tree.edges[b, 0, a].visits / total
        return best
    _, most = completed_values(tree, rules, b, 0, scores)
    best = best_considered(tree, noise, b, most, scores)
    improved_policy(tree, b, 0, scores)
    return best


def _num_legal(tree, b, limit):
    count = 0
    for a in range(tree.edges.shape[2]):
        count += tree.edges[b, 0, a].prior_logit > -np.inf
    return min(count, limit)


def _puct(tree, rules, b, node):
    low = high = tree.nodes[b, node].value
    for a in range(tree.edges.shape[2]):
        edge = tree.edges[b, node, a]
        if edge.visits > 0:
            if edge.q < low:
                low = edge.q
            if edge.q > high:
                high = edge.q
    scale = 1.0 / _range(rules, low, high)
    weight = rules.prior_weight[tree.nodes[b, node].visits]
    best, best_score = -1, 0.0
    for a in range(tree.edges.shape[2]):
        edge = tree.edges[b, node, a]
        if edge.prior_logit == -np.inf:
            continue
        score = weight * edge.prior_prob * rules.inverse[edge.visits + 1]
        if edge.visits > 0:
            score += (edge.q - low) * scale
        if best < 0 or score > best_score:
            best, best_score = a, score
    return best


def _range(rules, low, high):
    """R, given the least and the greatest value at a node."""
    return rules.q_range if rules.q_range > 0.0 else max(high - low, LEAST_SPREAD)


def completed_values(tree, rules, b, node, scores):
    """Write σ(q̄) into scores[A]; returns N and max_a N_a."""
    total, most, unseen, seen_probs, weighted = tree.nodes[b, node].visits, 0, False, 0.0, 0.0
    low, high = np.inf, -np.inf
    for a in range(scores.size):
        edge = tree.edges[b, node, a]
        if edge.visits > 0:
            most = max(most, edge.visits)
            # An improbable action that is visited must not make the mean 0/0.
            prior = max(edge.prior_prob, 1e-300)
            seen_probs += prior
            weighted += prior * edge.q
            low, high = min(low, edge.q), max(high, edge.q)
        else:
            unseen = True
    mixed = tree.nodes[b, node].raw_value
    if total > 0:
        mixed = (mixed + total * (weighted / seen_probs)) * rules.inverse[total + 1]
    if unseen:
        low, high = min(low, mixed), max(high, mixed)
    scale = (rules.c_visit + most) * rules.c_scale / _range(rules, low, high)
    for a in range(scores.size):
        edge = tree.edges[b, node, a]
        scores[a] = ((edge.q if edge.visits > 0 else mixed) - low) * scale
    return total, most


def best_considered(tree, noise, b, num_visits, scores):
    """The root's best action among those with `num_visits` visits, given σ(q̄) in scores[A]."""
    best, best_score, top = -1, 0.0, -np.inf
    for a in range(scores.size):
        top = max(top, tree.edges[b, 0, a].prior_logit)
    for a in range(scores.size):
        edge = tree.edges[b, 0, a]
        if edge.prior_logit == -np.inf or edge.visits != num_visits:
            continue
        score = max(noise[b, a] + edge.prior_logit - top + scores[a], LEAST_SCORE)
        if best < 0 or score > best_score:
            best, best_score = a, score
    return best


def _most_probable(tree, b, node):
    """The interior rule's action before there is any visit, when π' is the prior."""
    best = 0
    for a in range(tree.edges.shape[2]):
        if tree.edges[b, node, a].prior_logit > tree.edges[b, node, best].prior_logit:
            best = a
    return best


def _most_missed(tree, rules, b, node, total, scores):
    """The action that has fallen farthest behind its share in π'."""
    share = weigh(tree, b, node, scores) * rules.inverse[total + 1]
    best, best_score = 0, -np.inf
    for a in range(scores.size):
        # An illegal action has 0; the best legal one has more, since all differences add up to more.
        score = scores[a] - tree.edges[b, node, a].visits * share
        if score > best_score:
            best, best_score = a, score
    return best


def improved_policy(tree, b, node, scores):
    """Turn σ(q̄) in scores[A] into π' = softmax(logits + σ(q̄))."""
    scale = 1.0 / weigh(tree, b, node, scores)
    for a in range(scores.size):
        scores[a] *= scale


def weigh(tree, b, node, scores):
    """Turn σ(q̄) in scores[A] into weights that are 1 at most, and π' by their sum, which is returned."""
    top = -np.inf
    for a in range(scores.size):
        scores[a] += tree.edges[b, node, a].prior_logit
        top = max(top, scores[a])
    norm = 0.0
    for a in range(scores.size):
        scores[a] = math.exp(scores[a] - top)
        norm += scores[a]
    return norm


PARTS = (
    next_action, decide, best_considered, completed_values, improved_policy, weigh,
    _most_missed, _most_probable, _num_legal, _puct, _range,
)  # fmt: skip
LOOPS = ()
