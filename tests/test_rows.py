"""Rows, worlds and their compiled loops: expansion against simulation, channel independence, caching, refusals."""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import walkers_world

from envs import GridVectorEnv, UserError, make_world
from envs.compilation import compile_kernels
from envs.noise import episode_key, uniform
from envs.rows import FIRST_TEST_LEVEL, Levels

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def walkers():
    return walkers_world.world(walkers_world.WalkersConfig())


def trajectory(world, actions, *, seed=3):
    """Rows of one env under an action sequence, restarting nothing; shape [T + 1, S]."""
    endless = dataclasses.replace(world, time_limit=10**6)
    env = GridVectorEnv(endless, 1)
    env.reset(seed=seed)
    rows = [env.get_state().rows[0]]
    for action in actions:
        env.step([action])
        env.engine.state.pending[0] = False
        rows.append(env.get_state().rows[0])
    return np.array(rows)


def test_untouched_walkers_do_not_see_what_is_done_to_others(walkers):
    """Channel independence: a walker that no action pushes moves as if nobody had been pushed."""
    rng = np.random.default_rng(0)
    quiet = trajectory(walkers, [3] * 300)
    for untouched in range(3):
        actions = rng.choice([a for a in range(4) if a != untouched], 300)
        pushed = trajectory(walkers, actions)
        assert (pushed[:, untouched] == quiet[:, untouched]).all()
        others = [i for i in range(3) if i != untouched]
        assert (pushed[:, others] != quiet[:, others]).any()


def test_the_independence_test_can_fail():
    """Control: with one joint draw, untouched walkers differ from their twins."""
    joint = walkers_world.world(walkers_world.WalkersConfig(joint=True))
    quiet, pushed = trajectory(joint, [3] * 100), trajectory(joint, [0] * 100)
    assert (quiet[:, 2] != pushed[:, 2]).any()


def test_objects_of_multi_need_drift_alike_whatever_the_agent_does():
    world = make_world("MultiNeed", drift=0.3, size=5)
    rng = np.random.default_rng(1)
    first, second = (trajectory(world, rng.integers(0, 4, 200)) for _ in range(2))
    assert (first[:, 1:5] == second[:, 1:5]).all()
    assert (first[:, 0] != second[:, 0]).any()
    assert (np.diff(first[:, 1:5], axis=0) != 0).any(axis=0).all()


def test_expansion_is_the_distribution_of_transitions(walkers):
    """Every outcome's probability against 4,000 draws of the kernel itself from one row."""
    row = walkers.begin([5], [0])
    outcomes = walkers.expand(row)
    assert np.allclose(outcomes.probability.sum(-1), 1.0)
    draws = np.random.default_rng(0).random((4000, 3))
    for action in range(4):
        expected: dict[tuple[int, ...], float] = {}
        for o in range(12):
            key = tuple(int(value) for value in outcomes.next_rows[0, action, o])
            expected[key] = expected.get(key, 0.0) + outcomes.probability[0, action, o]
        seen: dict[tuple[int, ...], int] = {}
        for draw in draws:
            after = row[0].copy()
            walkers_world.transition(walkers.kernel_config, after, action, draw, np.zeros(3))
            key = tuple(int(value) for value in after)
            seen[key] = seen.get(key, 0) + 1
        assert set(seen) <= set(expected)
        for key, probability in expected.items():
            assert abs(seen.get(key, 0) / 4000 - probability) < 5 * np.sqrt(probability / 4000)


def test_expansion_of_a_deterministic_world_is_its_step():
    world = make_world("MultiNeed", wrong_cost=0.5)
    env = GridVectorEnv(world, 64)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(20):
        before, actions = env.get_state(), rng.integers(0, 4, 64)
        outcomes = world.expand(before.rows)
        _, reward, terminated, _, infos = env.step(actions)
        chosen = (np.arange(64), actions, 0)
        acting = ~before.pending
        assert (env.get_state().rows == outcomes.next_rows[chosen])[acting].all()
        assert (terminated == outcomes.terminated[chosen])[acting].all()
        assert (infos["event"] == outcomes.event[chosen])[acting].all()
        assert (reward == outcomes.components[chosen] @ world.reward_weights)[acting].all()


