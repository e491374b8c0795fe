"""Template loops over the layers of a world whose rows hold their clock. See `envs.kernels` for what a template is.

Nothing is kept of transitions: every pass makes them anew by the world's own kernel, which takes less time than
reading them from memory, and no memory.

Shape key: S states, R entries of a row, A actions, J objectives, C components.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, name-defined"
# ruff: noqa: F821
from __future__ import annotations

import numpy as np

from envs.row_index import slot_of

NO_ROOM, NO_LAYER = -1, -2


def reach_rows(config, sizes, span, index, scratch):
    """Store all successors of states `span` = (first, last); ends are not followed.

    `index` is (rows[S, R], table, ended[S]) with `count` states, and `sizes` is (num_actions, end of the layer, count).
    Returns (state, count, failure): the first state that was not followed, and why, 0 where all were.
    """
    num_actions, layer_end, count = sizes
    rows, table, ended = index
    draws, cuts, counts, components = scratch
    for s in range(span[0], span[1]):
        if ended[s]:
            continue
        for action in range(num_actions):
            total = _cut_channels(config, rows[s], action, cuts, counts)
            if count + total > rows.shape[0]:
                return s, count, NO_ROOM
            for o in range(total):
                _joint_outcome(o, cuts, counts, draws)
                # The next free place is where the successor is made; it is kept there if it is new.
                _copy(rows[count], rows[s])
                components.fill(0.0)
                _, terminated = transition(config, rows[count], action, draws, components)
                slot = slot_of(rows[count], rows, table)
                if table[slot] < 0:
                    table[slot] = count
                    ended[count] = terminated
                    count += 1
                elif table[slot] < layer_end:
                    return s, count, NO_LAYER
    return span[1], count, 0


def back_up_rows(config, span, index, task, scratch):
    """Write V and the optimal actions of states `span` = (first, last), whose successors are done.

    `task` is (weights[J, C], discounts[J], tolerance, allowed[S, A], values[S, J], optimal[S, A, J]).
    """
    rows, table, ended = index
    weights, discounts, tolerance, allowed, values, optimal = task
    draws, cuts, counts, components, after, gains = scratch
    num_objectives, num_actions = weights.shape[0], optimal.shape[1]
    for s in range(span[0], span[1]):
        if ended[s]:
            continue
        gains.fill(0.0)
        for action in range(num_actions):
            total = _cut_channels(config, rows[s], action, cuts, counts)
            for o in range(total):
                probability = _joint_outcome(o, cuts, counts, draws)
                _copy(after, rows[s])
                components.fill(0.0)
                transition(config, after, action, draws, components)
                following = table[slot_of(after, rows, table)]
                for j in range(num_objectives):
                    gain = discounts[j] * values[following, j]
                    for c in range(components.size):
                        gain += weights[j, c] * components[c]
                    gains[action, j] += probability * gain
        for j in range(num_objectives):
            best = -np.inf
            for action in range(num_actions):
                if allowed.shape[0] == 0 or allowed[s, action]:
                    best = max(best, gains[action, j])
            values[s, j] = best
            for action in range(num_actions):
                permitted = allowed.shape[0] == 0 or allowed[s, action]
                optimal[s, action, j] = permitted and gains[action, j] >= best - tolerance


def push_rows(config, span, index, task, scratch):
    """Pass the visits of states `span` = (first, last) on to their successors, and add up what they are paid.

    `task` is (policy[last - first, A], visits[S], paid[C]).
    """
    rows, table, ended = index
    policy, visits, paid = task
    draws, cuts, counts, components, after, _ = scratch
    for s in range(span[0], span[1]):
        if ended[s] or visits[s] == 0.0:
            continue
        for action in range(policy.shape[1]):
            if policy[s - span[0], action] == 0.0:
                continue
            total = _cut_channels(config, rows[s], action, cuts, counts)
            for o in range(total):
                weight = visits[s] * policy[s - span[0], action] * _joint_outcome(o, cuts, counts, draws)
                _copy(after, rows[s])
                components.fill(0.0)
                transition(config, after, action, draws, components)
                visits[table[slot_of(after, rows, table)]] += weight
                for c in range(components.size):
                    paid[c] += weight * components[c]


PARTS = ()
LOOPS = (reach_rows, back_up_rows, push_rows)
