"""What holds for every world: exact restoring, enumeration against brute force, levels apart from seeds.

A new world adds a line to `SMALL`: options with which it has at most some thousands of states on two levels.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from envs import GridVectorEnv, UserError, make_world
from envs.demonstrations import demonstrate
from envs.registry import WORLDS, world_names
from envs.render import render_ansi, render_rgb
from envs.rows import Levels
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
    "Village": {"size": 3, "horizon": 5, "study_start": 1, "study_period": 4, "kappa_p": 0.5, "kappa_g": 0.5},
}
CERTAIN = {"MultiNeed": {"drift": 0.0, "continuing": False}, "Village": {"kappa_p": 1.0, "kappa_g": 1.0}}


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


@pytest.mark.parametrize("name", list(WORLDS))
@pytest.mark.parametrize("entry", [-1, 0, 9999, 32767, -32768])
def test_rows_that_cannot_be_drawn_are_refused(name, entry):
    """Not drawn, as that would write outside of the observation."""
    env = GridVectorEnv(make_world(name), 2)
    env.reset(seed=0)
    state = env.get_state()
    state.rows[1] = entry
    with pytest.raises(UserError, match=r"EnvState\.rows of env 1 "):
        env.set_state(state)


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
def test_the_expert_earns_the_optimum_and_what_it_does_can_be_drawn(name):
    """Demonstrations of every family: each episode's return is V* of its start, where nothing depends on chance."""
    world, levels = make_world(name, **{**SMALL[name], **CERTAIN.get(name, {})}), Levels(0, 2)
    mdp = enumerate_world(world, levels)
    best = {row.tobytes(): value for row, value in zip(mdp.rows, value_iteration(mdp).values, strict=True)}
    shown = demonstrate(world, levels, num_episodes=12, seed=0)
    for first, end in zip(shown.offsets[:-1], shown.offsets[1:], strict=True):
        earned = shown.rewards[first:end] @ world.discount ** np.arange(end - first)
        assert earned == pytest.approx(best[shown.rows[first].tobytes()])
    assert all(render_ansi(world, row).count("@") == 1 for row in shown.rows)
    assert len(np.unique([render_rgb(world, row) for row in shown.rows[:20]], axis=0)) > 1


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


def test_the_page_says_which_rooms_the_splits_share():
    """Held-out levels that begin as a training level does, in per cent, for every id; those not listed have none."""
    listed = {name: float(share) for name, share in re.findall(r"`([\w-]+)` \| ([\d.]+) % \|", README.read_text())}
    for name in world_names():
        world = make_world(name)
        train, test = (world.begin(world.levels(split).ids(), 0) for split in ("train", "test"))
        known = {row.tobytes() for row in train}
        shared = np.mean([row.tobytes() in known for row in test])
        assert shared == 0 if name not in listed else f"{100 * shared:.1f}" == f"{listed[name]:.1f}"
    assert listed.keys() <= set(world_names())


SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", README.read_text(), flags=re.MULTILINE | re.DOTALL))
ROWS = ["level", "start", "state", "transition", "reward", "components", "events", "context", "dose", "γ; limit"]


@pytest.mark.parametrize("name", list(WORLDS))
def test_the_page_gives_the_exact_optimal_return(name):
    """The optimum stands in envs/README.md to four digits, for the default options and the levels that it names."""
    text = SECTIONS[name]
    assert "*It cannot show*" in text
    found = re.search(r"Exact optimal return, discounted, mean over training levels 0 to (\d+): (-?[\d.]+)", text)
    assert found is not None
    mdp = enumerate_world(make_world(name), np.arange(int(found[1]) + 1))
    assert start_value(mdp, value_iteration(mdp).values) == pytest.approx(float(found[2]), abs=6e-5)


@pytest.mark.parametrize("name", list(WORLDS))
def test_the_page_has_the_mdp_as_a_table(name):
    """Every part in one order, γ and the limit as they are, and the dose under the names of its options."""
    table = dict(re.findall(r"^\| ([^|\n]+) \| ([^\n]+) \|$", SECTIONS[name], flags=re.MULTILINE))
    assert [row for row in table if row in ROWS] == ROWS
    world = make_world(name)
    assert table["γ; limit"] == f"{str(world.discount).lstrip('0')}; {world.time_limit} steps"
    assert all(f"`{option}`" in table["dose"] for option in WORLDS[name].dose)
    for part in world.event_names + world.component_names:
        assert f"`{re.sub('[0-9]+', '', part)}" in table["components"] + table["events"]


@pytest.mark.parametrize("name", list(WORLDS))
def test_ids_differ_in_size_and_in_dose(name):
    family, options = WORLDS[name], WORLDS[name].variants.values()
    assert len({option.get("size") for option in options} | {None}) >= 2
    configs = [family.config(**option) for option in [{}, *options]]
    doses = {tuple(getattr(config, part) for part in family.dose) for config in configs}
    assert family.dose and len(doses) >= 2


def test_the_dose_of_multi_need_is_how_much_of_v_depends_on_the_need():
    """The share of the variance of V* between needs at one place of one level, over doses; it rises from 0."""
    shares = []
    for num_objects in (1, 2, 4, 8):
        mdp = enumerate_world(make_world("MultiNeed", num_objects=num_objects), np.arange(20))
        values = value_iteration(mdp).values
        rows = np.delete(mdp.rows, num_objects + 1, axis=1)
        place = np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
        means = np.bincount(place, weights=values) / np.bincount(place)
        shares.append(float(((values - means[place]) ** 2).sum() / ((values - values.mean()) ** 2).sum()))
    printed = re.search(r"levels 0 to 19, (\S+), (\S+), (\S+) and (\S+) lie between cues", SECTIONS["MultiNeed"])
    assert shares == pytest.approx([float(share) for share in printed.groups()], abs=0.006) and shares == sorted(shares)
