"""Rollouts of a fixed number of steps, kept in the env's own types (uint8 planes stay uint8).

Shape key: N envs, T steps, M truncations, C reward components, H memory size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from agents.returns import Floats, continuation
from agents.streams import EnvStream, Flags, Indices, Observations, Transitions


class Actor(Protocol):
    """Chooses actions for the envs of a stream."""

    def act(self, stream: EnvStream, needed: Flags) -> tuple[Indices, NDArray[np.float32]]:
        """Choose.

        Args:
            stream: shows the observations and which of them are first ones.
            needed: bool[N], envs whose action will be used; the others may get any action.

        Returns:
            actions int64[N], log-probabilities float32[N] (0 where not needed or where the actor is deterministic).
        """


@dataclass(frozen=True)
class Rollout:
    """T steps of N envs. Rows where `valid` is False are resets and no transitions.

    The successor of row (t, k) is `observations[t + 1, k]`, except where (t, k) is an end: a truncated row's successor
    is the final observation listed for it; a terminated row's is never used.

    Attributes:
        observations: arrays [T + 1, N, ...].
        starts: bool[T + 1, N], the observation is the first of an episode.
        contexts: int64[T + 1, N], −1 unknown.
        actions: int64[T, N].
        log_probs: float32[T, N], of the actions under the actor.
        rewards: float64[T, N].
        terminated: bool[T, N].
        truncated: bool[T, N].
        valid: bool[T, N].
        events: int64[T, N], −1 none.
        final_observations: arrays [M, ...] of the truncated rows.
        final_contexts: int64[M].
        final_step: int64[M], t of the truncated row.
        final_env: int64[M], k of the truncated row.
        memory: what the actor remembered before the first step, float32[N, H], or None.
        components: float64[T, N, C], or None where the env has no reward components.
    """

    observations: Observations
    starts: Flags
    contexts: Indices
    actions: Indices
    log_probs: NDArray[np.float32]
    rewards: Floats
    terminated: Flags
    truncated: Flags
    valid: Flags
    events: Indices
    final_observations: Observations
    final_contexts: Indices
    final_step: Indices
    final_env: Indices
    memory: Any = None
    components: Floats | None = None

    @property
    def continuation(self) -> Floats:
        """float64[T, N], 1 where the next row carries on the episode."""
        return continuation(self.terminated, self.truncated)

    def next_values(self, values: Floats, final_values: Floats) -> Floats:
        """V(s_{t+1}) for every row.

        Args:
            values: float64[T + 1, N], V of `observations`.
            final_values: float64[M], V of `final_observations`.

        Returns:
            float64[T, N]; terminated rows hold the value of the next episode's start, which a discount of 0 removes.
        """
        successors = np.array(values[1:], np.float64)
        successors[self.final_step, self.final_env] = final_values
        return successors


def collect(stream: EnvStream, actor: Actor, *, num_steps: int) -> Rollout:
    """Take `num_steps` steps in every env of the stream, which goes on where it is.

    Args:
        stream: the envs.
        actor: chooses the actions.
        num_steps: T ≥ 1.

    Raises:
        NonFiniteError: a reward or an observation is NaN or infinite.
    """
    shown: list[tuple[Observations, Flags, Indices]] = []
    chosen: list[tuple[Indices, NDArray[np.float32]]] = []
    steps: list[Transitions] = []
    memory = getattr(actor, "memory", None)
    for _ in range(num_steps):
        shown.append((stream.observations, stream.starts, stream.contexts))
        chosen.append(actor.act(stream, stream.valid))
        steps.append(stream.step(chosen[-1][0]))
    shown.append((stream.observations, stream.starts, stream.contexts))
    actions, log_probs = (np.stack(parts) for parts in zip(*chosen, strict=True))
    return Rollout(
        observations=stack([observations for observations, _, _ in shown]),
        starts=np.stack([starts for _, starts, _ in shown]), contexts=np.stack([contexts for _, _, contexts in shown]),
        actions=actions, log_probs=log_probs, rewards=np.stack([step.rewards for step in steps]),
        terminated=np.stack([step.terminated for step in steps]),
        truncated=np.stack([step.truncated for step in steps]),
        valid=np.stack([step.valid for step in steps]), events=np.stack([step.events for step in steps]),
        memory=memory, components=_components(steps), **_truncations(steps),
    )


def _components(steps: list[Transitions]) -> Floats | None:
    moved = [step.components for step in steps if step.valid.any()]
    if not moved or moved[0] is None or any(each is None for each in moved):
        return None
    # A step that resets all envs brings none.
    nothing = np.zeros_like(moved[0])
    return np.stack([nothing if step.components is None else step.components for step in steps])


def stack(observations: list[Observations]) -> Observations:
    """Stack dicts of arrays along a new axis 0."""
    return {name: np.stack([one[name] for one in observations]) for name in observations[0]}


def concatenate(observations: list[Observations]) -> Observations:
    """Join dicts of arrays along axis 0."""
    return {name: np.concatenate([one[name] for one in observations]) for name in observations[0]}


def _truncations(steps: list[Transitions]) -> dict[str, Any]:
    """The final observations of truncated rows, and where they belong."""
    cut = [step.truncated[step.ended] for step in steps]
    envs = [step.ended[mask] for step, mask in zip(steps, cut, strict=True)]
    observations = [
        {name: array[mask] for name, array in step.final_observations.items()}
        for step, mask in zip(steps, cut, strict=True)
    ]
    return {
        "final_observations": concatenate(observations),
        "final_contexts": np.concatenate([step.final_contexts[mask] for step, mask in zip(steps, cut, strict=True)]),
        "final_step": np.repeat(np.arange(len(steps)), [len(one) for one in envs]),
        "final_env": np.concatenate(envs),
    }
