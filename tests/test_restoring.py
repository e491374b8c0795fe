"""What `set_state` accepts: every row that play reaches, and no row from which a step leads outside of the arrays.

A row is reached or not by brute force over `expand`, with every index checked; `possible` of each world is read against
that, on rows of which one entry was changed to every value that could mean something.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
import walkers_world
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import GridVectorEnv, UserError, make_world
from envs.compilation import compile_careful
from envs.registry import WORLDS, world_names
from envs.restoring import require_shown
from envs.rows import MAX_CUTS

CASES = {
    "corner": ("CornerMaze", {"size": 3, "corner_size": 2}),
    "corner in a room": ("CornerMaze", {"size": 3, "corner_size": 3, "generator": "open"}),
    "dish": ("DishMaze", {"size": 3, "layout": "apart"}),
    "dish in a room": ("DishMaze", {"size": 3, "dose": 0.5, "generator": "open"}),
    "decorrelated": ("DecorrelatedMaze", {"size": 7}),
    "history": ("CrossedHistory", {"size": 3, "dose": 0.5}),
    "choice": ("CrossedHistory", {"size": 3, "layout": "choice", "num_cues": 3}),
    "ghost": ("DiamondGhost", {"overseen_share": 0.2}),
    "ghost overseen": ("DiamondGhost", {"overseen_share": 1.0}),
    "fruit": ("FruitTask", {"size": 3, "num_locations": 4, "num_fruits": 2}),
    "gems": ("GemShape", {"size": 3, "dose": 0.5}),
    "keys": ("KeysAndChests", {"size": 3, "num_keys": 2, "num_chests": 2}),
    "surplus keys": ("KeysAndChests", {"size": 3, "num_keys": 3, "num_chests": 1}),
    "needs": ("MultiNeed", {"size": 3, "num_objects": 2, "cues_per_need": 2}),
    "need shown first": ("MultiNeed", {"size": 3, "num_objects": 2, "context": "first"}),
    "drift": ("MultiNeed", {"size": 3, "num_objects": 2, "drift": 0.3, "wrong_cost": 0.1}),
    "all of it": (
        "MultiNeed",
        {"size": 3, "num_objects": 2, "drift": 0.3, "continuing": True, "cues_per_need": 2, "context": "first"},
    ),
    "zealot": ("Case", {"case": "ZEALOT", "parameters": {"kappa": 0.5, "T": 4}}),
    "clickbait": ("Case", {"case": "Clickbait"}),
    "doors": ("TwoDoors", {"dose": 0.5}),
    "village": (
        "Village",
        {"size": 3, "horizon": 3, "study_start": 1, "study_period": 3, "kappa_p": 0.5, "kappa_g": 0.5, "coins": True},
    ),
    "triad": ("Triad", {"kappa": 0.5}),
    "triad from any taste": ("Triad", {"kappa": 0.5, "T": 3, "d": 2, "starts": "uniform", "generic": True}),
}
OBSTACLES = {"corner", "dish", "decorrelated", "choice", "ghost", "ghost overseen", "fruit", "keys", "surplus keys"}
"""Cases in which walls, or objects that nobody passes, keep the agent out of a free cell in the levels looked at."""
ANYWHERE = {"all of it", "village"}
"""Cases in which an experimenter may put together what play does not: drifted objects, people and their tastes."""


def test_every_family_is_listed():
    assert {name for name, _ in CASES.values()} == WORLDS.keys()


def expanded(world, rows):
    """Next rows int16[M, S], and whether they end an episode; IndexError where `transition` leaves its arrays."""
    shape, num_channels = (len(rows), world.num_actions, world.max_outcomes), max(world.num_channels, 1)
    next_rows, terminated = np.zeros((*shape, world.row_size), np.int16), np.zeros(shape, np.bool_)
    probability, events = np.zeros(shape), np.zeros(shape, np.int64)
    out = next_rows, probability, np.zeros((*shape, len(world.component_names))), events, terminated
    scratch = np.zeros(num_channels), np.zeros((num_channels, MAX_CUTS)), np.zeros(world.num_channels, np.int64)
    assert compile_careful(world.module)["expand_rows"](world.kernel_config, rows, scratch, out) == -1
    return next_rows[probability > 0], terminated[probability > 0]


def possible(world, rows, level):
    """Whether each row can be that of a running episode of a level, and of an ended one: bool[2, N]."""
    firsts, answers = np.repeat(world.begin([level], 0), len(rows), axis=0), np.empty((2, len(rows)), np.bool_)
    compile_careful(world.module)["possible_rows"](world.kernel_config, rows, firsts, *answers)
    return answers


def reached_rows(world, level):
    """All rows that an episode of a level can have while it runs, and at its end."""
    frontier = np.unique(world.begin(np.full(world.num_starts, level), np.arange(world.num_starts)), axis=0)
    running, ended = {row.tobytes(): row for row in frontier}, {}
    while len(frontier):
        next_rows, terminated = expanded(world, frontier)
        ended |= {row.tobytes(): row for row in next_rows[terminated]}
        fresh = {row.tobytes(): row for row in next_rows[~terminated] if row.tobytes() not in running}
        running |= fresh
        frontier = np.array(list(fresh.values()), np.int16)
    return [np.array([*found.values()], np.int16).reshape(-1, world.row_size) for found in (running, ended)]


def with_one_entry_changed(world, rows):
    """Each row with each entry set to every cell, count, bit and absurdity in turn."""
    values = np.array([-32768, *range(-3, 64 * (world.grid[0] + 1)), 9999, 32767], np.int16)
    changed = np.repeat(rows, world.row_size * len(values), axis=0).reshape(len(rows), world.row_size, len(values), -1)
    for entry in range(world.row_size):
        changed[:, entry, :, entry] = values
    return np.unique(changed.reshape(-1, world.row_size), axis=0)


CHANGES = st.tuples(st.integers(0, 60), st.integers(-(2**15), 2**15 - 1) | st.integers(-2, 300))


def keys_of(rows):
    return {row.tobytes() for row in rows}


@pytest.mark.parametrize("case", list(CASES))
def test_a_row_is_possible_where_play_can_reach_it(case):
    """All that is reached is accepted, running or ended as it is; of the rest only other free cells for the agent."""
    name, options = CASES[case]
    world, rng = make_world(name, **options), np.random.default_rng(0)
    for level in (0, world.levels("test").first):
        reached = reached_rows(world, level)
        for rows, is_end in zip(reached, (False, True), strict=True):
            assert possible(world, rows, level).T.tolist() == [[not is_end, is_end]] * len(rows)
        some = [rows[rng.permutation(len(rows))[: 200 // world.row_size]] for rows in reached]
        changed = with_one_entry_changed(world, np.concatenate(some))
        accepted = possible(world, changed, level)
        assert not accepted.all(axis=0).any(), "no row is both"
        for mask, rows in zip(accepted, reached, strict=True):
            beyond = changed[mask][[row.tobytes() not in keys_of(rows) for row in changed[mask]]]
            if case in OBSTACLES:
                assert keys_of(others_than_the_agent(world, beyond)) <= keys_of(others_than_the_agent(world, rows))
            elif case not in ANYWHERE:
                assert len(beyond) == 0


def others_than_the_agent(world, rows):
    """Entries that hold neither the agent nor whether it was in the corner or on the dish."""
    visited = {"CornerMaze": 2, "DishMaze": 3}.get(world.name, 0)
    return np.delete(rows, [0, visited], axis=1)


@pytest.mark.parametrize("case", list(CASES))
def test_a_possible_row_leads_to_possible_rows_inside_of_the_arrays(case):
    name, options = CASES[case]
    world = make_world(name, **options)
    for level in (1, 2):
        rows = reached_rows(world, level)[0]
        changed = with_one_entry_changed(
            world, rows[np.random.default_rng(level).permutation(len(rows))[: 200 // world.row_size]]
        )
        running = changed[possible(world, changed, level)[0]]
        next_rows, terminated = expanded(world, running)
        assert (possible(world, next_rows, level) == [~terminated, terminated]).all()
        planes = np.empty((len(running), len(world.plane_names), *world.grid), np.uint8)
        vector, contexts = np.empty((len(running), len(world.vector_names)), np.float32), np.empty(len(running), int)
        loops, background = compile_careful(world.module), world.background.reshape(-1)
        loops["observe_rows"](world.kernel_config, background, running, planes, vector)
        loops["context_rows"](world.kernel_config, running, contexts)
        assert (planes[:, 0].sum(axis=(1, 2)) == 1).all()


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
@pytest.mark.parametrize("name", list(world_names()))
def test_whatever_play_reaches_is_taken_back(name, mode):
    """Also where an episode has ended or was cut off, and waits."""
    world = make_world(name, time_limit=7)
    env, rng = GridVectorEnv(world, 6, autoreset_mode=mode), np.random.default_rng(1)
    env.reset(seed=2)
    for _ in range(30):
        env.step(rng.integers(0, world.num_actions, 6))
        env.set_state(env.get_state())


def started(name, **options):
    env = GridVectorEnv(make_world(name, **options), 3)
    env.reset(seed=0)
    return env


def refusal(env, state):
    """What set_state says; env 2 is to blame, and nothing has changed."""
    before = env.get_state()
    with pytest.raises(UserError, match=r"^EnvState\.\w+ of env 2 .*; give a state that get_state returned") as caught:
        env.set_state(state)
    assert all((getattr(env.get_state(), part) == getattr(before, part)).all() for part in vars(before))
    return str(caught.value)


def outer_walls(walls):
    return slice(walls.first, walls.first + walls.words)


IMPOSSIBLE = {
    "no walls": ("CornerMaze", lambda row, numbers: row[numbers.walls.first : numbers.walls.marks].fill(0)),
    "an open border": ("CornerMaze", lambda row, numbers: row[outer_walls(numbers.walls)].fill(0)),
    "marks": ("CornerMaze", lambda row, numbers: row[numbers.walls.marks :].fill(21)),
    "in a wall": ("CornerMaze", lambda row, numbers: row.put(0, 64)),
    "a cheese elsewhere": ("CornerMaze", lambda row, numbers: row.put(1, 64 * 11 + 11)),
    "visited twice": ("CornerMaze", lambda row, numbers: row.put(2, 2)),
    "a dish elsewhere": ("DishMaze", lambda row, numbers: row.put(2, row[2] + 1)),
    "a bare dish": ("DishMaze", lambda row, numbers: row.put(3, 1)),
    "no goal": ("DecorrelatedMaze", lambda row, numbers: row.put(1, -1)),
    "two objects": ("CrossedHistory", lambda row, numbers: row.put([1, 2], [65, 66])),
    "no object": ("TwoDoors", lambda row, numbers: row[1:].fill(-1)),
    "a target and a gem": ("GemShape", lambda row, numbers: row.put([1, 2], [65, 66])),
    "half overseen": ("DiamondGhost", lambda row, numbers: row.put(3, 2)),
    "a need too many": ("MultiNeed", lambda row, numbers: row.put(5, 4)),
    "a negative need": ("MultiNeed", lambda row, numbers: row.put(5, -1)),
    "a cue too many": ("MultiNeed", lambda row, numbers: row.put(6, 2)),
    "a new cue that is always shown": ("MultiNeed", lambda row, numbers: row.put(6, 1)),
    "a far need under a cue in range": ("MultiNeed", lambda row, numbers: row.put([5, 6], [8, -4])),
    "a debt of keys": ("KeysAndChests", lambda row, numbers: row.put(7, -1)),
    "a key from nowhere": ("KeysAndChests", lambda row, numbers: row.put(7, 1)),
    "a chest opened without a key": ("KeysAndChests", lambda row, numbers: row.put(3, -1)),
    "no fruit": ("FruitTask", lambda row, numbers: row.put(11, 0)),
    "all fruits and more": ("FruitTask", lambda row, numbers: row.put(11, -1)),
    "more fruits than at the start": ("FruitTask", lambda row, numbers: row.put(11, 2**10 - 1)),
    "a taste that never was": ("Triad", lambda row, numbers: row.put(1, 3)),
    "a twin that was persuaded": ("Triad", lambda row, numbers: row.put(3, 2)),
    "another taste at first": ("Triad", lambda row, numbers: row.put(4, 1)),
    "a step too many": ("Triad", lambda row, numbers: row.put(5, 7)),
    "a location elsewhere": ("FruitTask", lambda row, numbers: row.put(1, row[2])),
    "a fourth taste": ("Village", lambda row, numbers: row.put(10, 3)),
    "another first taste": ("Village", lambda row, numbers: row.put([11, 24], 1)),
    "a twin at another time": ("Village", lambda row, numbers: row.put(20, 1)),
    "a twin that acted": ("Village", lambda row, numbers: row.put(13, row[13] + 1)),
    "a locked twin": ("Village", lambda row, numbers: row.put(25, 1)),
    "an ended twin": ("Village", lambda row, numbers: row.put(26, 1)),
    "a coin where there are none": ("Village", lambda row, numbers: row.put(6, 0)),
    "a last action that is not shown": ("Village", lambda row, numbers: row.put(8, 4)),
}


@pytest.mark.parametrize("case", list(IMPOSSIBLE))
def test_rows_that_no_env_can_have_are_refused(case):
    name, change = IMPOSSIBLE[case]
    env = started(name)
    state = env.get_state()
    change(state.rows[2], env.world.kernel_config)
    refusal(env, state)


@pytest.mark.parametrize("name", list(WORLDS))
def test_an_end_waits_and_only_an_end_does(name):
    """A row at its end cannot be played on, nor a running one wait for its reset before the limit."""
    env = started(name, time_limit=300)
    state = env.get_state()
    state.clock[2], state.pending[2] = 1, True
    assert "pending of env 2 is True, allowed is False, as the row is no end" in refusal(env, state)
    state.clock[2] = env.world.time_limit
    env.set_state(state)
    ends = reached_rows(env.world, state.level[2])[1] if name != "FruitTask" else []
    for row in ends[:3]:
        state.clock[2], state.pending[2], state.rows[2] = 4, True, row
        env.set_state(state)
        state.pending[2] = False
        assert "pending of env 2 is False, allowed is True, as the row is the end" in refusal(env, state)


def test_the_refusal_names_level_entries_and_values():
    env = started("KeysAndChests")
    state = env.get_state()
    state.rows[2, [1, 7]] = -1, 5
    text = (
        f"rows of env 2 is no row of level {state.level[2]}, from whose first row it differs in entry 1 = -1, entry 7"
    )
    assert f"{text} = 5;" in refusal(env, state)
    env = started("DecorrelatedMaze")
    state = env.get_state()
    state.rows[2, 16:] += 1
    assert re.search(r"differs in entry 16 = -?\d+, .* and 8 more;", refusal(env, state))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(CASES)), st.integers(0, 40), st.lists(CHANGES, min_size=1, max_size=4))
def test_any_row_is_refused_or_played_on(case, num_steps, changes):
    name, options = CASES[case]
    world, rng = make_world(name, **options), np.random.default_rng(num_steps)
    env = GridVectorEnv(world, 2)
    env.reset(seed=num_steps)
    for _ in range(num_steps):
        env.step(rng.integers(0, world.num_actions, 2))
    state = env.get_state()
    for entry, value in changes:
        state.rows[1, entry % world.row_size] = value
    try:
        env.set_state(state)
    except UserError:
        return
    for _ in range(20):
        env.step(rng.integers(0, world.num_actions, 2))
        env.set_state(env.get_state())


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ([65, 66, 67, 129, 130, 2, -2], "env 1 is -2, allowed is a context from -1 to 3"),
        ([65, 66, 67, 129, 130, 5, 0], "env 1 points outside of the world's arrays"),
        ([-1, 66, 67, 129, 130, 0, 0], "env 1 points outside of the world's arrays"),
        ([9999, 66, 67, 129, 130, 0, 0], "env 1 points outside of the world's arrays"),
        ([64, 66, 67, 129, 130, 0, 0], "env 1 is 64, allowed is a row whose agent stands in one free cell"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_any_world(row, match):
    rows = np.array([[65, 66, 67, 129, 130, 0, 0], row], np.int16)
    with pytest.raises(UserError, match=rf"EnvState\.rows of {match}.*; give a state that get_state returned"):
        require_shown(rows, make_world("MultiNeed"))


def test_a_world_without_a_rule_of_its_own_is_looked_at_from_outside():
    """`walkers_world` has no `possible`: what its functions can read and draw is accepted."""
    world = walkers_world.world(walkers_world.WalkersConfig())
    env = GridVectorEnv(world, 2)
    env.reset(seed=0)
    state = env.get_state()
    state.rows[1] = 3, 4, 5
    env.set_state(state)
    state.rows[1, 2] = walkers_world.LENGTH
    with pytest.raises(UserError, match=r"EnvState\.rows of env 1 points outside of the world's arrays; give a state"):
        env.set_state(state)
