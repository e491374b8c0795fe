"""Animations written frame by frame, as GIF or APNG, in the memory of one frame and without a display.

Pillow encodes each frame as a file of its own, and the frames' compressed data are put together here, because
`Image.save(save_all=True)` keeps every frame until the last one has come, even those of a generator.

Sources: GIF89a specification (CompuServe, 1990), whose frames may each bring a colour table; PNG specification, third
edition (W3C), chunks acTL, fcTL and fdAT.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from envs.errors import UserError
from envs.render import Colour
from envs.storage import writing

SUFFIXES = (".gif", ".png", ".apng")
MIN_WIDTH = 288
"""Pixels; smaller pictures are enlarged, so that a caption has room."""
NO_LEGEND: Mapping[str, Colour] = MappingProxyType({})
_FONT_SIZE, _LINE_HEIGHT, _MARGIN, _SWATCH = 12, 16, 6, 8
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

Picture = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture uint8[H, W, 3] and the seconds for which it is shown."""

    picture: Picture
    seconds: float


def require_suffix(path: Path) -> None:
    """Refuse a file that is named as no animation; UserError says what there is."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"'{path}' ends in {path.suffix!r}; animations are written as {', '.join(SUFFIXES)}.")


def save_animation(frames: Iterable[Frame], path: Path | str) -> int:
    """Write an animation that repeats for ever; each frame is taken when the one before it has been written.

    Args:
        frames: At least one, all of the first one's size.
        path: Ends in .gif (256 colours a frame), or in .png or .apng (all colours).

    Returns:
        The number of frames.

    Raises:
        UserError: Another suffix, no frame, or a folder that cannot be written.
        ValueError: A frame of another size.
    """
    path = Path(path)
    require_suffix(path)
    write = _write_gif if path.suffix.lower() == ".gif" else _write_apng
    with writing(path) as file:
        count = write(file, _of_one_size(frames))
        if count == 0:
            raise UserError(f"'{path}' would have no frame; play at least one episode.")
    return count


def _of_one_size(frames: Iterable[Frame]) -> Iterator[tuple[Image.Image, float]]:
    shape = None
    for frame in frames:
        shape = shape or frame.picture.shape
        if frame.picture.shape != shape:
            raise ValueError(f"A frame has shape {frame.picture.shape}, the first one has {shape}; all must agree.")
        yield Image.fromarray(frame.picture), frame.seconds


def _write_gif(file: BinaryIO, frames: Iterable[tuple[Image.Image, float]]) -> int:
    count = 0
    for image, seconds in frames:
        if count == 0:
            # 0x70: eight bits per colour, and no colour table for all frames; then the block that repeats for ever.
            file.write(b"GIF89a" + struct.pack("<HHBBB", *image.size, 0x70, 0, 0))
            file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")
        file.write(struct.pack("<4sHBB", b"\x21\xf9\x04\x04", round(100 * seconds), 0, 0))
        file.write(_gif_image(image))
        count += 1
    file.write(b"\x3b")
    return count


def _gif_image(image: Image.Image) -> bytes:
    """Image descriptor, the frame's own colour table, and its compressed data."""
    buffer = io.BytesIO()
    image.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(buffer, "GIF", interlace=0)
    data = buffer.getvalue()
    size_code = data[10] & 7
    end_of_table = 13 + 3 * 2 ** (size_code + 1)
    table, descriptor = data[13:end_of_table], data[end_of_table : end_of_table + 10]
    assert data[10] & 0x80 and descriptor[:1] == b"\x2c" and data[-1:] == b"\x3b", "not what Pillow writes of one frame"
    return descriptor[:9] + bytes([0x80 | size_code]) + table + data[end_of_table + 10 : -1]


def _write_apng(file: BinaryIO, frames: Iterable[tuple[Image.Image, float]]) -> int:
    count = sequence = place_of_count = 0
    for image, seconds in frames:
        header, parts = _png_parts(image)
        if count == 0:
            file.write(_PNG_SIGNATURE + _chunk(b"IHDR", header))
            place_of_count = file.tell()
            file.write(_chunk(b"acTL", struct.pack(">II", 0, 0)))
        control = struct.pack(">5I2H2B", sequence, *image.size, 0, 0, round(100 * seconds), 100, 0, 0)
        file.write(_chunk(b"fcTL", control))
        sequence += 1
        for part in parts:
            file.write(_chunk(b"fdAT", struct.pack(">I", sequence) + part) if count else _chunk(b"IDAT", part))
            sequence += count > 0
        count += 1
    file.write(_chunk(b"IEND", b""))
    file.seek(place_of_count)
    file.write(_chunk(b"acTL", struct.pack(">II", count, 0)))
    return count


def _png_parts(image: Image.Image) -> tuple[bytes, list[bytes]]:
    """Header and compressed data of one image, as Pillow writes them."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    data, at, chunks = buffer.getvalue(), len(_PNG_SIGNATURE), []
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += length + 12
    return chunks[0][1], [part for kind, part in chunks if kind == b"IDAT"]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_caption(picture: Picture, lines: Sequence[str], *, legend: Mapping[str, Colour] = NO_LEGEND) -> Picture:
    """The picture, enlarged by a whole number to at least MIN_WIDTH, above a legend and one line of text after another.

    Args:
        picture: uint8[H, W, 3].
        lines: As many for every frame of one animation; what is too long is cut off.
        legend: What the colours are called.
    """
    scale = -(-MIN_WIDTH // picture.shape[1])
    large = Image.fromarray(picture.repeat(scale, axis=0).repeat(scale, axis=1))
    font = ImageFont.load_default(_FONT_SIZE)
    places = _places({name: int(font.getlength(name)) for name in legend}, width=large.width)
    num_rows = len({y for _, y in places.values()}) + len(lines)
    canvas = Image.new("RGB", (large.width, large.height + num_rows * _LINE_HEIGHT + 2 * _MARGIN), "white")
    canvas.paste(large)
    draw, top = ImageDraw.Draw(canvas), large.height + _MARGIN
    for name, (x, y) in places.items():
        draw.rectangle((x, top + y + 3, x + _SWATCH, top + y + 3 + _SWATCH), fill=legend[name])
        draw.text((x + _SWATCH + 4, top + y), name, fill="black", font=font)
    for index, line in enumerate(lines, num_rows - len(lines)):
        draw.text((_MARGIN, top + index * _LINE_HEIGHT), line, fill="black", font=font)
    return np.asarray(canvas)


def _places(widths: Mapping[str, int], *, width: int) -> dict[str, tuple[int, int]]:
    """Place (x, y) of each entry of a legend: side by side, and below each other where there is no room."""
    places, x, y = {}, _MARGIN, 0
    for name, length in widths.items():
        if x > _MARGIN and x + _SWATCH + 4 + length > width - _MARGIN:
            x, y = _MARGIN, y + _LINE_HEIGHT
        places[name] = (x, y)
        x += _SWATCH + 4 + length + 2 * _MARGIN
    return places
