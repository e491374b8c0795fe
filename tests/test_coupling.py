"""The coupled twin of every world: halves differ through what the agent did and through nothing else.

Functions of worlds are called from Python here, one by one: compiling an engine for each coupled family takes minutes.
"""

from __future__ import annotations

import functools
import itertools
import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from test_every_world import SMALL

from envs import GridVectorEnv, UserError, make_world
from envs.compilation import WORLD_FUNCTIONS
from envs.coupling import couple, coupled_world, merge_cuts, real_half, twin_half
from envs.noise import episode_key, uniform
from envs.registry import WORLDS
from envs.worlds import multi_need

INERT, NUM_STEPS, LEVELS = 0, 14, (0, 1)
COMPILED_FAST = {"CrossedHistory", "KeysAndChests", "MultiNeed"}
"""Families of the default tests: what is coupled is compiled anew in every process, and coupling knows no family."""
FAMILIES = [name if name in COMPILED_FAST else pytest.param(name, marks=pytest.mark.slow) for name in WORLDS]


def functions_of(world):
    module = sys.modules[world.module]
    return SimpleNamespace(**{name: getattr(module, name) for name in WORLD_FUNCTIONS})


@functools.cache
def coupled_functions(module):
    return couple(sys.modules[module], inert=INERT)


def first_row(world, functions, size, *, level, seed):
    row = np.zeros(size, np.int16)
    functions.begin(world.kernel_config, row, level, seed % world.num_starts)
    return row


def draws_of(world, *, seed, t):
    key = episode_key(seed, 0, 0)
    return np.array([uniform(key, t, channel) for channel in range(max(world.num_channels, 1))])


def stepped(world, functions, row, action, draws):
    """The next row, and what was paid with the event and the end."""
    after, components = row.copy(), np.zeros(len(world.component_names))
    event, ended = functions.transition(world.kernel_config, after, action, draws, components)
    return after, (*components, event, bool(ended))


def play(world, functions, size, actions, *, level, seed):
    """Rows of an episode, to its end or NUM_STEPS, and what each step paid."""
    rows, paid = [first_row(world, functions, size, level=level, seed=seed)], []
    for t, action in enumerate(actions):
        row, result = stepped(world, functions, rows[-1], int(action), draws_of(world, seed=seed, t=t))
        rows.append(row)
        paid.append(result)
        if result[-1]:
            break
    return np.array(rows), paid


def episodes(name, *, seeds=range(6)):
    world = make_world(name, **SMALL[name])
    for level, seed in itertools.product(LEVELS, seeds):
        yield world, level, seed, np.random.default_rng(seed).integers(0, world.num_actions, NUM_STEPS)


def require_equal_halves(name, functions):
    for world, level, seed, _ in episodes(name):
        rows, _ = play(world, functions, 2 * world.row_size + 1, [INERT] * NUM_STEPS, level=level, seed=seed)
        assert (real_half(rows) == twin_half(rows)).all()


def require_uncoupled_halves(name, functions):
    """The real half under whatever the agent plays, with all that it is paid; the twin under the inert action."""
    differ = 0
    for world, level, seed, actions in episodes(name):
        alone = functions_of(world)
        rows, paid = play(world, functions, 2 * world.row_size + 1, actions, level=level, seed=seed)
        real, real_paid = play(world, alone, world.row_size, actions, level=level, seed=seed)
        inert, _ = play(world, alone, world.row_size, [INERT] * NUM_STEPS, level=level, seed=seed)
        assert (real_half(rows) == real).all() and paid == real_paid
        until = min(len(rows), len(inert))
        assert (twin_half(rows)[:until] == inert[:until]).all()
        assert (twin_half(rows)[until:] == inert[-1]).all(), "a twin whose episode has ended stays as it is"
        differ += int((real_half(rows) != twin_half(rows)).any())
    assert differ, "the agent did something"


@pytest.mark.parametrize("name", FAMILIES)
def test_halves_stay_equal_while_the_agent_is_inert(name):
    require_equal_halves(name, coupled_functions(make_world(name).module))


@pytest.mark.parametrize("name", FAMILIES)
def test_each_half_is_the_uncoupled_world_under_the_same_noise(name):
    require_uncoupled_halves(name, coupled_functions(make_world(name).module))


