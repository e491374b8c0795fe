"""GIF and APNG: what Pillow reads back is what was drawn, and no frame outlives the next one."""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analysis.plots.animation import MIN_WIDTH, Frame, save_animation, with_caption
from envs.errors import UserError


def pictures(count: int, *, height: int = 24, width: int = 40, num_colours: int = 200) -> list[np.ndarray]:
    """Random pictures with exactly `num_colours` colours each, another palette for each one."""
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(count):
        palette = rng.choice(2**24, num_colours, replace=False)
        colours = np.stack([palette >> 16, palette >> 8 & 255, palette & 255], axis=1).astype(np.uint8)
        pixels = rng.permutation(np.arange(height * width) % num_colours).reshape(height, width)
        drawn.append(colours[pixels])
    return drawn


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.apng", "A.GIF"])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_what_is_read_is_what_was_drawn(name: str, count: int, tmp_path: Path) -> None:
    """All frames, in all their colours (a GIF holds 256 in each), with their durations, for ever."""
    drawn = pictures(count)
    seconds = [0.1 * (1 + index) for index in range(count)]
    assert save_animation(map(Frame, drawn, seconds), tmp_path / name) == count
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with Image.open(tmp_path / name) as image:
        assert (image.n_frames, image.size) == (count, (40, 24))
        assert count == 1 or image.info["loop"] == 0
        for index, picture in enumerate(drawn):
            image.seek(index)
            assert (np.asarray(image.convert("RGB")) == picture).all()
            assert image.info["duration"] == pytest.approx(1000 * seconds[index])


@pytest.mark.parametrize("num_colours", [1, 2, 3, 4, 5, 17, 129, 256])
def test_palettes_of_every_size_come_back(num_colours: int, tmp_path: Path) -> None:
    drawn = pictures(2, num_colours=num_colours)
    save_animation((Frame(picture, 0.5) for picture in drawn), tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as image:
        for index, picture in enumerate(drawn):
            image.seek(index)
            assert (np.asarray(image.convert("RGB")) == picture).all()


@pytest.mark.parametrize("name", ["a.gif", "a.png"])
def test_frames_are_taken_one_by_one_and_let_go(name: str, tmp_path: Path) -> None:
    """When a frame is asked for, at most the one before it is still held, and what came earlier is in the file."""
    held: list[weakref.ref[np.ndarray]] = []
    alive, sizes = [], []

    def frames():
        for _ in range(40):
            picture = pictures(1, height=100, width=100)[0]
            held.append(weakref.ref(picture))
            yield Frame(picture, 0.1)
            del picture
            alive.append(sum(reference() is not None for reference in held))
            sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()))

    save_animation(frames(), tmp_path / name)
    assert max(alive) <= 1
    # Files are buffered, so that the size lags behind by less than two frames.
    assert sizes[20] > 18 * 4000 and sizes[-1] > sizes[20] + 18 * 4000


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    frame = Frame(pictures(1)[0], 0.1)
    with pytest.raises(UserError, match=r"ends in '.jpg'; animations are written as .gif, .png, .apng"):
        save_animation([frame], tmp_path / "a.jpg")
    with pytest.raises(UserError, match="no frame"):
        save_animation([], tmp_path / "a.gif")
    with pytest.raises(ValueError, match=r"shape \(5, 5, 3\), the first one has \(24, 40, 3\)"):
        save_animation([frame, Frame(np.zeros((5, 5, 3), np.uint8), 0.1)], tmp_path / "a.gif")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        save_animation([frame], tmp_path / "file" / "a.gif")

    def failing():
        yield frame
        raise RuntimeError("a planted fault")

    with pytest.raises(RuntimeError, match="planted"):
        save_animation(failing(), tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["file"], "nothing half-written is left"


def test_a_caption_leaves_the_picture_whole_and_all_frames_of_one_size() -> None:
    picture = pictures(1, height=80, width=80)[0]
    legend = {f"thing_{index}": (index, 0, 0) for index in range(9)}
    first, second = (with_caption(picture, lines, legend=legend) for lines in (["V 0.1", ""], ["V 0.9 " * 30, "x"]))
    scale = first.shape[1] // 80
    assert first.shape == second.shape and first.shape[1] == scale * 80 >= MIN_WIDTH
    assert (first[: scale * 80][::scale, ::scale] == picture).all()
    assert all((first[scale * 80 :] == colour).all(axis=2).any() for colour in legend.values())
    assert (first != second).any() and (first[: scale * 80] == second[: scale * 80]).all()
