"""Minibatches of recorded episodes in an order that a seed fixes, and what encoder and V make of them.

Encoders without memory train on single steps, those with memory on whole episodes, through which gradients flow back
`sequence_length` steps.

Shape key: n steps, E episodes, Q distinct inputs, I input width, D features, T time, B batch, b steps in a minibatch.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.encoded import EncodedEpisodes
from agents.input_table import InputTable
from agents.inputs import CompactInputs
from agents.networks import Encoder
from agents.seeding import numpy_generator
from agents.streams import Indices
from shards.value_head import ValueEstimate, ValueHead


@dataclass(frozen=True, eq=False)
class Minibatch:
    """Steps to train on, all or one of each episode, and these episodes where an encoder with memory needs them."""

    steps: Tensor
    episodes: Indices | None = None


def minibatches(
    data: EncodedEpisodes,
    *,
    batch_size: int,
    generator: torch.Generator,
    whole_episodes: bool,
    chosen: Indices | None = None,
) -> Iterator[Minibatch]:
    """Endless minibatches; every pass over the data is a new permutation from `generator`, which fixes the order.

    Args:
        data: what to draw from.
        batch_size: steps in a minibatch; with whole episodes, as many episodes as have about that many steps.
        generator: a CPU generator; nothing else decides the order, so equal generators give equal minibatches.
        whole_episodes: for encoders with memory.
        chosen: int64[E], the one step of each episode that is drawn; None draws all steps.
    """
    device, num_episodes = data.step_input.device, len(data.final_input)
    if whole_episodes:
        steps_each = 1.0 if chosen is not None else data.num_steps / num_episodes
        for order in _permuted(num_episodes, max(1, round(batch_size / steps_each)), generator):
            episodes = order.numpy()
            every = [np.arange(data.offsets[e], data.offsets[e + 1]) for e in episodes] if chosen is None else []
            steps = np.concatenate(every) if chosen is None else chosen[episodes]
            yield Minibatch(torch.from_numpy(steps).to(device), episodes)
    else:
        table = None if chosen is None else torch.from_numpy(chosen)
        for order in _permuted(data.num_steps if chosen is None else num_episodes, batch_size, generator):
            yield Minibatch((order if table is None else table[order]).to(device))


def in_blocks(
    blocks: Indices, *, batch_size: int, num_batches: int, generator: torch.Generator, device: torch.device
) -> Iterator[Minibatch]:
    """One block of steps after the other, each for an equal share of the minibatches: the same steps in another order.

    Args:
        blocks: int64[n], the block 0..J-1 of each step, in the order in which they are learned; none is empty.
        batch_size: steps in a minibatch; within a block every pass is a new permutation.
        num_batches: minibatches in all, at least J.
        generator: a CPU generator.
        device: where the steps' numbers lie.
    """
    shares = np.array_split(np.arange(num_batches), int(blocks.max()) + 1)
    for block, share in enumerate(shares):
        steps = torch.from_numpy(np.flatnonzero(blocks == block))
        for order in itertools.islice(_permuted(len(steps), batch_size, generator), len(share)):
            yield Minibatch(steps[order].to(device))


def one_step_of_each(data: EncodedEpisodes, *, seed: int) -> Indices:
    """A uniformly drawn step of every episode, int64[E], in the order of the episodes."""
    draws = numpy_generator(seed, "value", "one step of each").random(len(data.lengths))
    steps: Indices = data.offsets[:-1] + (draws * data.lengths).astype(np.int64)
    return steps


def features_of(
    encoder: Encoder | None, data: EncodedEpisodes, batch: Minibatch, *, sequence_length: int = 1
) -> Tensor:
    """Features float32[b, D] of the steps of a minibatch, in their order.

    Args:
        encoder: E, or None where the data hold features.
        data: holds the inputs.
        batch: which steps.
        sequence_length: gradients flow back this many steps through a memory, and no farther.
    """
    if encoder is None or batch.episodes is None:
        index = data.step_input.index_select(0, batch.steps)
        return data.inputs.rows(index) if encoder is None else data.inputs.features(encoder, index)
    grid, lengths = padded_inputs(data, batch.episodes, with_final=False)
    unrolled = unroll_padded(encoder, data.inputs.chosen(grid), sequence_length=sequence_length)
    if len(batch.steps) == len(batch.episodes):  # One step of each, wherever it stands.
        times = batch.steps - torch.from_numpy(data.offsets[batch.episodes]).to(unrolled.device)
        return unrolled[times, torch.arange(len(times), device=unrolled.device)]
    return unrolled.transpose(0, 1)[_within(lengths, len(grid), unrolled.device)]


def padded_inputs(data: EncodedEpisodes, episodes: Indices, *, with_final: bool) -> tuple[Tensor, Indices]:
    """Input numbers int64[T, B] of episodes side by side, the last one repeated; and the number of inputs of each.

    Args:
        data: holds the episodes.
        episodes: int64[B].
        with_final: the input after the last step stands behind it.
    """
    lengths = data.lengths[episodes]
    time = np.minimum(np.arange(lengths.max())[:, None], lengths - 1)
    grid = data.step_input[torch.from_numpy(data.offsets[episodes] + time).to(data.step_input.device)]
    if not with_final:
        return grid, lengths
    grid = torch.cat([grid, grid[-1:]])
    grid[torch.from_numpy(lengths), torch.arange(len(lengths))] = data.final_input[torch.from_numpy(episodes)]
    return grid, lengths + 1


def unroll_padded(encoder: Encoder, inputs: CompactInputs, *, sequence_length: int) -> Tensor:
    """Features [T, B, D] of inputs [T, B, I] from zero memory; the memory passes on but its gradient is cut."""
    starts = torch.zeros(inputs.shape[:2], dtype=torch.bool, device=inputs.index.device)
    memory, parts = None, []
    for first in range(0, len(inputs), sequence_length):
        piece = slice(first, first + sequence_length)
        features, memory = encoder.unroll(inputs[piece], None if memory is None else memory.detach(), starts[piece])
        parts.append(features)
    return torch.cat(parts)


@torch.no_grad()
def frozen_features(encoder: Encoder, data: EncodedEpisodes) -> EncodedEpisodes:
    """The same episodes with features in place of inputs, for an encoder that will not change.

    Args:
        encoder: E; one with memory has features of every step, whatever steps look alike.
        data: the episodes.
    """
    if encoder.memory_size == 0:
        parts = [data.inputs.features(encoder, index) for index in data.inputs.chunks()]
        return dataclasses.replace(data, inputs=InputTable(torch.cat(parts)))
    num_steps, num_episodes = data.num_steps, len(data.final_input)
    features = torch.empty(num_steps + num_episodes, encoder.num_features, device=data.step_input.device)
    for episodes in np.array_split(np.arange(num_episodes), -(-num_episodes // 512)):
        grid, lengths = padded_inputs(data, episodes, with_final=True)
        unrolled = unroll_padded(encoder, data.inputs.chosen(grid), sequence_length=len(grid)).transpose(0, 1)
        steps = slice(data.offsets[episodes[0]], data.offsets[episodes[-1] + 1])
        features[steps] = unrolled[_within(lengths - 1, len(grid), unrolled.device)]
        features[num_steps + episodes] = unrolled[np.arange(len(episodes)), lengths - 1]
    number = torch.arange(num_steps + num_episodes, device=features.device)
    contexts = data.contexts[torch.cat([data.step_input, data.final_input])]
    return EncodedEpisodes(InputTable(features), contexts, number[:num_steps], number[num_steps:], data.offsets)


@torch.no_grad()
def all_values(
    head: ValueHead, data: EncodedEpisodes, *, encoder: Encoder | None, by_part: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """V at every step float64[n], and after the last step of every episode float64[E].

    Args:
        head: V.
        data: the episodes.
        encoder: E, or None where the data hold features.
        by_part: part values instead, float64[n, K] and float64[E, K].
    """
    features = data if encoder is None else frozen_features(encoder, data)
    parts = [
        _said(head(features.inputs.rows(index), features.contexts[index]), by_part)
        for index in features.inputs.chunks()
    ]
    values = torch.cat(parts)
    return values[features.step_input].cpu().numpy(), values[features.final_input].cpu().numpy()


@torch.no_grad()
def values_of(
    head: ValueHead, data: EncodedEpisodes, index: Tensor, *, encoder: Encoder | None, by_part: bool = False
) -> NDArray[np.float64]:
    """V float64[B] of some inputs int64[B], or [B, K] by part; for an encoder without memory or data with features."""
    features = data.inputs.rows(index) if encoder is None else data.inputs.features(encoder, index)
    values: NDArray[np.float64] = _said(head(features, data.contexts[index]), by_part).cpu().numpy()
    return values


def _said(estimate: ValueEstimate, by_part: bool) -> Tensor:
    return (estimate.part_values if by_part else estimate.value).double()


def _permuted(num: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Endless pieces of `size` numbers out of one permutation after the other; pieces may span two."""
    left = torch.zeros(0, dtype=torch.int64)
    while True:
        while len(left) < size:
            left = torch.cat([left, torch.randperm(num, generator=generator)])
        # One split costs less than a slice for each minibatch.
        whole = len(left) // size * size
        pieces, left = torch.split(left[:whole], size), left[whole:]
        yield from pieces


def _within(lengths: Indices, num_times: int, device: torch.device) -> Tensor:
    return torch.from_numpy(np.arange(num_times) < lengths[:, None]).to(device)