@njit
def _crossed(config, row, action, draws, components):
    """MultiNeed and a twin whose first object drifts by the draw of the second, and the other way round."""
    size = row.size // 2
    result = multi_need.transition(config, row[:size], action, draws, components)
    draws[0], draws[1] = draws[1], draws[0]
    multi_need.transition(config, row[size : 2 * size], INERT, draws, components.copy())
    return result


@pytest.mark.parametrize("requirement", [require_equal_halves, require_uncoupled_halves])
def test_a_twin_that_reads_another_channel_is_caught(requirement):
    """The planted fault changes no marginal law, as both objects drift with the same probability."""
    crossed = SimpleNamespace(begin=coupled_functions(multi_need.__name__).begin, transition=_crossed)
    with pytest.raises(AssertionError):
        requirement("MultiNeed", crossed)


def expand(world, functions, row, action):
    """Next row -> probability, from `breakpoints` and `transition`, written out here."""
    cuts, pieces = np.zeros(64), []
    for channel in range(world.num_channels):
        count = functions.breakpoints(world.kernel_config, row, action, channel, cuts)
        edges = [0.0, *cuts[:count], 1.0]
        assert all(low < high for low, high in itertools.pairwise(edges))
        pieces.append(list(itertools.pairwise(edges)))
    law = {}
    for intervals in itertools.product(*pieces):
        draws = np.array([(low + high) / 2 for low, high in intervals] or [0.5])
        after = stepped(world, functions, row, action, draws)[0].tobytes()
        law[after] = law.get(after, 0.0) + float(np.prod([high - low for low, high in intervals]))
    return law


def marginal(law, half):
    found = {}
    for after, p in law.items():
        key = half(np.frombuffer(after, np.int16)[None])[0].tobytes()
        found[key] = found.get(key, 0.0) + p
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_the_marginals_of_coupled_outcomes_are_those_of_the_halves(name):
    for world, level, seed, actions in episodes(name, seeds=range(2)):
        both, alone = coupled_functions(world.module), functions_of(world)
        rows, _ = play(world, both, 2 * world.row_size + 1, actions, level=level, seed=seed)
        for row, action in itertools.product(rows[:-1], range(world.num_actions)):
            law, halves = expand(world, both, row, action), (real_half(row[None])[0], twin_half(row[None])[0])
            assert marginal(law, real_half) == pytest.approx(expand(world, alone, halves[0], action))
            still = {halves[1].tobytes(): 1.0}
            expected = still if row[-1] else expand(world, alone, halves[1], INERT)
            assert marginal(law, twin_half) == pytest.approx(expected)


@given(st.lists(st.integers(1, 15), max_size=8), st.lists(st.integers(1, 15), max_size=8))
def test_cuts_are_merged_ascending_and_once_each(first, second):
    runs = [sorted(set(run)) for run in (first, second)]
    cuts = np.zeros(64)
    cuts[: len(runs[0]) + len(runs[1])] = [*runs[0], *runs[1]]
    count = merge_cuts(cuts, len(runs[0]), len(runs[1]))
    assert cuts[:count].tolist() == sorted(set(first) | set(second))


class TestCoupledWorld:
    """Any world with its twin, as a world of the engine."""

    def test_it_is_played_restored_and_pickled(self):
        world = make_world("MultiNeed", size=3, num_objects=2, drift=0.3, time_limit=9)
        coupled = pickle.loads(pickle.dumps(coupled_world(world, inert=2)))
        assert coupled.max_outcomes == world.max_outcomes**2 and coupled.time_limit == 9
        env, alone = GridVectorEnv(coupled, 8), GridVectorEnv(world, 8)
        (shown, _), (expected, _) = env.reset(seed=4), alone.reset(seed=4)
        for step in np.random.default_rng(0).integers(0, 4, (30, 8)):
            assert all((shown[part] == expected[part]).all() for part in expected)
            env.set_state(env.get_state())
            shown, *rest, infos = env.step(step)
            expected, *others, alone_infos = alone.step(step)
            assert all((mine == other).all() for mine, other in zip(rest, others, strict=True))
            assert (infos["components"] == alone_infos["components"]).all()
            assert (real_half(env.get_state().rows) == alone.get_state().rows).all()
        broken = env.get_state()
        broken.rows[3, -2] = 99
        with pytest.raises(UserError, match="EnvState.rows of env 3"):
            env.set_state(broken)

    def test_an_action_that_the_world_lacks_is_refused(self):
        with pytest.raises(UserError, match="inert is 4, allowed is an integer from 0 to 3"):
            coupled_world(make_world("MultiNeed"), inert=4)
