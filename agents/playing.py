"""Whole episodes: every env plays the same number of them, so that short episodes are not preferred.

Counting the first n episodes that end over many envs would favour short ones; a fixed number per env does not.
Shape key: N envs, n steps of all episodes, E episodes, S row size, C reward components.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.environments import Vector, make_vector, open_stream
from agents.observations import ObservationSpec
from agents.rollout import Actor, concatenate
from agents.streams import EnvStream, Indices, Observations, Transitions
from envs.errors import UserError, require_integer
from envs.registry import is_world_id

MAX_STEPS_PER_EPISODE = 100_000
NATIVE_BATCH = 4096
FOREIGN_BATCH = 16
_STEP_NAMES = ("actions", "rewards", "events", "contexts", "performance", "components", "rows", "observations")
_END_NAMES = ("terminated", "truncated", "levels", "final_contexts", "final_rows", "final_observations")


@dataclass(frozen=True)
class Played:
    """Episodes in the order of their env and then of time; `agents.recorder` makes `envs.episodes.Episodes` of them.

    Attributes:
        actions: int64[n].
        rewards: float64[n].
        events: int64[n], −1 none.
        contexts: int64[n], −1 unknown.
        performance: float64[n], NaN where the env has none.
        components: float64[n, C], or None.
        terminated: bool[E].
        truncated: bool[E].
        lengths: int64[E].
        levels: int64[E], −1 none.
        observations: arrays [n, ...]; empty unless kept.
        final_observations: arrays [E, ...]; empty unless kept.
        final_contexts: int64[E].
        rows: int16[n, S], or None unless kept.
        final_rows: int16[E, S], or None unless kept.
    """

    actions: Indices
    rewards: NDArray[np.float64]
    events: Indices
    contexts: Indices
    performance: NDArray[np.float64]
    components: NDArray[np.float64] | None
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    lengths: Indices
    levels: Indices
    observations: Observations
    final_observations: Observations
    final_contexts: Indices
    rows: NDArray[np.int16] | None
    final_rows: NDArray[np.int16] | None

    @property
    def offsets(self) -> Indices:
        """int64[E + 1], episode e is steps offsets[e] .. offsets[e + 1]."""
        return np.concatenate([[0], np.cumsum(self.lengths)])


@dataclass
class _Log:
    """What has been seen so far, in the order of time."""

    steps: list[dict[str, Any]] = field(default_factory=list)
    ends: list[dict[str, Any]] = field(default_factory=list)


def play(
    stream: EnvStream, actor: Actor, *, episodes_per_env: int, keep_observations: bool = False, keep_rows: bool = False
) -> Played:
    """Play `episodes_per_env` whole episodes in every env.

    Args:
        stream: freshly reset envs.
        actor: chooses the actions; it is told which envs still play.
        episodes_per_env: ≥ 1.
        keep_observations: also return what was seen.
        keep_rows: also return the state rows of a native env (not in SAME_STEP mode, which overwrites the last rows).

    Raises:
        UserError: an episode goes on for more than 100,000 steps, or rows were asked of an env that has none.
        NonFiniteError: a reward or an observation is NaN or infinite.
    """
    log, counts = _Log(), np.zeros(stream.num_envs, np.int64)
    limit = MAX_STEPS_PER_EPISODE * episodes_per_env
    while (playing := counts < episodes_per_env).any():
        if stream.num_steps > limit:
            raise UserError(f"An episode takes more than {MAX_STEPS_PER_EPISODE} steps; give the env a time limit.")
        recorded, levels = np.flatnonzero(stream.valid & playing), stream.levels
        before = _before(stream, recorded, keep_observations=keep_observations, keep_rows=keep_rows)
        actions, _ = actor.act(stream, stream.valid & playing)
        step = stream.step(actions, with_rows=keep_rows)
        key = recorded * episodes_per_env + counts[recorded]
        if len(recorded):  # A step that resets all envs may lack what a transition brings.
            log.steps.append({"key": key, "actions": actions[recorded]} | before | _after(step, recorded))
        counts = _note_ends(log, step, counts=counts, episodes_per_env=episodes_per_env, levels=levels)
    return _arranged(log)


def play_batches(
    env_id: str,
    spec: ObservationSpec,
    player: Callable[[Vector, int], Actor],
    *,
    num_episodes: int,
    seed: int,
    name: str,
    options: Mapping[str, Any] | None,
    split: str,
    keep: bool = False,
) -> Iterator[Played]:
    """Play `num_episodes` whole episodes of an env by its id, a batch at a time.

    In a world of ours each episode is the first of an env of its own; foreign envs play the same number each, and which
    of them are left out is fixed beforehand, so that lengths have no say in it. What is played does not depend on the
    size of a batch of ours.

    Args:
        env_id: Gymnasium id.
        spec: which parts of the observations to keep.
        player: gives the actor for a vector env and the index of its first env.
        num_episodes: E ≥ 1.
        seed: of levels, starts and chance.
        name: of their stream.
        options: of the world, or of `gymnasium.make`.
        split: "train" or "test" levels (our worlds only).
        keep: also return what was seen: the rows of a world of ours, the observations of a foreign env.

    Raises:
        UserError: an unknown id, option or split.
        NonFiniteError: as `play`.
    """
    require_integer("num_episodes", num_episodes, low=1, high=2**31)
    is_ours = is_world_id(env_id)
    for first in range(0, num_episodes, NATIVE_BATCH if is_ours else num_episodes):
        num_envs = min(num_episodes - first, NATIVE_BATCH if is_ours else FOREIGN_BATCH)
        env = make_vector(env_id, num_envs, options=options, split=split, first_env=first)
        played = play(
            open_stream(env, spec, seed=seed, name=name), player(env, first),
            episodes_per_env=1 if is_ours else -(-num_episodes // num_envs),
            keep_observations=keep and not is_ours, keep_rows=keep and is_ours,
        )  # fmt: skip
        env.close()
        yield first_episodes(played, num_episodes)


def first_episodes(played: Played, num_episodes: int) -> Played:
    """The first episodes of `played`, which is what it holds itself where there are no more."""
    if len(played.lengths) <= num_episodes:
        return played
    num_steps = int(played.lengths[:num_episodes].sum())
    cut: dict[str, Any] = {}
    for entry in dataclasses.fields(played):
        part = getattr(played, entry.name)
        size = num_episodes if entry.name in _END_NAMES or entry.name == "lengths" else num_steps
        cut[entry.name] = {k: v[:size] for k, v in part.items()} if isinstance(part, dict) else part
        if isinstance(part, np.ndarray):
            cut[entry.name] = part[:size]
    return Played(**cut)


def _before(stream: EnvStream, recorded: Indices, *, keep_observations: bool, keep_rows: bool) -> dict[str, Any]:
    """What belongs to the state before the step."""
    rows = stream.rows() if keep_rows else None
    if keep_rows and rows is None:
        raise UserError(f"Rows were asked of {type(stream.env).__name__}, which has none; only native worlds do.")
    shown = {name: array[recorded] for name, array in stream.observations.items()} if keep_observations else {}
    return {
        "observations": shown, "contexts": stream.contexts[recorded],
        "rows": None if rows is None else rows[recorded],
    }


def _after(step: Transitions, recorded: Indices) -> dict[str, Any]:
    """What the step brought."""
    return {
        "rewards": step.rewards[recorded], "events": step.events[recorded], "performance": step.performance[recorded],
        "components": None if step.components is None else step.components[recorded],
    }


def _note_ends(log: _Log, step: Transitions, *, counts: Indices, episodes_per_env: int, levels: Indices) -> Indices:
    """Log the episodes that ended and still count; return how many each env has played."""
    wanted = counts[step.ended] < episodes_per_env
    envs = step.ended[wanted]
    log.ends.append({
        "key": envs * episodes_per_env + counts[envs], "levels": levels[envs],
        "terminated": step.terminated[envs], "truncated": step.truncated[envs],
        "final_contexts": step.final_contexts[wanted],
        "final_observations": {name: array[wanted] for name, array in step.final_observations.items()},
        "final_rows": None if step.final_rows is None else step.final_rows[wanted],
    })
    counts = counts.copy()
    counts[envs] += 1
    return counts


def _arranged(log: _Log) -> Played:
    """Put rows in order of time into order of episodes."""
    key = np.concatenate([step["key"] for step in log.steps])
    end_key = np.concatenate([end["key"] for end in log.ends])
    # A stable sort keeps the order of time within an episode.
    order, end_order = np.argsort(key, kind="stable"), np.argsort(end_key, kind="stable")
    return Played(
        lengths=np.bincount(key, minlength=len(end_key)),
        **{name: _joined([step[name] for step in log.steps], order) for name in _STEP_NAMES},
        **{name: _joined([end[name] for end in log.ends if len(end["key"])], end_order) for name in _END_NAMES},
    )


def _joined(parts: list[Any], order: Indices) -> Any:
    if parts[0] is None:
        return None
    if isinstance(parts[0], dict):
        return {name: array[order] for name, array in concatenate(parts).items()}
    return np.concatenate(parts)[order]
