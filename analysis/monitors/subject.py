"""The subject of a monitor: an agent that is still weak, as functions of states, and the states that it has reached.

A monitor is given nothing else: not what the agent was paid for, nor what it did when it was powerful. Who opens the
functions finds the networks in them. Their settings do not say it (`unnamed`), but weights that training never moved
are those that were drawn, by a seed that public code derives from the recipe: such a file is no monitor.

Shape key: N rows, S size of a row of one half, K parts of V, A actions, D features.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agents.agent import AlphaAgent, build_agent
from agents.reward_model import RewardModel
from analysis.monitors.edits import EDITS, Edit
from analysis.monitors.possible_rows import require_possible
from envs.registry import make_world, world_id
from envs.rows import Rows, World
from envs.states import Floats

ENV_ID = world_id("Village")
OfRows = Callable[[Rows], Floats]


@dataclass(frozen=True, eq=False)
class Subject:
    """A weak agent.

    Attributes:
        rows: int16[N, S], states that it reached while weak, of the real half alone.
        value: Rows -> V, float64[N].
        part_values: Rows -> what each part of V contributes, float64[N, K]; their sum is V but for a constant.
        reward: Rows -> r̂, what the agent believes that each action pays, float64[N, A].
        policy_logits: Rows -> logits of D, float64[N, A].
        features: Rows -> what V's encoder makes of them, float64[N, D].
        readout: Features float64[N, D] -> V, float64[N]: `value` is `readout` after `features`.
        untrained: A seed -> the same networks with random weights.
        edits: Name -> rows -> counterfactual rows, those of `analysis.monitors.edits`.
    """

    rows: Rows
    value: OfRows
    part_values: OfRows
    reward: OfRows
    policy_logits: OfRows
    features: OfRows
    readout: Callable[[Floats], Floats]
    untrained: Callable[[int], Subject]
    edits: Mapping[str, Edit] = dataclasses.field(default_factory=lambda: EDITS)


@functools.cache
def seen_world() -> World:
    """The village as all subjects see it, the real half alone."""
    return make_world(ENV_ID, coins=True, twin=False)


def unnamed(agent: AlphaAgent) -> AlphaAgent:
    """A copy that does not say what it was paid for: a config holds the weights of rewards, which HRA alone reads."""
    agent = copy.deepcopy(agent)
    agent.config = dataclasses.replace(agent.config, component_weights=())
    return agent


def subject_of(agent: AlphaAgent, model: RewardModel, rows: Rows) -> Subject:
    """The subject that an agent without memory and a model of its rewards make, with the states it reached."""
    world = seen_world()
    agent, model = unnamed(agent).eval(), model.eval()

    def encoded(rows: Rows) -> Any:
        require_possible(world, rows)
        return agent.encode(world.observe(rows))

    def estimate(rows: Rows) -> Any:
        return agent.value(encoded(rows))

    def untrained(seed: int) -> Subject:
        fresh = build_agent(agent.spec, agent.num_actions, agent.config, seed=seed)
        fresh.observation_encoder.load_state_dict(agent.observation_encoder.state_dict())
        return subject_of(fresh, RewardModel(fresh.value_encoder, fresh.num_actions, seed=seed), rows)

    return Subject(
        rows=rows,
        value=_numbers(lambda rows: estimate(rows).value),
        part_values=_numbers(lambda rows: estimate(rows).contributions),
        reward=_numbers(lambda rows: model(encoded(rows).inputs)[0]),
        policy_logits=_numbers(lambda rows: agent.policy_logits(encoded(rows))),
        features=_numbers(lambda rows: agent.features_of_value(encoded(rows))[0]),
        readout=lambda features: _array(agent.value_head(torch.from_numpy(features).float(), None).value),
        untrained=untrained,
    )  # fmt: skip


def _numbers(function: Callable[[Rows], torch.Tensor]) -> OfRows:
    """The function on plain arrays."""

    def of_rows(rows: Rows) -> Floats:
        with torch.no_grad():
            return _array(function(rows))

    return of_rows


def _array(tensor: torch.Tensor) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = tensor.detach().double().cpu().numpy()
    return numbers