def test_engine_draws_are_the_declared_stream(walkers):
    """One env's rows recomputed in Python from ω(seed, env, episode, t, channel)."""
    env = GridVectorEnv(walkers, 4, first_env=2)
    env.reset(seed=9)
    row, key = env.get_state().rows[1], episode_key(9, 3, 0)
    for t in range(10):
        env.step([3, 1, 3, 3])
        draws = np.array([uniform(key, t, channel) for channel in range(3)])
        _, terminated = walkers_world.transition(walkers.kernel_config, row, 1, draws, np.zeros(3))
        assert (env.get_state().rows[1] == row).all()
        if terminated:
            break


def test_too_many_outcomes_are_refused(walkers):
    with pytest.raises(UserError, match="MultiNeed has up to 32 outcomes"):
        make_world("MultiNeed", num_objects=5, drift=0.5).expand(np.zeros((1, 8), np.int16))
    with pytest.raises(ValueError, match="gives row 0 no outcome, or more than the declared max_outcomes=4"):
        dataclasses.replace(walkers, max_outcomes=4).expand(walkers.begin([0], [0]))


WRONG_CUTS = '''
@njit
def cut(cuts, index):
    cuts[index] = (index + 1) / 200


@njit
def breakpoints(config, row, action, channel, cuts):
    if row[2] == 1:
        return -1
    if row[2] == 2:
        return 3
    for index in range(100):
        cut(cuts, index)
    return 100
'''


