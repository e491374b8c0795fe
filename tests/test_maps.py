"""ASCII maps: what is read from them, what is refused, and that the functions made of them follow the drawing."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_models import MOVES, cell_number

from envs.compilation import compile_kernels
from envs.errors import UserError
from envs.render import draw_letters
from envs.rows import FIRST_TEST_LEVEL
from envs.worlds.maps import map_functions, read_maps

ROOM = """
#####
#@.k#
#.#.#
#k.g#
#####
"""
OTHER = ROOM.replace("@.k", ".@k")
OBJECTS = {"k": "key", "g": "goal"}


def test_rows_walls_and_entries():
    maps = read_maps([ROOM], [OTHER.replace("#k.", "#..")], objects=OBJECTS)
    assert maps.entries == {"key": (2, 3), "goal": (4,)}
    cells = [cell_number(*cell) for cell in ((1, 1), (1, 3), (3, 1), (3, 3))]
    assert maps.rows[0].tolist() == [cells[0], 0, cells[1], cells[2], cells[3]]
    assert maps.rows[1].tolist() == [cell_number(1, 2), 1, cells[1], -1, cells[3]], "a map without the second key"
    assert maps.rows.dtype == np.int16 and maps.num_train == 1
    assert maps.walls[0].tolist() == [[int(letter == "#") for letter in line] for line in ROOM.split()]


def planted(text, old, new):
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("train", "test", "objects", "words"),
    [
        ([], [OTHER], OBJECTS, "0 training maps and 1 test maps"),
        ([ROOM], [], OBJECTS, "1 training maps and 0 test maps"),
        ([planted(ROOM, "#@.k#", "#@.k")], [OTHER], OBJECTS, "map 0 is ragged: line 1 has 4 cells, line 0 has 5"),
        (["  "], [OTHER], OBJECTS, "Training map 0 is empty"),
        ([ROOM], [ROOM + "#####"], OBJECTS, "Test map 0 is 6 x 5, Training map 0 is 5 x 5"),
        ([planted(ROOM, "g", "x")], [OTHER], OBJECTS, "map 0 has 'x' at line 3, column 3, known are #, ., @, k"),
        ([ROOM, planted(ROOM, "#.#.#", "#.# #")], [OTHER], OBJECTS, "Training map 1 has ' ' at line 2, column 3"),
        ([planted(ROOM, "@", ".")], [OTHER], OBJECTS, "Training map 0 has 0 agents"),
        ([planted(ROOM, "@.", "@@")], [OTHER], OBJECTS, "Training map 0 has 2 agents"),
        ([ROOM], [planted(OTHER, "#####", "##.##")], OBJECTS, "Test map 0 has an open border at line 0, column 2"),
        ([planted(ROOM, "k.g#", "k#g#").replace("#.#.#", "#.###")], [OTHER], OBJECTS,
         "Training map 0 has 'goal' at line 3, column 3, to which no path leads"),
        ([ROOM], [ROOM], OBJECTS, "Test map 0 is the same as Training map 0"),
        ([ROOM, ROOM], [OTHER], OBJECTS, "Training map 1 is the same as Training map 0"),
        ([ROOM], [OTHER], OBJECTS | {"z": "zebra"}, "'z' (zebra) stands in no map"),
        ([ROOM], [OTHER], OBJECTS | {"#": "hash"}, "'#' is no single letter"),
        ([ROOM], [OTHER], OBJECTS | {"kk": "two"}, "'kk' is no single letter"),
        ([ROOM], [OTHER], {"k": "thing", "g": "thing"}, "called 'thing'"),
        ([ROOM], [OTHER], {"k": "agent", "g": "goal"}, "called 'agent'"),
        (["#" * 65], [OTHER], OBJECTS, "Training map 0 is 1 x 65, a map may have 3 to 64 cells"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_level_is_refused(train, test, objects, words):
    with pytest.raises(UserError) as caught:
        read_maps(train, test, objects=objects)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_more_maps_than_a_kernel_can_hold_are_refused():
    size = 64
    wide = [f"{'#' * size}\n" + f"#{'.' * (size - 2)}#\n" * (size - 2) + "#" * size] * 245
    drawn = [f"{text[:size + 1]}#{'.' * (i // 60)}@{text[size + 3 + i // 60:]}" for i, text in enumerate(wide)]
    with pytest.raises(UserError, match="245 maps of 64 x 64, a kernel holds at most 244"):
        read_maps(drawn[:-1], drawn[-1:], objects={})


@st.composite
def drawn_maps(draw):
    """Two different maps of one size with a closed border; open inside but for walls that cut nothing off."""
    height, width = draw(st.integers(4, 9)), draw(st.integers(4, 9))
    maps = []
    for _ in range(2):
        grid = np.full((height, width), "#")
        grid[1:-1, 1:-1] = "."
        inner = [(y, x) for y in range(1, height - 1) for x in range(1, width - 1)]
        chosen = draw(st.permutations(inner))
        grid[chosen[0]] = "@"
        for cell, letter in zip(chosen[1:3], "kg", strict=False):
            grid[cell] = letter
        # A wall in every second cell of every second line cuts nothing off.
        for cell in draw(st.sets(st.sampled_from(inner))):
            if grid[cell] == "." and cell[0] % 2 == 0 and cell[1] % 2 == 0:
                grid[cell] = "#"
        maps.append("\n".join("".join(line) for line in grid))
    return maps


@settings(max_examples=60, deadline=None)
@given(maps=drawn_maps().filter(lambda maps: maps[0] != maps[1]), level=st.integers(0, 1000), moves=st.data())
def test_the_functions_follow_the_drawing(maps, level, moves):
    """Uncompiled: `begin` copies the map, `observe` draws it back, `move` stops at its walls, `possible` knows both."""
    read = read_maps(maps[:1], maps[1:], objects=OBJECTS)
    begin, observe, possible, move = (function.py_func for function in map_functions(read))
    for first, text in ((0, maps[0]), (FIRST_TEST_LEVEL, maps[1])):
        row = np.zeros(read.rows.shape[1] + 1, np.int16)
        begin(None, row, first + level, 0)
        lines = text.split("\n")
        planes = np.zeros((4, len(lines), len(lines[0])), np.uint8)
        observe(None, row[:-1], planes, None)
        for plane, letter in zip(planes, "@kg#", strict=True):
            assert plane.tolist() == [[int(seen == letter) for seen in line] for line in lines]
        y, x = divmod(int(row[0]), 64)
        for action in moves.draw(st.lists(st.integers(0, 3), max_size=30)):
            target = (y + MOVES[action][0], x + MOVES[action][1])
            y, x = (y, x) if lines[target[0]][target[1]] == "#" else target
            row[0] = move(row, action)
            assert row[0] == cell_number(y, x)
        changed = np.array([row] * 1001)
        changed[:, 0] = range(-1, 1000)
        cells = {cell_number(y, x): letter for y, line in enumerate(lines) for x, letter in enumerate(line)}
        allowed = [possible(None, one, row, False) for one in changed]
        assert allowed == [cells.get(int(cell), "#") != "#" for cell in changed[:, 0]]
        row[1] += 1
        assert not possible(None, row, changed[0], False)


def test_levels_take_the_maps_of_their_split_by_turns():
    texts = [ROOM, OTHER, ROOM.replace("@.k", "..k").replace("#.#.#", "#@#.#"), ROOM.replace("k.g", "kg.")]
    read = read_maps(texts[:3], texts[3:], objects=OBJECTS)
    begin = map_functions(read)[0].py_func
    row = np.zeros(read.rows.shape[1], np.int16)
    shown = []
    for level in [0, 1, 2, 3, 4, FIRST_TEST_LEVEL, FIRST_TEST_LEVEL + 7]:
        begin(None, row, level, 0)
        shown.append(int(row[1]))
    assert shown == [0, 1, 2, 0, 1, 3, 3]


MODULE = '''"""Drawn: maps in a file of their own, chance, an option and an entry that are not of `map_world`."""
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple
from numba import njit
from envs.worlds.absent import no_context
from envs.worlds.maps import map_functions, map_world, read_maps
from envs.worlds.options import WorldConfig

TRAIN, TEST = Path(__file__).with_name("maps.txt").read_text().split(";")
MAPS = read_maps([TRAIN], [TEST], objects={"g": "goal"})
begin, observe, possible, move = map_functions(MAPS)
WAITED = MAPS.rows.shape[1]


@dataclass(frozen=True)
class DrawnConfig(WorldConfig):
    slip: float = 0.25


class Numbers(NamedTuple):
    slip: float


@njit
def transition(config, row, action, draws, components):
    if draws[0] < config.slip:
        row[WAITED] += 1
    else:
        row[0] = move(row, action)
    return -1, False


@njit
def breakpoints(config, row, action, channel, cuts):
    cuts[0] = config.slip
    return 1


context = no_context


def world(config):
    plain = map_world(MAPS, config, name="Drawn", module=__name__, rewards={"goal": 1.0})
    return replace(plain, kernel_config=Numbers(config.slip), row_size=WAITED + 1, num_channels=1, max_outcomes=2)
'''


def test_an_edited_map_is_compiled_anew(tmp_path, monkeypatch):
    """As in a new process: the module's file is the same, only the drawing beside it has changed."""
    (tmp_path / "drawn.py").write_text(MODULE)
    spec = importlib.util.spec_from_file_location("drawn", tmp_path / "drawn.py")
    shown = []
    for first in ("####\n#@g#\n#..#\n####", "####\n#@.#\n#g.#\n####"):
        (tmp_path / "maps.txt").write_text(f"{first};####\n#g@#\n#..#\n####")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "drawn", module)
        spec.loader.exec_module(module)
        compile_kernels.cache_clear()
        world = module.world(module.DrawnConfig())
        assert draw_letters(world, world.begin([0], [0])[0]) == first
        shown.append({path.name for path in (tmp_path / "__pycache__").glob("*.nbi")})
    assert len(shown[1]) == 2 * len(shown[0]) > 0, "kernels are cached on disk, those of either drawing"
    outcomes = world.expand(world.begin([0], [0]))
    assert outcomes.probability[0, 2].tolist() == [0.25, 0.75]
    here, below = cell_number(1, 1), cell_number(2, 1)
    assert outcomes.next_rows[0, 2].tolist() == [[here, 0, below, 1], [below, 0, below, 0]], "slip waits, else down"
    compile_kernels.cache_clear()
