"""How episodes end: by the world or by a limit, and with which observation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from envs.checks.players import generator_states, set_generators
from envs.checks.rules import LIMIT_AS_TERMINATION, RESET_OBSERVATION_AT_END
from envs.checks.subject import Episode, Subject
from envs.checks.values import facts_of

_ENOUGH = 4
_DRAWS = 5


def check_endings(subject: Subject) -> None:
    """Judge the survey's episodes."""
    if subject.episodes:
        _check_limit(subject)
    for kind in ("terminated", "truncated"):
        ended = [one for one in subject.episodes if one.last.ended and one.last.terminated == (kind == "terminated")]
        _check_last_observation(subject, ended, kind)


def _check_limit(subject: Subject) -> None:
    """Many different episodes terminate at exactly the longest length, from where others went on.

    That the same observation and action elsewhere end nothing shows that it is the clock that ends the episode, and
    that it is not part of what is observed.
    """
    longest = max(one.last.step for one in subject.episodes)
    at_limit = [one for one in subject.episodes if one.last.step == longest and one.last.terminated]
    if longest < 2 or _num_ways(at_limit) < _ENOUGH - 1:
        return
    going_on = {
        (before.observation, _key(action))
        for one in subject.episodes
        for before, action, after in zip(one.moments, one.actions, one.moments[1:], strict=False)
        if not after.terminated
    }
    unexplained = [one for one in at_limit if (one.moments[-2].observation, _key(one.actions[-1])) in going_on]
    spec = subject.spec
    is_declared = spec is not None and spec.max_episode_steps == longest and len(at_limit) >= _ENOUGH
    if is_declared or (len(unexplained) >= _ENOUGH and _num_ways(unexplained) >= _ENOUGH - 1):
        what = f"{len(at_limit)} episodes with different actions are terminated at exactly the longest length"
        subject.findings.add(LIMIT_AS_TERMINATION, what, seen=f"step {longest}")


def _num_ways(episodes: Sequence[Episode]) -> int:
    return len({tuple(map(_key, one.actions)) for one in episodes})


def _key(action: object) -> str:
    return repr(facts_of(action, ""))


def _check_last_observation(subject: Subject, ended: Sequence[Episode], kind: str) -> None:
    """Whether each last observation is the one that a reset before the last step would have shown.

    Episodes whose last step shows nothing new are left out: they may never have left the start. Where the start is
    always the same, an episode may come to its end there; then the same sight must also be met in mid-episode.
    """
    moved = [one for one in reversed(ended) if one.last.observation != one.moments[-2].observation][:_ENOUGH]
    if len(moved) < _ENOUGH or not all(one.last.observation in _would_be_shown(subject, one) for one in moved):
        return
    shown = {one.last.observation for one in moved}
    if len(shown) >= _ENOUGH - 1 or shown <= set(_met_on_the_way(subject.episodes)):
        what = f"the last observation of {kind} episodes is that of a reset: the state they ended in is not shown"
        subject.findings.add(RESET_OBSERVATION_AT_END, what, where=f"step {moved[0].last.step}")


def _would_be_shown(subject: Subject, episode: Episode) -> set[str]:
    """Observations of a reset just before the last step, after as many draws as that step may have taken."""
    shown = set()
    with subject.player() as player:
        player.play_episode(episode.actions[:-1], seed=episode.seed)
        before = generator_states(player.env)
        for num_draws in range(_DRAWS):
            set_generators(player.env, before, num_draws=num_draws)
            shown.add(player.reset().observation)
    return shown


def _met_on_the_way(episodes: Sequence[Episode]) -> Iterator[str]:
    """Observations that a step came to from another one, without an end."""
    for one in episodes:
        for before, after in zip(one.moments, one.moments[1:], strict=False):
            if not after.ended and after.observation != before.observation:
                yield after.observation
