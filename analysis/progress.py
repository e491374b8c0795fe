"""Progress on stderr: a bar with the remaining time on a terminal, and elsewhere a plain line every few seconds.

Results go to stdout, so that a log of results holds no progress.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

Tell = Callable[[float, str], None]
"""Takes the share that is done, in [0, 1], and what is being done."""
SECONDS_BETWEEN_LINES = 5.0


@dataclass
class Display:
    """Shows the share that is done of one piece of work; use `showing` to open and close it.

    Attributes:
        title: What the work is.
        stream: Where plain lines go.
        bar: On a terminal, rich's progress and the number of the task; None elsewhere.
        clock: Seconds.
        started: When the work began.
        last_line: When the last plain line was printed.
    """

    title: str
    stream: TextIO
    bar: tuple[Progress, TaskID] | None = None
    clock: Callable[[], float] = time.monotonic
    started: float = field(init=False)
    last_line: float = field(init=False)

    def __post_init__(self) -> None:
        """Start the clock; the first plain line comes only when the work takes that long."""
        self.started = self.last_line = self.clock()

    def tell(self, fraction: float, text: str) -> None:
        """Show a share in [0, 1]; the rest is expected to take as long as the same share took before."""
        elapsed = self.clock() - self.started
        self.show(fraction, text, remaining=elapsed * (1.0 - fraction) / fraction if fraction > 0 else None)

    def show(self, fraction: float, text: str, *, remaining: float | None) -> None:
        """Show a share in [0, 1] and the seconds that are left, None while nothing is known."""
        fraction = min(max(fraction, 0.0), 1.0)
        left = "" if remaining is None else f"{clock_time(remaining)} left"
        if self.bar is not None:
            progress, task = self.bar
            progress.update(task, completed=fraction, left=left, text=escape(text))
        elif self.clock() - self.last_line >= SECONDS_BETWEEN_LINES:
            self.last_line = self.clock()
            self.print(", ".join(part for part in (f"{self.title}: {fraction:.0%}", left, text) if part))

    def print(self, line: str) -> None:
        """Print a line of its own, above the bar where there is one."""
        if self.bar is not None:
            self.bar[0].console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=self.stream, flush=True)


@contextlib.contextmanager
def showing(title: str, *, stream: TextIO | None = None) -> Iterator[Display]:
    """Open a display for the time of the block; the bar vanishes at its end.

    Args:
        title: What the work is, in a word or two.
        stream: stderr where left out.
    """
    stream = sys.stderr if stream is None else stream
    if not stream.isatty():
        yield Display(title, stream)
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(bar_width=24), TaskProgressColumn(),
        TextColumn("{task.fields[left]}"), TextColumn("[dim]{task.fields[text]}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(file=stream), transient=True) as progress:
        yield Display(title, stream, bar=(progress, progress.add_task(escape(title), total=1.0, left="", text="")))


def clock_time(seconds: float) -> str:
    """Minutes and seconds as m:ss, hours as h:mm:ss; rounded up, so that 0:00 means that nothing is left."""
    whole = max(0, int(-(-seconds // 1)))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
