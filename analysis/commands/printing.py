"""Results on stdout: sentences and tables."""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH_OF_LOGS = 120


def say(*lines: str) -> None:
    """Print plain lines, none where there are none; an empty one separates."""
    if lines:
        print(*lines, sep="\n", flush=True)


def wrapped(line: str) -> list[str]:
    """A long sentence as lines of at most 120 columns, later ones indented; what begins with a blank stays indented."""
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.wrap(
        line, WIDTH_OF_LOGS, subsequent_indent=f"{indent}  ", break_long_words=False, break_on_hyphens=False
    ) or [""]


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, title: str, caption: str = "") -> None:
    """Print a table as wide as the terminal, or 120 columns where there is none; cells are taken literally."""
    grid = Table(
        title=Text(title), caption=Text(caption) if caption else None, title_justify="left", caption_justify="left",
        box=box.SIMPLE_HEAD, pad_edge=False,
    )  # fmt: skip
    for name in header:
        grid.add_column(Text(name), overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    width = None if sys.stdout.isatty() else WIDTH_OF_LOGS
    console = Console(file=io.StringIO(), width=width or Console(file=sys.stdout).width, highlight=False)
    console.print(grid)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    say(*(line.rstrip() for line in lines))


def table_of(rows: Sequence[Mapping[str, Any]], *, title: str, caption: str = "") -> None:
    """Print dicts as a table: a column for every key, in the order in which keys first appear."""
    header = list(dict.fromkeys(key for row in rows for key in row))
    table(header, [[cell(row.get(key)) for key in header] for row in rows], title=title, caption=caption)


def cell(value: Any) -> str:
    """A value as short text: three decimals, a dash for what is missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
