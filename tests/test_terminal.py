"""The terminal: coarse pictures in colour, keys by name, and a terminal that is left as it was found."""

from __future__ import annotations

import os
import re
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.terminal import MAX_COLUMNS, half_blocks, key_names, typed_characters

PIXELS = re.compile(r"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m(▀+)")


def pixels_of(text: str) -> np.ndarray:
    """The picture that a terminal would show."""
    lines = []
    for line in text.split("\n"):
        found = [(list(map(int, codes)), len(run)) for *codes, run in PIXELS.findall(line)]
        for half in (slice(0, 3), slice(3, 6)):
            lines.append([codes[half] for codes, length in found for _ in range(length)])
    return np.array(lines, np.uint8)


def test_small_pictures_are_shown_pixel_by_pixel() -> None:
    picture = np.random.default_rng(0).integers(0, 3, (8, 10, 3)).astype(np.uint8) * 100
    assert (pixels_of(half_blocks(picture)) == picture).all()


def test_large_pictures_are_averaged() -> None:
    picture = np.zeros((4 * MAX_COLUMNS, 2 * MAX_COLUMNS, 3), np.uint8)
    picture[::2, :, 0] = 200
    shown = pixels_of(half_blocks(picture))
    assert shown.shape == (2 * MAX_COLUMNS, MAX_COLUMNS, 3)
    assert (shown == (100, 0, 0)).all()


@pytest.mark.parametrize("bracket", ["[", "O"])
def test_arrows_have_names(bracket: str) -> None:
    typed = "".join(f"\x1b{bracket}{letter}" for letter in "ABCD")
    assert list(key_names(f"w{typed}q")) == ["w", "up", "down", "right", "left", "q"]
    assert list(key_names("\x1bq")) == ["q"], "the key after Escape alone counts"


@given(st.text())
def test_any_input_gives_keys_and_plain_keys_stay(text: str) -> None:
    keys = list(key_names(text))
    assert len(keys) <= len(text)
    assert "\x1b" in text or keys == list(text)


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_keys_arrive_one_by_one_and_the_terminal_gets_its_mode_back() -> None:
    import termios

    ours, theirs = os.openpty()
    before = termios.tcgetattr(theirs)
    with typed_characters(theirs) as characters:
        assert termios.tcgetattr(theirs)[3] & (termios.ICANON | termios.ECHO) == 0
        os.write(ours, b"w\x1b[A")
        assert [next(characters) for _ in range(4)] == ["w", "\x1b", "[", "A"], "without waiting for a line"
        os.write(ours, b"\x04")
        assert next(characters, None) is None, "Ctrl-D ends the keys"
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)
