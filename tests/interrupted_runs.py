"""Runs that are interrupted at chosen updates, and what they leave, for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agents.agent import AlphaAgent
from agents.run_keeper import RunKeeper
from agents.training_state import State


class Killed(BaseException):
    """What nobody catches."""


def kill(keeper: RunKeeper) -> None:
    raise Killed


@contextmanager
def at_update(
    stage: str, num_steps: int, act: Callable[[RunKeeper], None], *, after: bool = False
) -> Iterator[pytest.MonkeyPatch]:
    """While the block runs: do something once, at the first update of a stage with so many gradient steps or more.

    Args:
        stage: of the run.
        num_steps: gradient steps of that stage.
        act: gets the keeper.
        after: after the update has been kept, where it is due, rather than before.
    """
    keep, wanted, done = RunKeeper.keep, num_steps, []

    def watched(self: RunKeeper, agent: AlphaAgent, *, num_steps: int, state: Callable[[], State]) -> None:
        is_now = self._facts["stage"] == stage and num_steps >= wanted and not done
        if is_now:
            done.append(num_steps)
        if is_now and not after:
            act(self)
        keep(self, agent, num_steps=num_steps, state=state)
        if is_now and after:
            act(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunKeeper, "keep", watched)
        yield patch


def files_of(folder: Path) -> dict[str, bytes]:
    """All that a run leaves, but for the copies of what was replaced."""
    paths = [path for path in folder.rglob("*") if path.is_file() and ".previous" not in str(path)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
