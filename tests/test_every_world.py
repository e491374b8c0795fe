"""What holds for every world: exact restoring, enumeration against brute force, levels apart from seeds.

A new world adds a line to `SMALL`: options with which it has at most some thousands of states on two levels.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from envs import GridVectorEnv, make_world
from envs.registry import WORLDS, world_names
from envs.tabular import enumerate_world, start_value, value_iteration

README = Path(__file__).parent.parent / "envs" / "README.md"

SMALL = {
    "CornerMaze": {"size": 3, "corner_size": 2},
    "CrossedHistory": {"size": 3},
    "DecorrelatedMaze": {"size": 7},
    "DiamondGhost": {"overseen_share": 0.2},
    "DishMaze": {"size": 3, "layout": "apart"},
    "FruitTask": {"size": 3, "num_locations": 4, "num_fruits": 2},
    "GemShape": {"size": 3, "dose": 0.5},
    "KeysAndChests": {"size": 3, "num_keys": 2, "num_chests": 2},
    "MultiNeed": {"size": 3, "num_objects": 2, "drift": 0.3, "wrong_cost": 0.1, "continuing": True, "cues_per_need": 2},
    "TwoDoors": {"dose": 0.5},
}


def test_every_family_is_listed():
    assert SMALL.keys() == WORLDS.keys()


@pytest.mark.parametrize("name", list(world_names()))
def test_a_restored_state_goes_on_bit_equally(name):
    """set_state(get_state()) is the identity, and another env goes on from the state as the first one does."""
    world = make_world(name, time_limit=12)
    first, second = GridVectorEnv(world, 16), GridVectorEnv(world, 16)
    first.reset(seed=1)
    rng = np.random.default_rng(0)
    for _ in range(9):
        first.step(rng.integers(0, world.num_actions, 16))
    state = first.get_state()
    shown = first.set_state(state)
    again = first.get_state()
    assert all((getattr(again, part) == getattr(state, part)).all() for part in vars(state))
    other = second.set_state(state)
    for _ in range(20):
        assert all((shown[part] == other[part]).all() for part in shown)
        actions = rng.integers(0, world.num_actions, 16)
        (shown, *ours, infos), (other, *theirs, other_infos) = first.step(actions), second.step(actions)
        assert all((mine == their).all() for mine, their in zip(ours, theirs, strict=True))
        assert all((infos[part] == other_infos[part]).all() for part in infos)


def brute_force_values(world, rows, *, num_sweeps):
    """V* by dictionaries over `expand`, written out here: no table, no index, no sweep of ours."""
    known = {row.tobytes(): row for row in rows}
    frontier = list(known.values())
    moves = {}
    while frontier:
        outcomes = world.expand(np.array(frontier, np.int16))
        fresh = []
        for n, row in enumerate(frontier):
            moves[row.tobytes()] = []
            for a in range(world.num_actions):
                branches = []
                for o in np.flatnonzero(outcomes.probability[n, a] > 0):
                    after = outcomes.next_rows[n, a, o]
                    ended = bool(outcomes.terminated[n, a, o])
                    reward = float(outcomes.components[n, a, o] @ world.reward_weights)
                    branches.append((float(outcomes.probability[n, a, o]), reward, None if ended else after.tobytes()))
                    if not ended and after.tobytes() not in known:
                        known[after.tobytes()] = after
                        fresh.append(after)
                moves[row.tobytes()].append(branches)
        frontier = fresh
    values = dict.fromkeys(moves, 0.0)
    for _ in range(num_sweeps):
        values = {
            state: max(
                sum(p * (r + world.discount * (values[after] if after else 0.0)) for p, r, after in branches)
                for branches in actions
            )
            for state, actions in moves.items()
        }
    return values


@pytest.mark.parametrize("name", list(WORLDS))
def test_value_iteration_equals_brute_force(name):
    world = make_world(name, discount=0.8, **SMALL[name])
    levels = [0, world.levels("test").first]
    mdp = enumerate_world(world, levels)
    starts = np.repeat(levels, world.num_starts)
    expected = brute_force_values(world, world.begin(starts, np.tile(np.arange(world.num_starts), 2)), num_sweeps=120)
    solved = value_iteration(mdp).values
    assert mdp.num_states == len(expected) > 1
    assert solved == pytest.approx([expected[row.tobytes()] for row in mdp.rows], abs=1e-9)
    assert np.ptp(solved) > 0


@pytest.mark.parametrize("name", list(WORLDS))
def test_chance_adds_up_and_levels_ignore_the_seed(name):
    world = make_world(name, num_levels=3)
    env, seen = GridVectorEnv(world, 8), {}
    for seed in range(12):
        infos = env.reset(seed=seed)[1]
        rows = env.get_state().rows
        for level, row in zip(infos["level"], rows, strict=True):
            seen.setdefault(int(level), set()).add(row.tobytes())
        assert world.expand(rows).probability.sum(axis=2) == pytest.approx(1.0)
    assert seen.keys() == {0, 1, 2}
    for level, rows in seen.items():
        starts = world.begin(np.full(world.num_starts, level), np.arange(world.num_starts))
        assert rows <= {row.tobytes() for row in starts}


SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", README.read_text(), flags=re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("name", list(WORLDS))
def test_the_page_gives_the_exact_optimal_return(name):
    """The optimum stands in envs/README.md to four digits, for the default options and the levels that it names."""
    text = SECTIONS[name]
    assert "*It cannot show*" in text and text.count("\n|") >= 6
    found = re.search(r"Exact optimal return, discounted, mean over training levels 0 to (\d+): (-?[\d.]+)", text)
    assert found is not None
    mdp = enumerate_world(make_world(name), np.arange(int(found[1]) + 1))
    assert start_value(mdp, value_iteration(mdp).values) == pytest.approx(float(found[2]), abs=6e-5)
