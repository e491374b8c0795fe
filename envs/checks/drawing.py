"""Rendering: frames of the declared kind, drawn without a display, that change nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np

from envs.checks.moments import Moment, parting
from envs.checks.players import Player
from envs.checks.rules import RENDER, RENDER_CHANGES_STATE, RENDER_SHARED, Rule
from envs.checks.subject import CUT, Subject, global_chance
from envs.checks.values import facts_of

_STEPS = 60


def check_drawing(subject: Subject) -> None:
    """Play with a frame at every step in every mode that needs no window, against a play without."""
    with subject.player() as player:
        modes = (player.env.metadata or {}).get("render_modes") or ()
    for mode in modes:
        if mode == "human":
            continue
        with _no_display():
            played = _play_drawing(subject, mode)
        parted = parting(subject.solo(0), played)
        if parted:
            what = f"two plays differ when one is rendered in mode {mode!r}"
            subject.findings.add(RENDER_CHANGES_STATE, what, seen=parted[1], where=parted[0].where)


def _play_drawing(subject: Subject, mode: str) -> list[Moment]:
    """The moments of play 0, up to where rendering fails."""
    try:
        env = subject.make(render_mode=mode)
    # A foreign env may fail in any way.
    except Exception as error:
        subject.findings.add(RENDER, f"the env cannot be made with render_mode={mode!r}", seen=error)
        return []
    moments: list[Moment] = []
    with global_chance(0), Player(env, findings=subject.findings, clock=subject.clock) as player:
        canvas = _Canvas(subject, player, mode)
        for moment in player.turns(subject.plan(player, 0)[:_STEPS], seed=subject.play_seed(0), cut=CUT):
            moments.append(moment)
            if not canvas.draw():
                break
    return moments


class _Canvas:
    """Draws frames of one env, and remembers the last one."""

    def __init__(self, subject: Subject, player: Player, mode: str) -> None:
        self._subject, self._player, self._mode = subject, player, mode
        self._last: Any = None
        self._text: dict[str, str] = {}

    def draw(self) -> bool:
        """Draw and check a frame; False where that cannot go on."""
        try:
            frame = self._player.env.render()
        except gymnasium.error.DependencyNotInstalled as error:
            self._subject.findings.skip(f"render mode {self._mode!r}", str(error))
            return False
        except Exception as error:
            named = f"{type(error).__name__}: {error}"
            self._add(RENDER, f"render raised an error in mode {self._mode!r}", named)
            return False
        problem = _problem(frame, self._mode)
        if problem:
            self._add(RENDER, f"in mode {self._mode!r} the frame {problem[0]}", problem[1])
        if self._last is not None and facts_of(self._last, "frame") != self._text:
            self._add(RENDER_SHARED, "the next call of render changed the frame that the last one returned", "")
        self._last, self._text = frame, facts_of(frame, "frame")
        return True

    def _add(self, rule: Rule, what: str, seen: object) -> None:
        self._subject.findings.add(rule, what, seen=seen, where=self._player.where)


def _problem(frame: Any, mode: str) -> tuple[str, object] | None:
    """What is wrong with a frame, and the value seen; modes that Gymnasium does not define may return anything."""
    if mode.endswith("_list"):
        if not isinstance(frame, list):
            return "is no list", type(frame).__name__
        return next(filter(None, (_problem(one, mode.removesuffix("_list")) for one in frame)), None)
    if mode == "ansi":
        return None if isinstance(frame, str) and frame else ("is no text", repr(frame))
    dimensions = {"rgb_array": 3, "depth_array": 2}.get(mode)
    if dimensions is None:
        return None
    if not isinstance(frame, np.ndarray):
        return "is no array", type(frame).__name__
    kind = f"{frame.dtype}{list(frame.shape)}"
    if frame.ndim != dimensions or 0 in frame.shape:
        return f"has not {dimensions} axes", kind
    if mode == "rgb_array" and (frame.shape[2] != 3 or frame.dtype != np.uint8):
        return "is not uint8[height, width, 3]", kind
    return None


@contextlib.contextmanager
def _no_display() -> Iterator[None]:
    """Hide the display for the time of the block: servers have none."""
    hidden = {name: os.environ.pop(name) for name in ("DISPLAY", "WAYLAND_DISPLAY") if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)
