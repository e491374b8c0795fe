"""Progress on stderr: a bar with the remaining time on a terminal, and elsewhere a plain line every few seconds.

Results go to stdout, so that a log of results holds no progress.
"""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

Tell = Callable[[float, str], None]
"""Takes the share that is done, in [0, 1], and what is being done."""
SECONDS_BETWEEN_LINES = 5.0
FOUNDED_SHARE = 0.05
"""From this share of a piece on the time that is left is told; what only begins says little of its pace."""


@dataclass
class Display:
    """Shows how much of some work is done; use `showing` or `Journey.piece` to open and close it.

    Attributes:
        title: What the work is.
        stream: Where plain lines go.
        bar: On a terminal, rich's progress and the number of the task; None elsewhere.
        first: Share of the whole that was done before this piece of it, 0 where the piece is the whole.
        width: Share of the whole that this piece is.
        clock: Seconds.
        started: When the whole began.
    """

    title: str
    stream: TextIO
    bar: tuple[Progress, TaskID] | None = None
    first: float = 0.0
    width: float = 1.0
    clock: Callable[[], float] = time.monotonic
    started: float = -1.0
    _last_line: float = field(init=False)
    _first_report: tuple[float, float] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Start the clock; the first plain line comes only when the work takes that long."""
        self._last_line = self.clock()
        self.started = self._last_line if self.started < 0 else self.started

    def tell(self, fraction: float, text: str, *, seconds_left: float | None = None) -> None:
        """Show a share of the piece, in [0, 1], and, once it is founded, the time that is left of the whole.

        Args:
            fraction: what is done.
            text: what is being done.
            seconds_left: of the piece; None expects it to go on at its pace since the first report of something done,
                before which it may have been compiling.
        """
        fraction = min(max(fraction, 0.0), 1.0)
        share, now = self.first + fraction * self.width, self.clock()
        if seconds_left is None:
            seconds_left = self._by_pace(fraction, now)
        left = ""
        if seconds_left is not None and fraction >= FOUNDED_SHARE:
            end = self.first + self.width
            rest = (now - self.started + seconds_left) * (1.0 - end) / end
            left = f"{clock_time(seconds_left + rest)} left"
        if self.bar is not None:
            progress, task = self.bar
            progress.update(task, completed=share, left=left, text=escape(text))
        elif now - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = now
            self.print(", ".join(part for part in (f"{self.title}: {share:.0%}", left, text) if part))

    def _by_pace(self, fraction: float, now: float) -> float | None:
        """Seconds left of the piece; None where nothing has been done since the first report of something done."""
        if self._first_report is None and fraction > 0:
            self._first_report = (now, fraction)
        then, done = self._first_report or (now, fraction)
        return (now - then) * (1.0 - fraction) / (fraction - done) if fraction > done else None

    def print(self, line: str) -> None:
        """Print a line of its own, above the bar where there is one."""
        if self.bar is not None:
            self.bar[0].console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=self.stream, flush=True)


@contextlib.contextmanager
def showing(
    title: str, *, first: float = 0.0, width: float = 1.0, started: float = -1.0, stream: TextIO | None = None
) -> Iterator[Display]:
    """Open a display for the time of the block; the bar vanishes at its end.

    Args:
        title: What the work is, in a word or two.
        first: Share of the whole that was done before.
        width: Share of the whole that the block is.
        started: When the whole began, by `time.monotonic`; negative for now.
        stream: stderr where left out.
    """
    stream = sys.stderr if stream is None else stream
    if not stream.isatty():
        yield Display(title, stream, first=first, width=width, started=started)
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(bar_width=24), TaskProgressColumn(),
        TextColumn("{task.fields[left]}"), TextColumn("[dim]{task.fields[text]}"),
    )  # fmt: skip
    # Without redirection results that are printed meanwhile still reach stdout.
    with Progress(
        *columns, console=Console(file=stream), transient=True, redirect_stdout=False, redirect_stderr=False
    ) as progress:
        task = progress.add_task(escape(title), total=1.0, left="", text="")
        yield Display(title, stream, bar=(progress, task), first=first, width=width, started=started)


@dataclass
class Journey:
    """Several pieces of work as one, so that a display tells what is left of all of them.

    Attributes:
        title: What the whole is.
        seconds: Expected seconds of each piece that is still to be done, by name; only their ratios count.
    """

    title: str
    seconds: Mapping[str, float]
    _started: float = field(init=False)
    _done: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    @contextlib.contextmanager
    def piece(self, name: str) -> Iterator[Display]:
        """Open a display for one piece for the time of the block."""
        width = self.seconds[name] / sum(self.seconds.values())
        with showing(self.title, first=self._done, width=width, started=self._started) as display:
            yield display
        self._done += width


def clock_time(seconds: float) -> str:
    """Minutes and seconds as m:ss, hours as h:mm:ss; rounded up, so that 0:00 means that nothing is left."""
    whole = max(0, math.ceil(seconds - 1e-6))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
