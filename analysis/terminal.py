"""The terminal as a place to look at environments and to move in them: coarse pictures, fresh screens, single keys."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

MAX_COLUMNS = 64
_ARROWS = {"A": "up", "B": "down", "C": "right", "D": "left"}
_ESCAPE, _END_OF_INPUT = "\x1b", "\x04"


def half_blocks(picture: NDArray[np.uint8]) -> str:
    """A picture as text with colour codes: each character shows two pixels, its own colour above that of its ground.

    Args:
        picture: uint8[H, W, 3], brought to at most MAX_COLUMNS pixels per line by averaging.

    Returns:
        Lines in colours that the terminal has; in true colour where stdout is no terminal.
    """
    height, width = picture.shape[:2]
    columns = min(width, MAX_COLUMNS)
    rows = max(1, round(columns * height / width / 2))
    small = np.asarray(Image.fromarray(picture).resize((columns, 2 * rows), Image.Resampling.BOX)).tolist()
    has_colours = sys.stdout.isatty() and Console().color_system is not None
    console = Console(force_terminal=True, color_system="auto" if has_colours else "truecolor", width=columns)
    with console.capture() as capture:
        for upper, lower in zip(small[::2], small[1::2], strict=True):
            line = Text(end="\n")
            for pair, run in itertools.groupby(zip(upper, lower, strict=True)):
                above, below = (Color.from_rgb(*pixel) for pixel in pair)
                line.append("▀" * len(list(run)), Style(color=above, bgcolor=below))
            console.print(line, soft_wrap=True)
    return capture.get().rstrip("\n")


def show_screen(text: str) -> None:
    """Print a text on an empty screen; where stdout is no terminal, print it and an empty line."""
    if sys.stdout.isatty():
        print(f"\x1b[2J\x1b[H{text}", flush=True)
    else:
        print(f"{text}\n", flush=True)


def key_names(characters: Iterable[str]) -> Iterator[str]:
    """Keys by name: "up", "right", "down" and "left" for the arrows' escape sequences, every other as it is typed."""
    following = iter(characters)
    for character in following:
        if character != _ESCAPE:
            yield character
        elif (bracket := next(following, "")) in ("[", "O"):
            arrow = _ARROWS.get(next(following, ""))
            yield from [arrow] if arrow else []
        else:
            yield bracket


@contextmanager
def typed_characters(descriptor: int) -> Iterator[Iterator[str]]:
    """Characters of a terminal as they are typed, until Ctrl-D; its mode is put back when the block ends.

    Args:
        descriptor: Of the terminal's file. On systems without termios whole lines are read from stdin instead.
    """
    try:
        import termios
        import tty
    except ImportError:
        yield itertools.chain.from_iterable(sys.stdin)
        return
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        # A terminal that has been closed gives no byte at all.
        yield iter(lambda: os.read(descriptor, 1).decode("latin-1") or _END_OF_INPUT, _END_OF_INPUT)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
