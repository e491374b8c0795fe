"""What an env declares, and how it takes calls that are out of order."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces

from envs.checks.players import Broken, Env
from envs.checks.rules import (
    INVALID_ACTION,
    METADATA,
    PAYS_AFTER_END,
    SHARED_SPACES,
    SPACES,
    STEP_BEFORE_RESET,
)
from envs.checks.subject import Subject

_STEPS_AFTER_END = 6


def check_declarations(subject: Subject) -> None:
    """Spaces and metadata; raises Broken where there are no spaces to play with."""
    names = ("observation_space", "action_space")
    with subject.player() as player, subject.player() as other:
        _check_metadata(subject, getattr(player.env, "metadata", None))
        for name in names:
            space = getattr(player.env, name, None)
            if not isinstance(space, spaces.Space):
                subject.findings.add(SPACES, f"{name} is no Gymnasium space", seen=space)
                raise Broken
        shared = [name for name in names if getattr(player.env, name) is getattr(other.env, name)]
    if shared:
        what = "two instances have one object, so that seeding or sampling it in one changes the other"
        subject.findings.add(SHARED_SPACES, what, seen=", ".join(shared))


def _check_metadata(subject: Subject, metadata: Any) -> None:
    modes = metadata.get("render_modes") if isinstance(metadata, dict) else None
    if not isinstance(modes, list | tuple) or not all(isinstance(mode, str) for mode in modes):
        subject.findings.add(METADATA, "metadata has no list render_modes", seen=metadata)
    elif "rgb_array" in modes and not metadata.get("render_fps"):
        subject.findings.add(METADATA, "metadata has no render_fps, which videos need", seen=metadata)


def check_calls_out_of_order(subject: Subject) -> None:
    """A step before the first reset, an action that is not in the space, a second close, steps after the end."""
    with subject.player() as player:
        if _accepts(player.env, subject.planner("order", player.env).random(1)[0]):
            subject.findings.add(STEP_BEFORE_RESET, "step before the first reset raised no error")
    with subject.player() as player:
        player.reset(seed=0)
        space = player.env.action_space
        if isinstance(space, spaces.Discrete) and _accepts(player.env, int(space.start + space.n)):
            seen = f"action {space.start + space.n} of {space}"
            subject.findings.add(INVALID_ACTION, "step raised no error", seen=seen)
        # Leaving the block closes once more.
        player.close()
    _check_after_end(subject)


def _accepts(env: Env, action: Any) -> bool:
    try:
        env.step(action)
    # Whatever is raised, the call was refused.
    except Exception:
        return False
    return True


def _check_after_end(subject: Subject) -> None:
    """Whether every step after a termination pays, which an agent that never resets would live on."""
    ended = sorted((one for one in subject.episodes if one.last.terminated), key=lambda one: len(one.moments))[:3]
    paid: list[float] = []
    for episode in ended:
        with subject.player() as player:
            player.play_episode(episode.actions, seed=episode.seed)
            for action in subject.planner("after the end", player.env).random(_STEPS_AFTER_END):
                try:
                    paid.append(float(player.env.step(action)[1]))
                except Exception:
                    return
    if paid and min(paid) > 0:
        subject.findings.add(PAYS_AFTER_END, f"each of {_STEPS_AFTER_END} steps after the end paid", seen=paid[0])
