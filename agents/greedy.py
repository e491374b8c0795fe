"""What an agent without memory does in each of many states, without playing: one greedy action a row.

Shape key: N rows, S row size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.actors import searching
from agents.agent import AlphaAgent
from agents.exact import policy_table
from agents.search.batched import search
from agents.search.evaluators import NetworkEvaluator
from agents.search_config import SearchConfig
from agents.value_actor import action_values
from envs.errors import UserError
from envs.rows import World


def greedy_actions(agent: AlphaAgent, world: World, rows: NDArray[np.int16], *, actor: str = "D") -> NDArray[np.int64]:
    """The action that a named actor takes in each state, as `agents.evaluation.evaluate` has it play.

    Args:
        agent: read only.
        world: gives observations and, but for D, outcomes.
        rows: int16[N, S] of running episodes.
        actor: "D", "V1" or that of a search without rollouts, such as "search-16".

    Returns:
        int64[N].

    Raises:
        UserError: no such actor; a search with rollouts, which are samples; a memory, so that what is done is no
            function of the state.
    """
    config = searching(actor)
    if agent.policy_encoder.memory_size or agent.value_encoder.memory_size:
        raise UserError(
            f"Actor {actor!r} has a memory, so what it does is no function of the state; play it, or use encoder 'mlp'."
        )
    if config is not None:
        return _searched(agent, world, rows, config=config)
    scores = (
        policy_table(agent, world, rows, greedy=True)
        if actor == "D"
        else action_values(agent, world, rows, discount=_discount(agent, world))
    )
    best: NDArray[np.int64] = scores.argmax(axis=1)
    return best


def _searched(agent: AlphaAgent, world: World, rows: NDArray[np.int16], *, config: SearchConfig) -> NDArray[np.int64]:
    if config.rollout_share > 0.0:
        raise UserError(f"rollout_share is {config.rollout_share}, but rollouts are samples; use 0 for exact actions.")
    found = search(world, rows, NetworkEvaluator(agent, world), config=config, discount=_discount(agent, world))
    return found.actions


def _discount(agent: AlphaAgent, world: World) -> float:
    """γ that V was trained with, and the world's own where V is untrained."""
    return world.discount if agent.value_discount is None else agent.value_discount
