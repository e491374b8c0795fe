"""SIGINT and SIGTERM while a run trains: it saves and ends, within ten seconds at any moment."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from agents.stopping import StopRequest

PATIENCE_SECONDS = 8.0
"""An update that takes longer is given up, and the last checkpoint stands: clusters kill soon after they ask."""


@contextmanager
def stopped_by_signals() -> Iterator[StopRequest]:
    """What SIGINT and SIGTERM ask to stop while the block runs; a second one does not wait.

    In a thread other than the main one, where Python takes no handlers, nothing is installed.
    """
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(signum: int, frame: FrameType | None) -> None:
        stop.ask(signum)
        _ring_after(PATIENCE_SECONDS)

    before = {number: signal.signal(number, ask) for number in _numbers()}
    try:
        yield stop
    finally:
        _ring_after(0.0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _numbers() -> list[Any]:
    """The signals that ask; SIGALRM, which Windows lacks, asks a second time."""
    return [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGALRM") if hasattr(signal, name)]


def _ring_after(seconds: float) -> None:
    """Send SIGALRM after a time; 0 for never."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)
