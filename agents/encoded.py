"""Recorded episodes as encoded tensors: each distinct input is encoded once, and steps are rows of that matrix.

Shape key: n steps, E episodes, Q distinct inputs, I input width.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.agent import AlphaAgent
from agents.input_table import InputTable, build_table
from agents.streams import Indices
from envs.episodes import Episodes
from envs.row_index import RowIndex


@dataclass(frozen=True, eq=False)
class EncodedEpisodes:
    """Episodes whose distinct inputs stand in one matrix; equal inputs with different contexts are distinct.

    Attributes:
        inputs: Q rows.
        contexts: int64[Q], −1 unknown.
        step_input: int64[n], the input of each step.
        final_input: int64[E], the input after each episode's last step.
        offsets: int64[E + 1], numpy.
    """

    inputs: InputTable
    contexts: Tensor
    step_input: Tensor
    final_input: Tensor
    offsets: Indices

    @property
    def num_steps(self) -> int:
        """How many steps there are in all."""
        return len(self.step_input)

    @property
    def lengths(self) -> Indices:
        """Steps of each episode, int64[E]."""
        return np.diff(self.offsets)

    @property
    def next_input(self) -> Tensor:
        """The input after each step, int64[n]."""
        successors = self.step_input.roll(-1)
        successors[torch.from_numpy(self.offsets[1:] - 1)] = self.final_input
        return successors


def encode_episodes(agent: AlphaAgent, episodes: Episodes) -> EncodedEpisodes:
    """Encode what an agent saw.

    Args:
        agent: gives the encoding and the device.
        episodes: with observations; final contexts that are not recorded are taken from the last step.

    Raises:
        UserError: the observations are not what the agent takes.
        NonFiniteError: an observation is NaN or infinite.
    """
    final_contexts = episodes.final_contexts
    if final_contexts is None:
        final_contexts = episodes.contexts[episodes.offsets[1:] - 1]
    contexts = np.concatenate([episodes.contexts, final_contexts])
    first, number = _distinct(_keys(agent, episodes, contexts))
    num_steps, device = episodes.num_steps, agent.device
    shown = {name: _pick(array, episodes.final_observations[name], first)
             for name, array in agent.spec.select(episodes.observations).items()}  # fmt: skip
    return EncodedEpisodes(
        inputs=build_table(agent, shown, len(first)), contexts=torch.from_numpy(contexts[first]).to(device),
        step_input=torch.from_numpy(number[:num_steps]).to(device),
        final_input=torch.from_numpy(number[num_steps:]).to(device), offsets=episodes.offsets,
    )  # fmt: skip


def select_episodes(data: EncodedEpisodes, chosen: Indices) -> tuple[EncodedEpisodes, Indices]:
    """Some of the episodes, in the order given.

    Args:
        data: all of them; the matrix of inputs is shared.
        chosen: int64[E'], which.

    Returns:
        The episodes, and the numbers int64[n'] of their steps among all steps.
    """
    steps = np.concatenate([np.arange(data.offsets[e], data.offsets[e + 1]) for e in chosen])
    offsets = np.concatenate([[0], np.cumsum(data.lengths[chosen])])
    selected = dataclasses.replace(
        data, step_input=data.step_input[torch.from_numpy(steps)], offsets=offsets,
        final_input=data.final_input[torch.from_numpy(np.asarray(chosen))],
    )  # fmt: skip
    return selected, steps


def _keys(agent: AlphaAgent, episodes: Episodes, contexts: Indices) -> NDArray[np.int16]:
    """One row of int16 for each step and each end, equal only where input and context are."""
    if episodes.rows is not None and episodes.final_rows is not None:
        parts = [np.concatenate([episodes.rows, episodes.final_rows])]
    else:
        pairs = [(array, episodes.final_observations[name])
                 for name, array in agent.spec.select(episodes.observations).items()]  # fmt: skip
        parts = [_as_int16(np.concatenate(pair)) for pair in pairs]
    return np.concatenate([*parts, _as_int16(contexts)], axis=1)


def _as_int16(array: NDArray[Any]) -> NDArray[np.int16]:
    """The bytes of each row, seen as int16 (padded by a 0 where their number is odd)."""
    rows = np.ascontiguousarray(array).reshape(len(array), -1).view(np.uint8)
    if rows.shape[1] % 2:
        rows = np.pad(rows, ((0, 0), (0, 1)))
    return rows.view(np.int16)


def _distinct(keys: NDArray[np.int16]) -> tuple[Indices, Indices]:
    """Position of the first of each distinct row, and the number of the distinct row that each one equals."""
    number = RowIndex(keys.shape[1]).intern(keys)
    first = np.empty(number.max() + 1, np.int64)
    first[number[::-1]] = np.arange(len(number))[::-1]
    return first, number


def _pick(steps: NDArray[Any], finals: NDArray[Any], index: Indices) -> NDArray[Any]:
    """Rows of the two arrays end to end, without joining them."""
    picked = np.empty((len(index), *steps.shape[1:]), steps.dtype)
    is_step = index < len(steps)
    picked[is_step], picked[~is_step] = steps[index[is_step]], finals[index[~is_step] - len(steps)]
    return picked
