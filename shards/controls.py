"""Controls that change what credit is told, not the head.

Shape key: N recorded steps, M episodes, E events.
"""

from __future__ import annotations

import torch
from torch import Tensor


def draw_donors(num_episodes: int, generator: torch.Generator) -> Tensor:
    """Assign every episode another one, and every one once: a random cycle through all episodes.

    Args:
        num_episodes: M, at least 2.
        generator: on the CPU.

    Returns:
        int64[M], a permutation without fixed points, uniform over the cycles of length M.

    Raises:
        ValueError: fewer than two episodes.
    """
    if num_episodes < 2:
        raise ValueError(f"labels of {num_episodes} episode(s) cannot be exchanged; record at least 2 episodes")
    order = torch.randperm(num_episodes, generator=generator)
    donors = torch.empty_like(order)
    donors[order] = order.roll(-1)
    return donors


def shuffle_event_share(event_share: Tensor, offsets: Tensor, *, generator: torch.Generator) -> Tensor:
    """Give every episode the event shares of another: the control ROUTE-RAND, routing without history.

        shuffled[start_i + t] = event_share[start_d + floor(t · length_d / length_i)],   d = donor of episode i.

    An episode reads its donor at the same fraction of its course. Where an episode has one event, its steps all carry
    the donor's label, and the frequencies of labels over episodes are kept exactly (not those over steps, since lengths
    differ). Withheld labels (NAN) move along.

    Args:
        event_share: float[N, E].
        offsets: int64[M + 1], the first step of each episode, then N; no episode is empty.
        generator: on the CPU; its state fixes the shuffle.

    Returns:
        float[N, E], on the device of `event_share`.

    Raises:
        ValueError: fewer than two episodes; offsets that do not cut the steps into episodes.
    """
    offsets = _check_offsets(offsets.cpu(), event_share.shape[0])
    start, length = offsets[:-1], offsets.diff()
    donors = draw_donors(len(length), generator)
    episode = torch.arange(len(length)).repeat_interleave(length)
    time = torch.arange(event_share.shape[0]) - start[episode]
    donor = donors[episode]
    step = start[donor] + time * length[donor] // length[episode]
    return event_share[step.to(event_share.device)]


def _check_offsets(offsets: Tensor, num_steps: int) -> Tensor:
    rising = offsets.dim() == 1 and len(offsets) > 1 and bool((offsets.diff() > 0).all())
    if not rising or int(offsets[0]) != 0 or int(offsets[-1]) != num_steps:
        raise ValueError(
            f"offsets {offsets.tolist()[:4]}... do not cut {num_steps} steps into episodes; they must rise from 0 to "
            f"{num_steps}, one entry per episode and one more"
        )
    return offsets
