"""Pictures and text of states, and golden playthroughs that a reader can check by eye."""

from __future__ import annotations

import os
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from envs import GridVectorEnv, make_world
from envs.render import TILE, render_ansi, render_rgb

GOLDEN = Path(__file__).parent / "golden"
# Up, right, down, left; in the village also wait, help with a, b and e, persuade, guard, door.
LETTERS = "URDLwabepgd"
PLAYTHROUGHS = {
    "multi_need": ("MultiNeed", {"wrong_cost": 0.5}, "LLRRRDDUU"),
    "multi_need_first_drift": (
        "MultiNeed",
        {"size": 4, "num_objects": 2, "context": "first", "drift": 0.5, "time_limit": 5},
        "RULLDURU",
    ),
    "multi_need_continuing": (
        "MultiNeed",
        {"size": 3, "num_objects": 3, "continuing": True, "context": "first"},
        "DRLDURDL",
    ),
    "keys_and_chests": ("KeysAndChests", {"size": 4}, "RDRDLUDL"),
    "keys_and_chests_many_keys": ("KeysAndChests", {"size": 4, "num_keys": 3, "num_chests": 1}, "DRRDUULD"),
    "gem_shape": ("GemShape", {"size": 5, "dose": 1.0, "intended": "shape"}, "DRRRDDLL"),
    "gem_shape_split": ("GemShape", {"size": 5, "layout": "split"}, "DRRRDDLL"),
    "crossed_history": ("CrossedHistory", {"size": 5}, "LLLLURU"),
    "crossed_history_choice": ("CrossedHistory", {"size": 5, "layout": "choice"}, "DDLLRR"),
    "diamond_ghost": ("DiamondGhost", {}, "DDURRDDU"),
    "fruit_task": ("FruitTask", {"size": 4, "num_locations": 5, "num_fruits": 2}, "RRDDDRUDU"),
    "two_doors": ("TwoDoors", {}, "LLURRU"),
    "two_doors_crossed": ("TwoDoors", {"layout": "crossed", "size": 3}, "LURU"),
    "corner_maze": ("CornerMaze", {"size": 5, "corner_size": 3, "num_levels": 13}, "UUULLRDRU"),
    "dish_maze": ("DishMaze", {"size": 5, "layout": "apart", "generator": "tree"}, "RDUDLLLLUUD"),
    "village": ("Village", {"kappa_p": 0.5, "horizon": 12}, "LUpbbeRDgwdwR"),
    "village_two_persons": (
        "Village",
        {"num_persons": 2, "coins": True, "start_theta": "AB", "objective": "IR"},
        "URpaDDLLdgb",
    ),
    "triad": ("Triad", {"kappa": 0.5, "shows_natural": True, "hurts": "E"}, "0333220"),
    "triad_generic": ("Triad", {"generic": True, "starts": "uniform", "objective": "0.5*RT+0.5*IR", "T": 4}, "02030"),
    "decorrelated_maze": ("DecorrelatedMaze", {"size": 7, "num_levels": 16}, "DRRDDRRDDLLLLU"),
}


def playthrough(name, options, *, moves):
    """One env under the letters or numbers of moves, with NEXT_STEP autoreset; the step after an end is the reset."""
    world = make_world(name, **options)
    env = GridVectorEnv(world, 1, render_mode="ansi")
    _, infos = env.reset(seed=1)
    lines = [f"{name} {options}, seed 1", "", f"level {infos['level'][0]}", env.render()[0]]
    terminated = truncated = np.zeros(1, bool)
    for move in moves:
        action, ended = int(move) if move.isdigit() else LETTERS.index(move), terminated[0] or truncated[0]
        _, reward, terminated, truncated, infos = env.step([action])
        event = infos["event"][0]
        parts = [
            "reset" if ended else world.action_names[action],
            f"level {infos['level'][0]}",
            f"reward {reward[0]:g}",
            f"event {world.event_names[event] if event >= 0 else 'none'}",
            *(["terminated"] if terminated[0] else []),
            *(["truncated"] if truncated[0] else []),
        ]
        lines += [", ".join(parts), env.render()[0]]
    return "\n".join(lines)


@pytest.mark.parametrize("case", PLAYTHROUGHS)
def test_golden_playthrough(case):
    """Set VALUELAB_WRITE_GOLDEN=1 to write the files anew after a wanted change, and read the difference."""
    name, options, moves = PLAYTHROUGHS[case]
    text, path = playthrough(name, options, moves=moves), GOLDEN / f"{case}.txt"
    if os.environ.get("VALUELAB_WRITE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


def test_text_shows_every_object_once():
    world = make_world("MultiNeed", size=3, num_objects=2)
    text = render_ansi(world, world.begin([0], [1])[0])
    assert [text.count(letter) for letter in "@"] == [1]
    assert text.splitlines()[0] == "#####"
    assert sorted(set("".join(text.splitlines()[:5]))) == sorted("#.@01")
    assert text.endswith("shown: need_1; context: need_1\n")


def test_picture_follows_the_planes():
    """Wall, floor and each object have their own colour in the middle of a tile; the agent is drawn upon its cell."""
    world = make_world("MultiNeed", size=4, num_objects=3)
    row = world.begin([5], [0])[0]
    planes, picture = world.observe(row[None])["planes"][0], render_rgb(world, row)
    assert picture.shape == (6 * TILE, 6 * TILE, 3) and picture.dtype == np.uint8
    middles = picture[TILE // 2 :: TILE, TILE // 2 :: TILE]
    colours = {tuple(middles[tuple(np.argwhere(plane)[0])]) for plane in planes}
    assert len(colours) == 5
    floor = middles[planes.sum(0) == 0]
    assert len({tuple(colour) for colour in floor}) == 1 and tuple(floor[0]) not in colours


@pytest.mark.parametrize("mode", ["rgb_array", "ansi", None])
def test_render_modes(mode):
    batch = gymnasium.make_vec("ValueLab/CrossedHistory-v0", 3, render_mode=mode)
    batch.reset(seed=0)
    single = gymnasium.make("ValueLab/CrossedHistory-v0", render_mode=mode)
    single.reset(seed=0)
    if mode is None:
        assert batch.render() is None and single.unwrapped.render() is None
        return
    frames = batch.render()
    assert len(frames) == 3
    expected = str if mode == "ansi" else np.ndarray
    assert all(isinstance(frame, expected) for frame in frames) and isinstance(single.render(), expected)
    if mode == "rgb_array":
        assert (frames[0] == single.render()).all()
