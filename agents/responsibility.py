"""A log of reinforcement events: what happened when, and how much of the credit for it each part of V received.

Shape key: n steps, M events in the log, K parts, E kinds of events.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.returns import Floats, decayed_sums
from agents.streams import Indices
from envs.archives import unzipped, zipped
from envs.episodes import Episodes, episode_of_step
from envs.errors import UserError
from envs.storage import write_bytes
from shards.value_head import ValueEstimate

UPDATES_AT_ONCE = 64


class ReceivedCredit:
    """Adds up what parts are taught at each step of recorded episodes: by_step_tk = Σ over updates of |∂loss/∂p_tk|.

    p_tk is the value of part k at step t. It listens to the gradient and changes nothing. Gradients are added several
    updates at a time, in their order, since one addition costs as much as many.
    """

    def begin(self, num_steps: int, num_parts: int) -> None:
        """Start from zero."""
        self._by_step = torch.zeros(num_steps, num_parts, dtype=torch.float64)
        self._waiting: list[tuple[Tensor, Tensor]] = []

    def listen(self, estimate: ValueEstimate, steps: Tensor) -> None:
        """Add the gradient that an estimate, of steps int64[b], gets when the loss is differentiated."""
        hook = functools.partial(self.add, steps)
        estimate.part_values.register_hook(hook)  # type: ignore[no-untyped-call]

    def add(self, steps: Tensor, gradient: Tensor) -> None:
        """Add the gradient float[b, K] of the loss to the parts' values at steps int64[b]."""
        self._waiting.append((steps, gradient.detach().abs()))
        if len(self._waiting) == UPDATES_AT_ONCE:
            self._add()

    @property
    def by_step(self) -> Tensor:
        """float64[n, K], of all updates so far."""
        self._add()
        return self._by_step

    def _add(self) -> None:
        if self._waiting:
            steps, gradients = (torch.cat(parts).cpu() for parts in zip(*self._waiting, strict=True))
            self._by_step.index_add_(0, steps, gradients.double())
            self._waiting.clear()


@dataclass(frozen=True, eq=False)
class EventLog:
    """One row for each step with a reinforcement event, in the order of the recording.

    Attributes:
        episode: int64[M], number of the episode.
        step: int64[M], number of the step within it.
        event: int64[M], kind of the event, 0..E-1.
        reward: float64[M], reward of the step.
        responsibility: float64[M, K], each part's share of the credit for the event; rows sum to 1, or are NaN where no
            credit was given.
    """

    episode: Indices
    step: Indices
    event: Indices
    reward: Floats
    responsibility: Floats

    def __post_init__(self) -> None:
        """Refuse columns of different lengths."""
        lengths = {field.name: len(getattr(self, field.name)) for field in dataclasses.fields(self)}
        if len(set(lengths.values())) > 1 or self.responsibility.ndim != 2:
            raise UserError(f"EventLog: columns have {lengths} rows; they must have one row for each event.")


def event_log(episodes: Episodes, received: NDArray[np.float64], *, decay: float) -> EventLog:
    """Who was credited for each reinforcement event.

        responsibility_ik = Σ_{t ≤ t_i} a_it · received_tk / Σ_l (the same of part l),
        a_it = (γλ)^(t_i − t) |r_i| / Σ_{j, t_j ≥ t} (γλ)^(t_j − t) |r_j|,

    the sums within one episode: a_it is the share of event i in what followed step t, so that the credit given at a
    step is divided among the events that it was given for. With routed credit and one event an episode, the part of the
    event receives all. It says where credit went, not what a part would be without it.

    Args:
        episodes: The recording, with events; rewards without an event count for none.
        received: float64[n, K], `ReceivedCredit.by_step` of a training on it.
        decay: γλ of the returns, in [0, 1].
    """
    size = np.abs(episodes.rewards) * (episodes.events >= 0)
    first = np.zeros(episodes.num_steps, bool)
    first[episodes.offsets[:-1]] = True
    last = np.roll(first, -1)
    followed = decayed_sums(size[:, None], decay * ~last)
    credit = np.zeros_like(received)
    np.divide(received, followed, out=credit, where=followed > 0)
    # The same sum, forwards in time.
    arrived = decayed_sums(credit[::-1], decay * ~first[::-1])[::-1]
    rows = np.flatnonzero(episodes.events >= 0)
    given = size[rows, None] * arrived[rows]
    total = given.sum(axis=1, keepdims=True)
    shares = np.full_like(given, np.nan)
    np.divide(given, total, out=shares, where=total > 0)
    episode = episode_of_step(episodes)[rows]
    return EventLog(
        episode, rows - episodes.offsets[episode], episodes.events[rows], episodes.rewards[rows], responsibility=shares
    )


def responsibility_matrix(log: EventLog, num_events: int) -> Floats:
    """Mean responsibility of each part for each kind of event, float64[K, E]; NaN for kinds that were not credited."""
    matrix: Floats = np.full((log.responsibility.shape[1], num_events), np.nan)
    credited = ~np.isnan(log.responsibility).any(axis=1)
    for event in np.unique(log.event[credited]):
        matrix[:, event] = log.responsibility[credited & (log.event == event)].mean(axis=0)
    return matrix


def save_event_log(path: str | Path, log: EventLog) -> None:
    """Write a log as a zip of .npy arrays by the names of its fields; equal logs give equal bytes.

    Raises:
        UserError: The folder cannot be written.
    """
    write_bytes(path, zipped({field.name: getattr(log, field.name) for field in dataclasses.fields(log)}))


def load_event_log(path: str | Path) -> EventLog:
    """Read what `save_event_log` wrote; no code in the file is run.

    Raises:
        UserError: The file is missing or damaged, or is no log.
    """
    try:
        return EventLog(**unzipped(Path(path).read_bytes()))
    # A damaged archive can raise anything.
    except Exception as error:
        raise UserError(f"Event log {str(path)!r} cannot be used: {error or type(error).__name__}.") from error
