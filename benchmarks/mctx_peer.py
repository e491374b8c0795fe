"""The same searches by mctx: CrossedHistory and our network written in jax, and a table.

Sizes, discount, constants and the absence of noise are those of `search_speed.py`; jax compiles before it is timed.
"""

# mypy: ignore-errors
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import mctx
import numpy as np

from agents.agent import AlphaAgent
from agents.search import SearchTable
from agents.search_config import SearchConfig

DISCOUNT = 0.95
SIZE = 7
STEPS = jnp.array([[-1, 0], [0, 1], [1, 0], [0, -1]])


def network_search(agent: AlphaAgent, rows: Any, *, rule: str, num_simulations: int) -> Callable[[], Any]:
    """A compiled search with the agent's own weights; each call returns the root visits [B, A]."""
    weights = _weights(agent)

    def recurrent(params, rng, action, state):
        state, reward, ended = _step(state, action)
        logits, value = _network(params, _observe(state))
        return _output(reward, ended, logits, value), state

    def run(params, state):
        logits, value = _network(params, _observe(state))
        root = mctx.RootFnOutput(prior_logits=logits, value=value, embedding=state)
        return _policy(rule, params, root, recurrent, num_simulations)

    compiled, states = jax.jit(run), jnp.asarray(np.asarray(rows, np.int32))
    jax.block_until_ready(compiled(weights, states))
    return lambda: compiled(weights, states)


def table_search(table: SearchTable, states: Any, *, rule: str, num_simulations: int) -> Callable[[], Any]:
    """A compiled search in tables; each call returns the root visits [B, A]."""
    arrays = table.arrays
    following = jnp.asarray(arrays.next_state[:, :, 0])
    rewards = jnp.asarray(arrays.reward[:, :, 0], jnp.float32)
    logits, values = jnp.asarray(arrays.logits, jnp.float32), jnp.asarray(arrays.values, jnp.float32)

    def recurrent(params, rng, action, state):
        after = following[state, action]
        ended, seen = after < 0, jnp.maximum(after, 0)
        return _output(rewards[state, action], ended, logits[seen], values[seen]), seen

    def run(state):
        root = mctx.RootFnOutput(prior_logits=logits[state], value=values[state], embedding=state)
        return _policy(rule, None, root, recurrent, num_simulations)

    compiled, roots = jax.jit(run), jnp.asarray(np.asarray(states, np.int32))
    jax.block_until_ready(compiled(roots))
    return lambda: compiled(roots)


def _policy(rule, params, root, recurrent, num_simulations):
    config, key = SearchConfig(), jax.random.PRNGKey(0)
    if rule == "gumbel":
        found = mctx.gumbel_muzero_policy(
            params, key, root, recurrent, num_simulations, gumbel_scale=0.0,
            max_num_considered_actions=config.max_considered,
        )  # fmt: skip
    else:
        found = mctx.muzero_policy(params, key, root, recurrent, num_simulations, dirichlet_fraction=0.0)
    return found.search_tree.summary().visit_counts


def _output(reward, ended, logits, value):
    return mctx.RecurrentFnOutput(
        reward=reward, discount=jnp.where(ended, 0.0, DISCOUNT), prior_logits=logits, value=jnp.where(ended, 0.0, value)
    )


def _step(state, action):
    cell = state[:, 0]
    place = jnp.stack([cell // 64, cell % 64], axis=1)
    after = place + STEPS[action]
    inside = ((after >= 1) & (after <= SIZE)).all(axis=1, keepdims=True)
    after = jnp.where(inside, after, place)
    cell = after[:, 0] * 64 + after[:, 1]
    found = (state[:, 1:-1] == cell[:, None]).any(axis=1)
    return state.at[:, 0].set(cell), found.astype(jnp.float32), found


def _observe(state):
    """Planes of agent and objects, the walls, and the cue, in the order of our inputs."""
    side = SIZE + 2
    cells = state[:, :-1]
    number = jnp.where(cells >= 0, cells // 64 * side + cells % 64, -1)
    planes = jax.nn.one_hot(number, side * side).reshape(len(state), -1)
    walls = np.ones((side, side), np.float32)
    walls[1:-1, 1:-1] = 0.0
    walls = jnp.broadcast_to(jnp.asarray(walls.ravel()), (len(state), side * side))
    return jnp.concatenate([planes, walls, jax.nn.one_hot(state[:, -1], cells.shape[1] - 1)], axis=1)


def _weights(agent: AlphaAgent) -> dict[str, Any]:
    def array(tensor):
        return jnp.asarray(tensor.detach().numpy())

    parts = agent.value_head.parts
    return {
        "centre": array(agent.observation_encoder.centre),
        "trunk": [(array(layer.weight).T, array(layer.bias)) for layer in agent.policy_encoder.dense.layers],
        "policy": (array(agent.policy_head.weight).T, array(agent.policy_head.bias)),
        "hidden": (array(parts.input_weight)[0].T, array(parts.input_bias)[0]),
        "value": (array(parts.output_weight)[0], array(agent.value_head.bias)),
    }


def _network(weights, inputs):
    hidden = inputs - weights["centre"]
    for matrix, bias in weights["trunk"]:
        hidden = jax.nn.relu(hidden @ matrix + bias)
    logits = hidden @ weights["policy"][0] + weights["policy"][1]
    inner = jax.nn.relu(hidden @ weights["hidden"][0] + weights["hidden"][1])
    return logits, inner @ weights["value"][0] + weights["value"][1]
