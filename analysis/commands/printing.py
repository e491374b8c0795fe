"""Results on stdout: sentences and tables, plain text of the terminal's width or 120 columns."""

from __future__ import annotations

import io
import math
import shutil
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
    """A long sentence as lines of the width of the output, later ones indented; what begins indented stays so."""
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.wrap(
        line, width(), subsequent_indent=f"{indent}  ", break_long_words=False, break_on_hyphens=False
    ) or [""]


def width() -> int:
    """Columns of the terminal; 120 where stdout is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH_OF_LOGS


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, title: str) -> None:
    """Print a table under its title; cells are taken literally, and folded where they are too wide."""
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in header:
        grid.add_column(Text(name), overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    drawn = io.StringIO()
    Console(file=drawn, width=width()).print(grid)
    say(title, *(line.rstrip() for line in drawn.getvalue().splitlines() if line.strip()))


def table_of(rows: Sequence[Mapping[str, Any]], *, title: str) -> None:
    """Print dicts as a table: a column for every key, in the order in which keys first appear."""
    header = list(dict.fromkeys(key for row in rows for key in row))
    table(header, [[cell(row.get(key)) for key in header] for row in rows], title=title)


def cell(value: Any) -> str:
    """A value as short text: three decimals, a dash for what is missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
