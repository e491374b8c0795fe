"""Pictures of states, drawn from the observation planes and nothing else.

The last plane is the wall, the first the agent; what stands between is drawn in one colour each. Where several planes
are set at one cell, such as a colour and a shape, each further one is a smaller square inside the one before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from envs.rows import Rows, World

Colour = tuple[int, int, int]
RENDER_MODES = ("rgb_array", "ansi")
TILE = 16
_INSET = 3
_FLOOR_COLOUR, _WALL_COLOUR, _AGENT_COLOUR = (245, 245, 240), (70, 70, 70), (20, 20, 20)
_COLOURS = (
    (230, 97, 1),
    (26, 133, 255),
    (64, 176, 66),
    (212, 17, 89),
    (140, 86, 190),
    (191, 155, 48),
    (0, 158, 158),
    (120, 120, 60),
)


def render_frames(world: World, rows: Rows, *, mode: str) -> tuple[Any, ...]:
    """One frame per row.

    Args:
        world: The world.
        rows: int16[N, S].
        mode: "rgb_array" or "ansi".

    Returns:
        N arrays uint8[H · TILE, W · TILE, 3], or N strings.
    """
    draw = render_rgb if mode == "rgb_array" else render_ansi
    return tuple(draw(world, row) for row in rows)


def render_rgb(world: World, row: npt.NDArray[np.int16]) -> npt.NDArray[np.uint8]:
    """Picture uint8[H · TILE, W · TILE, 3] of one row int16[S]; the agent is a smaller square upon its cell."""
    planes = world.observe(row[None])["planes"][0].astype(bool)
    cells = np.empty((*world.grid, 3), np.uint8)
    cells[:] = _FLOOR_COLOUR
    cells[planes[-1]] = _WALL_COLOUR
    picture = cells.repeat(TILE, axis=0).repeat(TILE, axis=1)
    depth = np.zeros(world.grid, int)
    for plane, colour in zip(planes[1:-1], colours_of_planes(world).values(), strict=True):
        for y, x in np.argwhere(plane):
            _fill(picture, (y, x), colour=colour, inset=_INSET * min(depth[y, x], 2))
        depth += plane
    for y, x in np.argwhere(planes[0]):
        _fill(picture, (y, x), colour=_AGENT_COLOUR, inset=TILE // 4)
    return picture


def colours_of_planes(world: World) -> dict[str, Colour]:
    """The colour of each plane between agent and walls by its name, for a legend."""
    names = world.plane_names[1:-1]
    return {name: world.colours.get(name, _COLOURS[index % len(_COLOURS)]) for index, name in enumerate(names)}


def _fill(picture: npt.NDArray[np.uint8], cell: tuple[int, int], *, colour: Colour, inset: int) -> None:
    y, x = cell[0] * TILE, cell[1] * TILE
    picture[y + inset : y + TILE - inset, x + inset : x + TILE - inset] = colour


def render_ansi(world: World, row: npt.NDArray[np.int16]) -> str:
    """Text of one row int16[S]: its letters (see `draw_letters`), then what the vector shows and the true context."""
    return f"{draw_letters(world, row)}\nshown: {name_shown(world, row)}; context: {name_context(world, row)}\n"


def draw_letters(world: World, row: npt.NDArray[np.int16]) -> str:
    """The cells of one row int16[S], line by line: `#` wall, `.` floor, `@` agent, `World.glyphs` for the rest."""
    planes = world.observe(row[None])["planes"][0].astype(bool)
    letters = np.full(world.grid, ".")
    letters[planes[-1]] = "#"
    for y, x in np.argwhere(planes[1:-1].any(axis=0)):
        set_here = np.flatnonzero(planes[1:-1, y, x])
        names = tuple(world.plane_names[1 + index] for index in set_here)
        letters[y, x] = world.glyphs.get(names, str(set_here[-1]))
    letters[planes[0]] = "@"
    return "\n".join("".join(line) for line in letters)


def name_shown(world: World, row: npt.NDArray[np.int16]) -> str:
    """Names of what the observation vector of one row int16[S] shows, "nothing" where it shows none."""
    vector = world.observe(row[None]).get("vector", [()])[0]
    return ", ".join(name for name, value in zip(world.vector_names, vector, strict=True) if value) or "nothing"


def name_context(world: World, row: npt.NDArray[np.int16]) -> str:
    """Name of the true context of one row int16[S], shown or not; "none" where there is none."""
    context = int(world.context_of(row[None])[0])
    return world.context_names[context] if context >= 0 else "none"
