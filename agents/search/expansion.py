"""Templates that grow a tree by a world's own kernel, and that play it on from a leaf. See `envs.compilation`.

`transition` and `breakpoints` are the world's; `_cut_channels`, `_joint_outcome` and `_copy` are those of
`envs.row_kernels`. Chance is weighed in the tree, by the probabilities of its outcomes, and drawn in rollouts, from the
planner's own key: neither sees what the world will draw.

Shape key: B trees, N nodes, S row size, A actions, M leaves.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, name-defined"
# ruff: noqa: F821
from __future__ import annotations

import numpy as np

from agents.search.walks import add_child, due_outcome
from envs.noise import episode_key, uniform
from envs.row_index import slot_of

ACTION_CHANNEL = 0xFFFFFFFD


def expand_leaves(world, scratch, tree, leaves, states):
    """Make the node of every leaf that has none; returns how many M are to be evaluated.

    Returns −1 − b where tree b has come to an edge without an outcome, or with more than there is room for.

    `world` is (config, reward_weights, use_rewards), `scratch` is (draws, cuts, counts, components), and `states` is
    (rows int16[B, N, S] of the nodes, then rows[M, S], trees[M], nodes[M] and parents[M] of what is to be evaluated,
    with room for B of each).
    """
    config, reward_weights, use_rewards = world
    draws, cuts, counts, components = scratch
    rows, new_rows, new_trees, new_nodes, new_parents = states
    found = 0
    for b in range(leaves.node.size):
        if leaves.child[b] > 0:
            continue
        node, action, outcome = leaves.node[b], leaves.action[b], leaves.outcome[b]
        total = _cut_channels(config, rows[b, node], action, cuts, counts)
        if total < 1 or total > tree.outcomes.shape[3]:
            return -1 - b
        if outcome < 0:
            tree.edges[b, node, action].num_outcomes = total
            for o in range(total):
                tree.outcomes[b, node, action, o].probability = _joint_outcome(o, cuts, counts, draws)
            outcome = due_outcome(tree, b, node, action)
        _joint_outcome(outcome, cuts, counts, draws)
        child = tree.num_nodes[b]
        _copy(rows[b, child], rows[b, node])
        reward, terminated = _transition(config, rows[b, child], action, draws, (reward_weights, components))
        add_child(tree, leaves, b, outcome, reward * use_rewards, terminated)
        if terminated and use_rewards > 0.0:
            continue
        _copy(new_rows[found], rows[b, child])
        new_trees[found], new_nodes[found], new_parents[found] = b, child, node
        found += 1
    return found


def _transition(config, row, action, draws, pay):
    """Change the row; returns the reward and whether the episode has ended."""
    reward_weights, components = pay
    components.fill(0.0)
    _, terminated = transition(config, row, action, draws, components)
    reward = 0.0
    for c in range(components.size):
        reward += reward_weights[c] * components[c]
    return reward, terminated


def play_out(world, scratch, policy, rows, keys, outcomes):
    """Play M rows on, which change, and write their discounted outcomes float64[M].

    `keys` are (int64[M] of trees, int32[M] nodes), so that a leaf is played on alike in any batch; `world` is (config,
    reward_weights, discount, num_actions, length), and `policy` is (cumulative[X, A], index_rows, table) of a
    `RowIndex`: what a table of X = 0 states, or one without the state, does not know is played uniformly.
    """
    config, reward_weights, discount, num_actions, length = world
    draws, components = scratch
    for i in range(rows.shape[0]):
        key = episode_key(keys[0][i], 0, keys[1][i])
        outcomes[i], weight = 0.0, 1.0
        for t in range(length):
            for c in range(draws.size):
                draws[c] = uniform(key, t, c)
            action = _drawn_action(policy, rows[i], num_actions, uniform(key, t, ACTION_CHANNEL))
            reward, terminated = _transition(config, rows[i], action, draws, (reward_weights, components))
            outcomes[i] += weight * reward
            weight *= discount
            if terminated:
                break


def _drawn_action(policy, row, num_actions, draw):
    cumulative, index_rows, table = policy
    state = -1
    if cumulative.shape[0] > 0:
        state = table[slot_of(row, index_rows, table)]
    if state < 0:
        return min(np.int64(draw * num_actions), num_actions - 1)
    action = 0
    while action < num_actions - 1 and draw * cumulative[state, num_actions - 1] >= cumulative[state, action]:
        action += 1
    return action


PARTS = (_transition, _drawn_action)
LOOPS = (expand_leaves, play_out)
