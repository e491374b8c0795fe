"""Many steps in one call, halves of a batch in threads, and the short way of a single env: all equal plain stepping."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import walkers_world
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from test_vector import WORLD_CASES, assert_same

from envs import GridEnv, GridVectorEnv, StepBuffers, UserError
from envs.rows import EnvState

NUM_ENVS = 5
FIELDS = [field.name for field in dataclasses.fields(StepBuffers)]


def started(world, num_envs=NUM_ENVS, *, first_env=0, mode=AutoresetMode.NEXT_STEP):
    env = GridVectorEnv(world, num_envs, first_env=first_env, autoreset_mode=mode)
    env.reset(seed=7)
    return env


def assert_same_state(ours, theirs):
    for field in dataclasses.fields(EnvState):
        assert (getattr(ours.get_state(), field.name) == getattr(theirs.get_state(), field.name)).all(), field.name


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("case", WORLD_CASES)
def test_steps_into_is_step_into_again_and_again(case, mode):
    """Every array of every step, bit by bit, in rollouts of several lengths that go on from one another."""
    world, rng = WORLD_CASES[case](), np.random.default_rng(0)
    many, one = (started(world, mode=mode) for _ in range(2))
    single, ends = StepBuffers.empty(world, NUM_ENVS), 0
    for num_steps in (1, 16, 3, 20):
        actions = rng.integers(0, 4, (num_steps, NUM_ENVS))
        rollout = StepBuffers.empty(world, NUM_ENVS, num_steps=num_steps)
        many.steps_into(actions, rollout)
        for t in range(num_steps):
            one.step_into(actions[t], single)
            ended = single.terminated | single.truncated
            ends += ended.sum()
            for name in FIELDS:
                # What is final is written for the envs that ended, and is left over from earlier steps elsewhere.
                shown = ended if name.startswith("final") else slice(None)
                assert (getattr(rollout, name)[t][shown] == getattr(single, name)[shown]).all(), name
        assert_same_state(many, one)
    assert ends > 0


@pytest.mark.parametrize("case", WORLD_CASES)
def test_threads_with_halves_of_the_envs_are_one_batch(case):
    """The pattern of envs/README.md: streams depend on an env's index and not on who steps it."""
    world, rng = WORLD_CASES[case](), np.random.default_rng(1)
    whole, halves = started(world, 8), [started(world, 4, first_env=first) for first in (0, 4)]
    buffers = [StepBuffers.empty(world, 4, num_steps=16) for _ in halves]
    together = StepBuffers.empty(world, 8, num_steps=16)
    with ThreadPoolExecutor(2) as pool:
        for _ in range(4):
            actions = rng.integers(0, 4, (16, 8))
            list(pool.map(GridVectorEnv.steps_into, halves, (actions[:, :4], actions[:, 4:]), buffers))
            whole.steps_into(actions, together)
            for name in FIELDS:
                parts = [getattr(part, name) for part in buffers]
                assert (np.concatenate(parts, axis=1) == getattr(together, name)).all(), name


def test_the_block_of_the_page_runs_as_it_says(capsys):
    page = (Path(__file__).parent.parent / "envs" / "README.md").read_text()
    (block,) = re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    exec(compile(block, "envs/README.md", "exec"), {})
    assert capsys.readouterr().out.strip() == block.rstrip().rpartition("# ")[2]


def test_the_interpreter_is_free_during_a_call():
    """Another thread goes on until the last step is written; if the kernel held the lock, it would see it written."""
    env, num_steps, entered, ticks = started(WORLD_CASES["walkers"](), 1), 400_000, threading.Event(), 0
    actions, buffers = np.zeros((num_steps, 1), int), StepBuffers.empty(env.world, 1, num_steps=num_steps)

    def work():
        entered.set()
        env.steps_into(actions, buffers)

    env.steps_into(actions, buffers)
    buffers.event[-1] = -7
    thread = threading.Thread(target=work)
    thread.start()
    entered.wait()
    while buffers.event[-1, 0] == -7:
        ticks += 1
    thread.join()
    assert ticks > 100


@pytest.mark.parametrize("kind", [int, np.int64, np.int32, np.uint8, np.array])
@pytest.mark.parametrize("case", WORLD_CASES)
def test_a_single_env_is_a_batch_of_one(case, kind):
    """Whatever type an action has, and through resets."""
    world, rng = WORLD_CASES[case](), np.random.default_rng(2)
    single, batch = GridEnv(world, first_env=3), GridVectorEnv(world, 1, first_env=3, autoreset_mode="Disabled")
    single.reset(seed=7)
    batch.reset(seed=7)
    for _ in range(40):
        action = int(rng.integers(0, 4))
        observation, *outcome, info = single.step(kind(action))
        observations, *outcomes, infos = batch.step([action])
        assert_same(observation, {name: array[0] for name, array in observations.items()})
        assert outcome == [array[0].item() for array in outcomes]
        assert [type(value) for value in outcome] == [float, bool, bool]
        for name, value in info.items():
            assert (infos[name][0] == value).all()
        if outcome[1] or outcome[2]:
            assert_same(single.reset()[0], {name: array[0] for name, array in batch.reset()[0].items()})