def test_wrong_cuts_are_refused_and_write_nowhere_else(tmp_path, monkeypatch):
    """More cuts than the buffer holds, fewer than none, and so many channels that the product of counts is 0 again."""
    source = (ROOT / "tests" / "walkers_world.py").read_text()
    (tmp_path / "wrong_cuts.py").write_text(source.replace("def breakpoints", "def honest_breakpoints") + WRONG_CUTS)
    spec = importlib.util.spec_from_file_location("wrong_cuts", tmp_path / "wrong_cuts.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "wrong_cuts", module)
    spec.loader.exec_module(module)
    world = module.world(module.WalkersConfig())
    with pytest.raises(ValueError, match="`breakpoints` of Walkers uses an index outside its array.* cuts 0 to 63 "):
        world.expand(np.zeros((1, 3), np.int16))
    for num_channels, last in ((3, 1), (32, 2)):
        with pytest.raises(ValueError, match="gives row 0 no outcome, or more"):
            dataclasses.replace(world, num_channels=num_channels).expand(np.array([[0, 0, last]], np.int16))


def test_shapes_are_checked(walkers):
    with pytest.raises(ValueError, match="rows have shape"):
        walkers.observe(np.zeros((2, 5), np.int16))
    with pytest.raises(ValueError, match=r"allowed is 0\.\.0"):
        walkers.begin([0], [1])


def test_no_rows_are_no_trouble(walkers):
    nothing = np.zeros((0, 3), np.int16)
    assert walkers.observe(nothing)["planes"].shape == (0, 4, 1, 11)
    assert walkers.expand(nothing).probability.shape == (0, 4, 12)
    assert walkers.context_of(nothing).shape == (0,) and walkers.begin([], []).shape == (0, 3)


def test_levels():
    assert make_world("MultiNeed", num_levels=7).levels("train") == Levels(0, 7)
    assert make_world("MultiNeed", num_levels=7).levels("test") == Levels(FIRST_TEST_LEVEL, 7)
    assert Levels(5, 3).ids().tolist() == [5, 6, 7]
    with pytest.raises(UserError, match="allowed are 'train' and 'test'"):
        make_world("MultiNeed").levels("eval")
    with pytest.raises(UserError, match=r"Levels\.count is 0"):
        Levels(0, 0)


def test_a_world_copies_and_pickles_as_itself(walkers):
    assert copy.deepcopy(walkers) is walkers
    again = pickle.loads(pickle.dumps(walkers))
    assert again.config == walkers.config
    assert (again.begin([3], [0]) == walkers.begin([3], [0])).all()


RUN = """
import sys, numpy as np
sys.path[:0] = sys.argv[1:]
import {module} as module
from envs import GridVectorEnv
world = module.world({config})
env = GridVectorEnv(world, 4)
env.reset(seed=0)
for _ in range(5):
    observations, *_ = env.step([0, 1, 2, 3])
counts = [loop.stats for loop in (world.kernels.reset_envs, world.kernels.step_envs)]
print(sum(sum(c.cache_hits.values()) for c in counts), sum(sum(c.cache_misses.values()) for c in counts))
print(env.get_state().rows.tolist())
"""


def run_script(script, *paths, cache=None):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if cache is not None:
        environment["NUMBA_CACHE_DIR"] = str(cache)
    command = [sys.executable, "-c", script, str(ROOT), *map(str, paths)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500, check=True)
    return result.stdout.splitlines()


def cache_files(folder):
    return {(path.name, path.stat().st_mtime_ns) for path in folder.rglob("*.nb[ic]")}


@pytest.mark.slow
def test_the_second_process_compiles_nothing(tmp_path):
    """In a cache of its own, since other tests compile into the common one meanwhile."""
    script = RUN.format(module="envs.worlds.multi_need", config="module.MultiNeedConfig()")
    run_script(script, cache=tmp_path)
    before = cache_files(tmp_path)
    counts, _ = run_script(script, cache=tmp_path)
    assert counts == "2 0" and before
    assert cache_files(tmp_path) == before


HELPER = """
from numba import njit
from {other} import STRIDE

@njit
def stride():
    return {value} * STRIDE
"""


EDITS = ((1, 1), (1, 1), (2, 1), (2, 2))


def edited_world(folder):
    """Writes a world with a helper in another file and a constant in a third; yields at each edit of one of them."""
    source = (ROOT / "tests" / "walkers_world.py").read_text()
    (folder / "edited_world.py").write_text(
        source.replace("from envs.rows import World", "from envs.rows import World\nfrom edited_helper import stride")
        .replace("row[i] = (row[i] + step) % config.length", "row[i] = (row[i] + stride()) % config.length")
        .replace("row[0] == 0 and row[1] == 0", "False")
    )
    for value, stride in EDITS:
        (folder / "edited_helper.py").write_text(HELPER.format(other="edited_constant", value=value))
        (folder / "edited_constant.py").write_text(f"STRIDE = {stride}\n")
        yield value * stride


def test_an_edit_of_a_helper_or_of_its_constant_gives_the_loops_other_names(tmp_path, monkeypatch):
    """By its name a loop is found in the cache."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # Two edits within a second would be one.
    names = []
    for _ in edited_world(tmp_path):
        for module in ("edited_world", "edited_helper", "edited_constant"):
            monkeypatch.delitem(sys.modules, module, raising=False)
        names.append(compile_kernels.__wrapped__("edited_world").expand_rows.py_func.__name__)
    assert names[0] == names[1] and len(set(names)) == 3


@pytest.mark.slow
def test_an_edited_helper_is_recompiled(tmp_path):
    script = f"""
import sys, numpy as np
sys.path[:0] = sys.argv[1:]
import edited_world
world = edited_world.world(edited_world.WalkersConfig())
rows = world.begin([1], [0])
next_rows = world.expand(rows).next_rows[0, 3, 0]
print((next_rows - rows[0]) % {walkers_world.LENGTH})
print(sum(world.kernels.expand_rows.stats.cache_hits.values()))
"""
    strides, outputs = zip(*((stride, run_script(script, tmp_path)) for stride in edited_world(tmp_path)), strict=True)
    assert tuple(int(output[0].strip("[]").split()[0]) for output in outputs) == strides == (1, 1, 2, 4)
    assert [int(output[1]) for output in outputs] == [0, 1, 0, 0]


@pytest.mark.slow
def test_many_cold_processes_at_once_agree(tmp_path):
    """Six processes race for one empty cache; none crashes and all see the same rows."""
    script = """
import sys
sys.path[:0] = sys.argv[1:]
import walkers_world
world = walkers_world.world(walkers_world.WalkersConfig())
rows = world.begin([1, 2, 3], 0)
print(rows.tolist(), world.observe(rows)["planes"].sum(), world.expand(rows).next_rows.tolist())
"""
    with ThreadPoolExecutor(6) as pool:
        outputs = list(pool.map(lambda _: run_script(script, ROOT / "tests", cache=tmp_path)[0], range(6)))
    assert len(set(outputs)) == 1
    assert len(list(tmp_path.rglob("*.nbi"))) >= 3


def test_a_world_without_all_functions_is_refused(monkeypatch):
    monkeypatch.delattr(walkers_world, "breakpoints")
    with pytest.raises(TypeError, match="has no numba function 'breakpoints'"):
        compile_kernels.__wrapped__("walkers_world")
