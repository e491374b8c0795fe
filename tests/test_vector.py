"""The engine: autoreset as in Gymnasium's SyncVectorEnv, streams, state, refusals, conformance of every id."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import warnings

import gymnasium
import numpy as np
import pytest
import walkers_world
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import GridEnv, GridVectorEnv, StepBuffers, UserError, make_world
from envs.noise import episode_key
from envs.registry import world_id, world_names
from envs.rows import EnvState

NUM_ENVS = 6
MODES = list(AutoresetMode)


def short_world(name="MultiNeed", **options):
    """Episodes that end soon, by termination and by truncation alike."""
    return make_world(name, size=3, time_limit=5, num_levels=20, **options)


WORLD_CASES = {
    "need": lambda: short_world(wrong_cost=0.25, num_objects=3),
    "drift": lambda: short_world(drift=0.4, num_objects=2, context="first"),
    "history": lambda: short_world("CrossedHistory", dose=0.3),
    "walkers": lambda: walkers_world.world(walkers_world.WalkersConfig()),
}


def assert_same(ours, theirs, *, path="") -> None:
    """Equality of nested results in values, shapes, dtypes and keys."""
    if isinstance(theirs, tuple):
        assert len(ours) == len(theirs), path
        for n, (our, their) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(our, their, path=f"{path}({n})")
    elif isinstance(theirs, dict):
        assert set(ours) == set(theirs), path
        for key in theirs:
            assert_same(ours[key], theirs[key], path=f"{path}/{key}")
    elif isinstance(theirs, np.ndarray) and theirs.dtype == object:
        assert ours.dtype == object and len(ours) == len(theirs), path
        for n, (our, their) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(our, their, path=f"{path}[{n}]")
    elif isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape, path
        assert (ours == theirs).all(), path
    else:
        assert type(ours) is type(theirs) and ours == theirs, path


@pytest.mark.parametrize("case", WORLD_CASES)
@pytest.mark.parametrize("mode", MODES)
def test_behaves_as_sync_vector_env(case, mode):
    """Observations, rewards, flags and infos, through resets by hand, by mask and by the engine."""
    world = WORLD_CASES[case]()
    native = GridVectorEnv(world, NUM_ENVS, autoreset_mode=mode)
    sync = SyncVectorEnv([lambda: GridEnv(world)] * NUM_ENVS, autoreset_mode=mode)
    rng = np.random.default_rng(0)
    seeds = [int(seed) for seed in rng.integers(0, 2**63 - 1, NUM_ENVS)]
    assert_same(native.reset(seed=seeds), sync.reset(seed=seeds))
    ended = np.zeros(NUM_ENVS, bool)
    seen = {"terminated": 0, "truncated": 0}
    for t in range(60):
        mask = ended if mode == AutoresetMode.DISABLED else rng.random(NUM_ENVS) < 0.05
        if mask.any():
            results = [env.reset(options={"reset_mask": mask.copy()}) for env in (native, sync)]
            assert_same(*results)
        if t == 30:
            assert_same(native.reset(), sync.reset())
        if t == 45:
            seeds = [11, None, 12, None, 13, 14]
            assert_same(native.reset(seed=seeds), sync.reset(seed=seeds))
        actions = rng.integers(0, native.single_action_space.n, NUM_ENVS)
        ours, theirs = native.step(actions), sync.step(actions)
        assert_same(ours, theirs)
        ended = ours[2] | ours[3]
        seen["terminated"] += ours[2].sum()
        seen["truncated"] += ours[3].sum()
    assert min(seen.values()) > 0 or case == "walkers"


def play(env, actions, *, seed):
    observations, infos = env.reset(seed=seed)
    record = [observations["planes"], observations["vector"], infos["level"]]
    for step_actions in actions:
        observations, reward, terminated, truncated, infos = env.step(step_actions)
        record += [observations["planes"], observations["vector"], reward, terminated, truncated, infos["components"]]
    return record


@pytest.mark.parametrize("case", ["drift", "walkers"])
def test_an_env_has_the_same_stream_in_a_batch_of_one_and_of_64(case):
    world = WORLD_CASES[case]()
    actions = np.random.default_rng(0).integers(0, 4, (40, 64))
    batch = play(GridVectorEnv(world, 64), actions, seed=5)
    for k in (0, 17, 63):
        alone = play(GridVectorEnv(world, 1, first_env=k), actions[:, [k]], seed=5)
        assert all((one[0] == many[k]).all() for one, many in zip(alone, batch, strict=True))


def test_an_untouched_env_does_not_see_what_others_do():
    world = WORLD_CASES["drift"]()
    actions = np.random.default_rng(0).integers(0, 4, (40, 8))
    changed = actions.copy()
    changed[:, 1:] = (changed[:, 1:] + 1) % 4
    first, second = (play(GridVectorEnv(world, 8), chosen, seed=5) for chosen in (actions, changed))
    assert all((one[0] == two[0]).all() for one, two in zip(first, second, strict=True))
    assert any((one[1] != two[1]).any() for one, two in zip(first, second, strict=True))


def test_neighbouring_run_seeds_share_no_stream():
    """Keys of 64 envs × 20 episodes under seeds s and s + 1, and the states that they lead to."""
    keys = [{int(episode_key(s, env, e)) for env in range(64) for e in range(20)} for s in (0, 1)]
    assert not keys[0] & keys[1]
    world = make_world("MultiNeed", num_levels=2**31)
    envs = [GridVectorEnv(world, 64) for _ in range(2)]
    levels = [{int(level) for level in env.reset(seed=s)[1]["level"]} for s, env in enumerate(envs)]
    assert len(levels[0] | levels[1]) == 128


def test_a_list_of_seeds_is_the_same_stream_at_any_place_and_backend():
    world = WORLD_CASES["drift"]()
    actions = np.random.default_rng(0).integers(0, 4, (30, 3))
    native = play(GridVectorEnv(world, 3, first_env=7), actions, seed=[21, 22, 23])
    sync = play(SyncVectorEnv([lambda: GridEnv(world)] * 3), actions, seed=[21, 22, 23])
    single = play(SyncVectorEnv([lambda k=k: GridEnv(world, first_env=k) for k in range(3)]), actions, seed=[5] * 3)
    assert all((a == b).all() for a, b in zip(single, play(GridVectorEnv(world, 3), actions, seed=5), strict=True))
    moved = play(GridVectorEnv(world, 2), actions[:, [2, 0]], seed=[23, 21])
    assert all((a == b).all() for a, b in zip(native, sync, strict=True))
    assert all((a[[2, 0]] == b).all() for a, b in zip(native, moved, strict=True))


def test_global_numpy_seed_has_no_effect_and_is_left_alone():
    world = WORLD_CASES["walkers"]()
    actions = np.random.default_rng(0).integers(0, 4, (20, 4))
    records = []
    for global_seed in (0, 1):
        np.random.seed(global_seed)  # noqa: NPY002
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        records.append(play(GridVectorEnv(world, 4), actions, seed=3))
        GridVectorEnv(world, 4).reset()
        assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert all((a == b).all() for a, b in zip(*records, strict=True))


def test_without_a_seed_runs_differ():
    world = make_world("MultiNeed", num_levels=2**31)
    levels = [GridVectorEnv(world, 4).reset()[1]["level"] for _ in range(2)]
    assert (levels[0] != levels[1]).all()


@given(st.sampled_from(list(WORLD_CASES)), st.sampled_from(MODES[:2]), st.integers(0, 25), st.integers(0, 2**63 - 1))
@settings(max_examples=25, deadline=None)
def test_state_can_be_taken_and_put_back(case, mode, num_steps, seed):
    """set_state(get_state()) changes nothing, and a fresh env goes on bit-equal."""
    world = WORLD_CASES[case]()
    actions = np.random.default_rng(seed % 1000).integers(0, 4, (num_steps + 15, 5))
    env, fresh = (GridVectorEnv(world, 5, autoreset_mode=mode) for _ in range(2))
    play(env, actions[:num_steps], seed=seed)
    state = env.get_state()
    fresh.set_state(state)
    for field in dataclasses.fields(EnvState):
        assert (getattr(fresh.get_state(), field.name) == getattr(state, field.name)).all()
    for step_actions in actions[num_steps:]:
        assert_same(fresh.step(step_actions), env.step(step_actions))
    assert_same(fresh.reset(), env.reset())


def changed(state, name, *, env, value):
    """A copy of a state with one entry of one array replaced."""
    copied = state.copy()
    getattr(copied, name)[env] = value
    return copied


CURE = "; give a state that get_state returned in an env of the same options and levels"


def assert_refused(env, state, *, match):
    """One line with the cure, and nothing has changed."""
    before = env.get_state()
    with pytest.raises(UserError, match=match) as caught:
        env.set_state(state)
    assert "\n" not in str(caught.value) and CURE in str(caught.value)
    assert all((getattr(env.get_state(), part) == getattr(before, part)).all() for part in vars(before))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (vars, "is a dict, allowed is an EnvState"),
        (lambda state: EnvState.empty(3, 7), r"rows is int16 of shape \(3, 7\), allowed is int16 of shape \(4, 7\)"),
        (lambda state: EnvState.empty(4, 6), r"rows is int16 of shape \(4, 6\)"),
        (lambda state: dataclasses.replace(state, clock=np.zeros(4)), r"clock is float64 of shape"),
        (lambda state: dataclasses.replace(state, level=[0, 1]), r"level is int64 of shape \(2,\), allowed"),
    ],
)
def test_states_of_another_form_are_refused(change, match):
    env = GridVectorEnv(short_world(num_objects=4), 4)
    env.reset(seed=0)
    assert_refused(env, change(env.get_state()), match=match)


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("seed", -4, "seed of env 1 is -4, allowed is 0 to 9223372036854775807"),
        ("env", 2**32, "env of env 1 is 4294967296, allowed is 0 to 4294967295"),
        ("episode", -1, "episode of env 1 is -1, allowed is 0 to"),
        ("level", 20, "level of env 1 is 20, allowed is 0 to 19"),
        ("level", 2**32, "level of env 1 is 4294967296, allowed is 0 to 19"),
        ("clock", 6, "clock of env 1 is 6, allowed is 0 to 5"),
        ("clock", 5, "pending of env 1 is False, allowed is True at the limit 5"),
        ("pending", True, "pending of env 1 is True, allowed is False at clock 0"),
        ("rows", [65, 66, 67, 129, 130, 4, 0], "rows of env 1 is no row of level [0-9]+, from whose first"),
    ],
)
def test_impossible_states_are_refused_with_the_env_and_the_value(name, value, match):
    env = GridVectorEnv(short_world(num_objects=4), 4)
    env.reset(seed=0)
    assert_refused(env, changed(env.get_state(), name, env=1, value=value), match=match)



def test_an_ended_episode_cannot_wait_in_same_step_mode():
    """There it would be stepped on without a reset."""
    world = short_world()
    waiting, never = GridVectorEnv(world, 2), GridVectorEnv(world, 2, autoreset_mode=AutoresetMode.SAME_STEP)
    waiting.reset(seed=0)
    while not waiting.get_state().pending.any():
        waiting.step([0, 0])
    GridVectorEnv(world, 2, autoreset_mode=AutoresetMode.DISABLED).set_state(waiting.get_state())
    never.reset(seed=0)
    assert_refused(never, waiting.get_state(), match="is True, allowed is False in SAME_STEP")


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copied_env_goes_on_alone_and_alike(duplicate):
    env = GridEnv(WORLD_CASES["drift"]())
    env.reset(seed=0)
    twin = duplicate(env)
    for t in range(30):
        ours, theirs = env.step(t % 4), twin.step(t % 4)
        assert_same(ours, theirs)
        if ours[2] or ours[3]:
            assert_same(env.reset(), twin.reset())
    env.step(0)
    assert (env.get_state().clock != twin.get_state().clock).all()


def test_get_state_is_a_copy():
    env = GridVectorEnv(short_world(), 2)
    env.reset(seed=0)
    state = env.get_state()
    state.rows[:] = -7
    assert (env.get_state().rows != -7).any()


def test_step_returns_copies_and_step_into_writes_in_place():
    world = short_world(num_objects=3)
    env, twin = GridVectorEnv(world, 4), GridVectorEnv(world, 4)
    env.reset(seed=0)
    twin.reset(seed=0)
    buffers = StepBuffers.empty(world, 4)
    time_slices = np.zeros((30, *buffers.planes.shape), np.uint8)
    kept = []
    for t in range(30):
        actions = np.full(4, t % 4)
        env.step_into(actions, dataclasses.replace(buffers, planes=time_slices[t]))
        observations, reward, terminated, truncated, infos = twin.step(actions)
        kept.append((observations, observations["planes"].copy()))
        assert (time_slices[t] == observations["planes"]).all()
        assert (buffers.reward == reward).all() and (buffers.terminated == terminated).all()
        assert (buffers.truncated == truncated).all() and (buffers.event == infos["event"]).all()
    assert all((observations["planes"] == copy).all() for observations, copy in kept)


def test_reward_components_events_and_performance_are_in_the_infos():
    world = WORLD_CASES["walkers"]()
    env = GridVectorEnv(world, 50)
    env.reset(seed=0)
    seen = set()
    for _ in range(30):
        _, reward, _, _, infos = env.step(np.full(50, 3))
        assert (reward == infos["components"] @ world.reward_weights).all()
        assert (infos["performance"] == infos["components"] @ world.performance_weights).all()
        assert (infos["context"] == -1).all()
        seen |= set(infos["event"].tolist())
    assert seen == {-1, 0, 1, 2}


def test_an_episode_that_terminates_at_the_limit_is_not_truncated():
    world = make_world("MultiNeed", size=2, num_objects=1, time_limit=1)
    env = GridVectorEnv(world, 200)
    env.reset(seed=0)
    _, reward, terminated, truncated, _ = env.step(np.zeros(200, int))
    assert (terminated ^ truncated).all() and terminated.any() and truncated.any()
    assert (reward == terminated).all()


def test_levels_come_from_the_split_uniformly():
    env = gymnasium.make_vec("ValueLab/MultiNeed-v0", 4000, split="test", num_levels=10)
    levels = env.reset(seed=0)[1]["level"] - 2**32
    counts = np.bincount(levels, minlength=10)
    assert counts.shape == (10,) and ((counts - 400) ** 2 / 400).sum() < 30


def test_first_reset_is_required_and_dead_episodes_are_refused():
    env = GridVectorEnv(short_world(), 2, autoreset_mode=AutoresetMode.DISABLED)
    for call in (lambda: env.step([0, 0]), env.get_state):
        with pytest.raises(ResetNeeded, match=r"call reset\(\) first"):
            call()
    with pytest.raises(ResetNeeded, match="must reset all"):
        env.reset(options={"reset_mask": np.array([True, False])})
    env.reset(seed=0)
    with pytest.raises(ResetNeeded, match="has ended"):
        for _ in range(6):
            env.step([0, 0])


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda env: env.step([0, 4]), UserError, "action of env 1 is 4, allowed is 0 to 3"),
        (lambda env: env.step([-1, 0]), UserError, "action of env 0 is -1"),
        (lambda env: env.step([0.0, 1.0]), UserError, "actions are float64"),
        (lambda env: env.step([0]), UserError, r"shape \(1,\)"),
        (lambda env: env.reset(seed=-1), UserError, "seed is -1"),
        (lambda env: env.reset(seed=[1]), UserError, "1 entries"),
        (lambda env: env.reset(seed=2**63), UserError, "seed is 9223372036854775808"),
        (lambda env: env.reset(options={"reset_mask": [True, True]}), TypeError, "dtype bool"),
        (lambda env: env.reset(options={"reset_mask": np.zeros(2, bool)}), ValueError, "at least one True"),
        (lambda env: env.step_into([0, 0], StepBuffers.empty(env.world, 3)), UserError, r"StepBuffers\.planes is"),
        (lambda env: GridVectorEnv(env.world, 0), UserError, "num_envs is 0"),
        (lambda env: GridVectorEnv(env.world, 1, render_mode="human"), UserError, "render_mode is 'human'"),
        (lambda env: GridVectorEnv(env.world, 1, autoreset_mode="Same"), UserError, "Did you mean 'SameStep'"),
        (lambda env: make_world("MultiNed"), UserError, "Did you mean 'MultiNeed'"),
        (lambda env: make_world("MultiNeed", sise=3), UserError, "Did you mean 'size'"),
        (lambda env: make_world("MultiNeed", size="big"), UserError, "size is 'big'"),
        (lambda env: make_world("MultiNeed", size=3.0), UserError, r"size is 3\.0"),
        (lambda env: make_world("MultiNeed", context="show"), UserError, "Did you mean 'shown'"),
        (lambda env: make_world("MultiNeed", size=2, num_objects=4), UserError, "num_objects is 4"),
        (lambda env: make_world("MultiNeed", wrong_cost=float("nan")), UserError, "wrong_cost is nan"),
        (lambda env: make_world("CrossedHistory", dose=0.6), UserError, r"dose is 0\.6"),
        (lambda env: make_world("CrossedHistory", pairing=(0, 0)), UserError, "permutation of"),
        (lambda env: make_world("CrossedHistory", pairing=(0, 1, 2)), UserError, "permutation of"),
        (lambda env: make_world("CrossedHistory", pairing=1), UserError, "pairing is 1, of type int, allowed"),
        (lambda env: make_world("CrossedHistory", pairing=np.arange(2)), UserError, "of type ndarray, allowed"),
        (lambda env: make_world("CrossedHistory", pairing=(True, False)), UserError, "permutation of"),
    ],
)
def test_refusals_are_one_line_with_the_value_seen(call, error, match):
    env = GridVectorEnv(short_world(), 2)
    env.reset(seed=0)
    before = env.get_state()
    with pytest.raises(error, match=match) as caught:
        call(env)
    assert "\n" not in str(caught.value)
    assert (env.get_state().rows == before.rows).all()


ALLOWED_WARNINGS = {
    "upper and lower bounds are not in [0, 255]": "planes are 0 or 1; a policy must not divide by 255",
    "Treating image space as channels-last": "said where P > H; the trainer takes planes, bounded by 1, for no image",
    "minimal resolution for an image is 36x36": "planes are a grid of cells; agents.networks brings its own encoders",
}


def checked_warnings(check):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check()
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("options", [{}, {"render_mode": "rgb_array"}, {"render_mode": "ansi"}])
@pytest.mark.parametrize("name", list(world_names()))
def test_gymnasium_checker_passes_without_a_warning(name, options):
    assert checked_warnings(lambda: check_env(gymnasium.make(world_id(name), **options).unwrapped)) == []


@pytest.mark.parametrize("name", list(world_names()))
def test_stable_baselines_checker_passes_without_an_unlisted_warning(name):
    from stable_baselines3.common import env_checker

    messages = checked_warnings(lambda: env_checker.check_env(gymnasium.make(world_id(name)).unwrapped))
    assert [message for message in messages if not any(known in message for known in ALLOWED_WARNINGS)] == []


@pytest.mark.parametrize("name", list(world_names()))
def test_ids_make_single_and_native_envs(name):
    def use():
        single = gymnasium.make(world_id(name), split="test", time_limit=9)
        observation, _ = single.reset(seed=0)
        assert observation in single.observation_space
        native = gymnasium.make_vec(world_id(name), 3, time_limit=9, autoreset_mode=AutoresetMode.SAME_STEP)
        assert isinstance(native, GridVectorEnv) and native.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
        assert native.reset(seed=0)[0] in native.observation_space
        sync = gymnasium.make_vec(world_id(name), 3, vectorization_mode="sync", time_limit=9)
        assert sync.reset(seed=0)[0] in sync.observation_space
        assert gymnasium.spec(world_id(name)).max_episode_steps is None

    assert checked_warnings(use) == []


def test_importing_envs_is_fast():
    import subprocess
    import sys

    script = (
        "import sys, time; t = time.process_time(); import envs; print(time.process_time() - t, 'torch' in sys.modules)"
    )
    runs = [subprocess.check_output([sys.executable, "-c", script], text=True).split() for _ in range(2)]
    assert min(float(seconds) for seconds, _ in runs) < 1.0
    assert {torch for _, torch in runs} == {"False"}