@pytest.mark.parametrize(
    ("action", "match"),
    [
        (4, "action of env 0 is 4, allowed is 0 to 3"),
        (-1, "action of env 0 is -1"),
        (np.int64(9), "action of env 0 is 9"),
        (1.0, "actions are float64"),
        (np.float32(1.0), "actions are float32"),
        (True, "actions are bool"),
        (np.True_, "actions are bool"),
        (2**70, "actions are object"),
        ("up", "actions are <U2"),
        (None, "actions are object"),
        ([1], r"shape \(1, 1\)"),
    ],
)
def test_a_single_env_refuses_what_the_batch_refuses(action, match):
    env = GridEnv(WORLD_CASES["need"]())
    env.reset(seed=0)
    before = env.get_state()
    with pytest.raises(UserError, match=match):
        env.step(action)
    assert (env.get_state().rows == before.rows).all() and env.get_state().clock == before.clock


def test_a_single_env_is_not_stepped_before_its_reset_or_after_its_end():
    env = GridEnv(WORLD_CASES["need"]())
    with pytest.raises(ResetNeeded, match=r"call reset\(\) first"):
        env.step(0)
    env.reset(seed=0)
    with pytest.raises(ResetNeeded, match="has ended"):
        for _ in range(6):
            env.step(0)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda env, ok: env.steps_into(np.zeros((4, NUM_ENVS), int), ok), "StepBuffers.planes is"),
        (lambda env, ok: env.steps_into(np.zeros(NUM_ENVS, int), ok), r"allowed are integers of shape \(5, 5\)"),
        (lambda env, ok: env.steps_into(np.zeros((0, NUM_ENVS), int), ok), r"allowed are integers of shape \(1, 5\)"),
        (lambda env, ok: env.steps_into(0, ok), r"actions are int64 of shape \(\)"),
        (lambda env, ok: env.steps_into(np.zeros((3, 2), int), ok), r"allowed are integers of shape \(3, 5\)"),
        (lambda env, ok: env.steps_into(np.zeros((3, NUM_ENVS)), ok), "actions are float64"),
        (lambda env, ok: env.steps_into(np.zeros((3, NUM_ENVS), int), env.buffers), r"num_steps=T\)"),
        (lambda env, ok: env.step_into(np.zeros(NUM_ENVS, int), ok), "StepBuffers.planes is"),
        (
            lambda env, ok: env.steps_into(
                np.zeros((3, NUM_ENVS), int), dataclasses.replace(ok, reward=ok.reward.astype(np.float32))
            ),
            "StepBuffers.reward is float32",
        ),
        (
            lambda env, ok: env.steps_into(np.zeros((3, NUM_ENVS), int), dataclasses.replace(ok, event=ok.event[:2])),
            "StepBuffers.event is",
        ),
        (
            lambda env, ok: env.steps_into(
                np.zeros((3, NUM_ENVS), int), dataclasses.replace(ok, level=np.zeros((NUM_ENVS, 3), np.int64).T)
            ),
            "C-ordered",
        ),
    ],
)
def test_refused_rollouts_move_nobody(call, match):
    env = started(WORLD_CASES["need"]())
    before = env.get_state()
    with pytest.raises(UserError, match=match) as caught:
        call(env, StepBuffers.empty(env.world, NUM_ENVS, num_steps=3))
    assert "\n" not in str(caught.value)
    assert (env.get_state().rows == before.rows).all() and (env.get_state().clock == before.clock).all()


def test_a_bad_action_in_a_rollout_is_named_and_moves_nobody():
    env = started(WORLD_CASES["need"]())
    actions, before = np.zeros((3, NUM_ENVS), int), env.get_state()
    actions[2, 4] = 7
    with pytest.raises(UserError, match="action of env 4 at step 2 is 7"):
        env.steps_into(actions, StepBuffers.empty(env.world, NUM_ENVS, num_steps=3))
    assert (env.get_state().clock == before.clock).all()


def test_rollouts_need_resets_by_the_engine():
    world = WORLD_CASES["need"]()
    buffers = StepBuffers.empty(world, NUM_ENVS, num_steps=3)
    with pytest.raises(UserError, match="autoreset_mode is 'Disabled'"):
        started(world, mode=AutoresetMode.DISABLED).steps_into(np.zeros((3, NUM_ENVS), int), buffers)
    with pytest.raises(ResetNeeded, match=r"call reset\(\) first"):
        GridVectorEnv(world, NUM_ENVS).steps_into(np.zeros((3, NUM_ENVS), int), buffers)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_copied_buffers_are_written_like_their_original(duplicate):
    """The kernels' views of the arrays are made anew: a copy of a view would be written instead of the array."""
    env = started(WORLD_CASES["need"]())
    buffers = StepBuffers.empty(env.world, NUM_ENVS)
    env.step_into(np.zeros(NUM_ENVS, int), buffers)
    twin_env, twin = duplicate((env, buffers))
    env.step_into(np.ones(NUM_ENVS, int), buffers)
    twin_env.step_into(np.ones(NUM_ENVS, int), twin)
    for name in FIELDS:
        assert (getattr(twin, name) == getattr(buffers, name)).all()
    assert twin.planes is not buffers.planes


def test_a_world_that_allocates_is_refused(monkeypatch):
    from numba import njit
    from numba.core.errors import NumbaError

    from envs.compilation import compile_kernels

    @njit
    def observe(config, row, planes, vector):
        planes[0, 0, : row.size] = np.zeros(row.size)

    monkeypatch.setattr(walkers_world, "observe", observe)
    kernels = compile_kernels.__wrapped__("walkers_world")
    world = WORLD_CASES["walkers"]()
    rows = world.begin([0], [0])
    with pytest.raises(NumbaError, match="NRT required but not enabled|Only accept returning of array"):
        kernels.observe_rows(
            world.kernel_config, world.background.reshape(-1), rows, np.zeros((1, 4, 1, 11), np.uint8),
            np.zeros((1, 1), np.float32),
        )  # fmt: skip
