"""Demonstrators: exact ones against V*, search against an independent search, and refusals."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator
from itertools import count
from typing import Any

import gymnasium
import minigrid  # noqa: F401  (registers the MiniGrid ids)
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils import EzPickle

from envs import demonstrations, recording
from envs.demonstrations import (
    Demonstrator,
    demonstrate,
    demonstrate_mixture,
    expert_policy,
    mixed,
    search_demonstrations,
    table_policy,
)
from envs.enumeration import enumerate_world, state_index
from envs.episodes import Episodes, episode_of_step, episode_returns
from envs.errors import UserError
from envs.foreign_state import copy_env, state_key
from envs.recording import play_policy, sample_actions
from envs.registry import make_world
from envs.states import Levels
from envs.tabular import policy_evaluation, start_value, value_iteration
from envs.vector import GridVectorEnv


def assert_same(first: Episodes, second: Episodes) -> None:
    for name in ("actions", "rewards", "rows", "offsets", "levels", "terminated", "final_rows", "contexts"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name


def test_the_expert_is_optimal_and_shows_every_optimal_action() -> None:
    world = make_world("MultiNeed", size=5)
    played = demonstrate(world, Levels(0, 4), num_episodes=500, seed=0)
    mdp = enumerate_world(world, Levels(0, 4))
    solution, firsts = value_iteration(mdp), state_index(mdp, played.rows[played.offsets[:-1]])
    np.testing.assert_allclose(episode_returns(played, discount=0.95), solution.values[firsts], rtol=1e-12)
    taken = np.zeros(solution.optimal_actions.shape)
    np.add.at(taken, (state_index(mdp, played.rows), played.actions), 1)
    assert not taken[~solution.optimal_actions].any()
    tied = (solution.optimal_actions.sum(axis=1) == 2) & (taken.sum(axis=1) >= 12)
    assert tied.any() and ((taken[tied] > 0).sum(axis=1) == 2).all()


def test_the_record_is_what_the_engine_shows() -> None:
    """Step the recorded actions through the engine: the same observations bit for bit, rewards and ends."""
    world = make_world("MultiNeed", size=4, drift=0.2, num_objects=2, wrong_cost=0.5, context="first", time_limit=6)
    played = demonstrate(world, Levels(0, 9), num_episodes=40, seed=5, noise=0.6)
    env = GridVectorEnv(world, 40, levels=Levels(0, 9))
    seen, _ = env.reset(seed=5)
    for t in range(6):
        alive = np.flatnonzero(np.diff(played.offsets) > t)
        steps = played.offsets[alive] + t
        actions = np.zeros(40, np.int64)
        actions[alive] = played.actions[steps]
        for name, array in seen.items():
            assert (array[alive] == played.observations[name][steps]).all()
        seen, reward, terminated, truncated, infos = env.step(actions)
        assert (reward[alive] == played.rewards[steps]).all()
        assert (infos["components"][alive] == played.components[steps]).all()
        assert (infos["event"][alive] == played.events[steps]).all()
        last = alive[np.diff(played.offsets)[alive] == t + 1]
        for name, array in seen.items():
            assert (array[last] == played.final_observations[name][last]).all()
        assert (terminated[last] == played.terminated[last]).all()
        assert (truncated[last] == played.truncated[last]).all()
    assert played.truncated.any() and played.terminated.any()
    assert (played.contexts == world.context_of(played.rows)).all()


def test_the_record_depends_on_its_seed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world("CrossedHistory")

    def play(num_episodes: int, seed: int) -> Episodes:
        return demonstrate(world, world.levels(), num_episodes=num_episodes, seed=seed, noise=0.2)

    once = play(50, 7)
    np.random.seed(0)  # noqa: NPY002
    assert_same(once, play(50, 7))
    monkeypatch.setattr(recording, "_BATCH_SIZE", 16)
    assert_same(once, play(50, 7))
    fewer, num_steps = play(20, 7), once.offsets[20]
    assert np.array_equal(fewer.actions, once.actions[:num_steps])
    assert not np.array_equal(play(50, 8).levels, once.levels)


def test_noise_is_the_share_that_it_says() -> None:
    world = make_world("CrossedHistory")
    mdp = enumerate_world(world, Levels(0, 50))
    noisy = mixed(expert_policy(mdp), 0.4)
    played = demonstrate(world, Levels(0, 50), num_episodes=4000, seed=1, noise=0.4)
    probability = noisy[state_index(mdp, played.rows)]
    expected = (probability * value_iteration(mdp).optimal_actions[state_index(mdp, played.rows)]).sum(axis=1)
    optimal = value_iteration(mdp).optimal_actions[state_index(mdp, played.rows), played.actions]
    assert optimal.mean() == pytest.approx(expected.mean(), abs=4 / (2 * optimal.size**0.5))
    returns = episode_returns(played, discount=0.95)
    value = start_value(mdp, policy_evaluation(mdp, noisy, horizon=64))
    assert returns.mean() == pytest.approx(value, abs=4 * returns.std() / 4000**0.5)


def test_several_demonstrators_play_their_shares_of_whole_episodes() -> None:
    world = make_world("CrossedHistory")
    kinds = (Demonstrator(1.0), Demonstrator(2.0, noise=0.5), Demonstrator(1.0, temperature=0.05))
    parts = demonstrate_mixture(world, Levels(0, 50), kinds, num_episodes=4002, seed=1)
    assert [part.num_episodes for part in parts] == [1000, 2002, 1000]
    mdp = enumerate_world(world, Levels(0, 50))
    optimal = value_iteration(mdp).optimal_actions
    assert optimal[state_index(mdp, parts[0].rows), parts[0].actions].all()
    for kind, part in zip(kinds, parts, strict=True):
        policy = mixed(expert_policy(mdp, temperature=kind.temperature), kind.noise)
        value = start_value(mdp, policy_evaluation(mdp, policy, horizon=64))
        returns = episode_returns(part, discount=0.95)
        assert returns.mean() == pytest.approx(value, abs=4 * returns.std() / part.num_episodes**0.5 + 1e-9)
    # Each has a stream of its own, and a single one is `demonstrate`.
    assert not np.array_equal(parts[0].levels, parts[2].levels)
    (alone,) = demonstrate_mixture(world, Levels(0, 50), [Demonstrator(3.0, noise=0.5)], num_episodes=30, seed=1)
    assert_same(alone, demonstrate(world, Levels(0, 50), num_episodes=30, seed=1, noise=0.5))


def test_demonstrators_who_cannot_play_are_refused() -> None:
    world = make_world("CrossedHistory")
    with pytest.raises(UserError, match="share 0.001 of 100 episodes is none"):
        demonstrate_mixture(
            world, world.levels(), [Demonstrator(0.999), Demonstrator(0.001)], num_episodes=100, seed=0
        )
    with pytest.raises(UserError, match="There are 0 demonstrators"):
        demonstrate_mixture(world, world.levels(), [], num_episodes=100, seed=0)
    with pytest.raises(UserError, match="share is 0"):
        Demonstrator(0.0)


def test_expert_policy_goes_from_ties_to_uniform() -> None:
    mdp = enumerate_world(make_world("CrossedHistory"), [0])
    expert, optimal = expert_policy(mdp), value_iteration(mdp).optimal_actions
    np.testing.assert_allclose(expert, optimal / optimal.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(expert_policy(mdp, temperature=1e-4), expert, atol=1e-12)
    np.testing.assert_allclose(expert_policy(mdp, temperature=1e6), 0.25, atol=1e-6)
    np.testing.assert_allclose(mixed(expert, 1.0), 0.25)
    soft, best = policy_evaluation(mdp, expert_policy(mdp, temperature=0.05)), value_iteration(mdp).values
    assert (soft <= best + 1e-9).all() and soft.mean() < 0.99 * best.mean()


def test_sampling_takes_no_action_of_probability_zero() -> None:
    probs = np.array([[0.0, 1 / 3, 2 / 3, 0.0]]).repeat(3, axis=0)
    assert sample_actions(probs, np.array([0.0, 1 / 3 + 1e-9, np.nextafter(1.0, 0.0)])).tolist() == [1, 2, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"noise": 1.2}, "noise is 1.2"), ({"num_episodes": 0}, "num_episodes is 0"), ({"seed": -1}, "seed is -1"),
     ({"temperature": -1.0}, "temperature is -1.0")],
)  # fmt: skip
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    world = make_world("CrossedHistory")
    with pytest.raises(UserError, match=message):
        demonstrate(world, world.levels(), **{"num_episodes": 2, "seed": 0, **options})


def test_a_row_outside_the_table_is_refused() -> None:
    world = make_world("CrossedHistory")
    mdp = enumerate_world(world, [0])
    with pytest.raises(UserError, match="not among"):
        play_policy(
            world, lambda _: table_policy(mdp, expert_policy(mdp)), Levels(5, 1), num_episodes=1, seed=0
        )  # fmt: skip


def independent_distance(env_id: str, seed: int) -> int:
    """Least number of steps to the goal of a MiniGrid level, by deep copies and MiniGrid's own encoding of states."""
    env = gymnasium.make(env_id).unwrapped
    env.reset(seed=seed)

    def code(state: Any) -> tuple[Any, ...]:
        carried = state.carrying and state.carrying.type
        return state.grid.encode().tobytes(), tuple(map(int, state.agent_pos)), int(state.agent_dir), carried

    queue, seen = deque([(env, 0)]), {code(env)}
    while queue:
        state, distance = queue.popleft()
        for action in (0, 1, 2, 3, 5):
            trial = copy.deepcopy(state)
            reward = trial.step(action)[1]
            if reward > 0:
                return distance + 1
            if code(trial) not in seen:
                seen.add(code(trial))
                queue.append((trial, distance + 1))
    raise AssertionError("no goal")


def test_search_in_an_empty_room() -> None:
    played = search_demonstrations("MiniGrid-Empty-8x8-v0", num_episodes=30, seed=0)
    # Five steps east, one turn, five steps south.
    assert (np.diff(played.offsets) == 11).all() and played.terminated.all()
    np.testing.assert_allclose(episode_returns(played), 1 - 0.9 * 11 / 256)
    assert played.observations["image"].shape == (330, 7, 7, 3) and played.observations["image"].dtype == np.uint8
    assert played.observations.keys() == {"image", "direction"}


def test_search_behind_a_door_equals_an_independent_search() -> None:
    played = search_demonstrations("MiniGrid-DoorKey-5x5-v0", num_episodes=60, seed=2)
    lengths = np.diff(played.offsets)
    for episode in (0, 1):
        assert lengths[episode] == independent_distance("MiniGrid-DoorKey-5x5-v0", int(played.levels[episode]))
    np.testing.assert_allclose(episode_returns(played), 1 - 0.9 * lengths / 250)
    assert np.unique(lengths).size > 3


def test_search_depends_on_its_seed_alone() -> None:
    first, second = (search_demonstrations("MiniGrid-Empty-Random-5x5-v0", num_episodes=40, seed=3) for _ in range(2))
    assert np.array_equal(first.actions, second.actions)
    assert np.array_equal(first.observations["image"], second.observations["image"])
    other = search_demonstrations("MiniGrid-Empty-Random-5x5-v0", num_episodes=40, seed=4)
    assert not np.array_equal(first.levels, other.levels)


class Line(EzPickle, gymnasium.Env):
    """Walk right along a line of cells to the goal at its end; options plant one difficulty each."""

    def __init__(self, length: int = 4, fault: str = "", render_mode: str | None = None) -> None:
        EzPickle.__init__(self, length, fault)
        self.length, self.fault, self.steps = length, fault, 0
        self.observation_space = spaces.Dict({"cell": spaces.Discrete(100), "note": spaces.Text(5)})
        self.action_space = spaces.Box(-1, 1) if fault == "continuous" else spaces.Discrete(2, start=3)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.state, self.steps, self.depth = [0, np.eye(1, self.length + 1)[0]], 0, 0
        if self.fault == "opaque":
            self.state.append(count())
        return self._seen(), {}

    def _seen(self) -> dict[str, Any]:
        return {"cell": self.depth if self.fault == "falling" else self.state[0], "note": "hello"}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        self.depth += 1
        slips = self.fault == "random" and self.np_random.random() < 0.3
        tired = self.fault == "tired" and self.steps > 14
        if not slips and not tired:
            self.state[0] = max(0, self.state[0] + (1 if action == 4 or self.fault in ("tie", "bargain") else -1))
            self.state[1][:] = np.arange(self.length + 1) == self.state[0]
        at_goal = self.depth == self.length if self.fault == "falling" else self.state[0] == self.length
        paid = at_goal and self.fault != "unpaid" and (self.fault != "falling" or self.state[0] == 2)
        reward = 10.0 - self.steps if paid else 0.5 * (self.fault == "bargain" and action == 3)
        return self._seen(), reward, at_goal, False, {}


@pytest.fixture(scope="module", autouse=True)
def registered_line() -> Iterator[None]:
    gymnasium.register("Test/Line-v0", entry_point=Line)
    gymnasium.register("Test/ShortLine-v0", entry_point=Line, max_episode_steps=5)
    yield
    del gymnasium.registry["Test/Line-v0"], gymnasium.registry["Test/ShortLine-v0"]


def test_copies_keep_the_state_where_copy_hooks_lose_it() -> None:
    env = gymnasium.make("Test/Line-v0", disable_env_checker=True)
    env.reset(seed=0)
    env.step(4)
    key, copied = state_key(env), copy_env(env)
    assert not hasattr(copy.deepcopy(env.unwrapped), "state")
    assert state_key(copied) == key
    copied.step(4)
    assert (copied.unwrapped.state[0], env.unwrapped.state[0], state_key(env)) == (2, 1, key)
    assert (copied.unwrapped.state[1].argmax(), env.unwrapped.state[1].argmax()) == (2, 1)
    assert state_key(copied) != key


def test_search_in_a_registered_environment_of_any_kind() -> None:
    played = search_demonstrations("Test/Line-v0", num_episodes=3, seed=0, options={"length": 4})
    assert played.actions.tolist() == [4] * 12
    assert played.rewards.tolist() == [0.0, 0.0, 0.0, 6.0] * 3
    assert played.observations.keys() == {"cell"}
    assert played.observations["cell"].tolist() == [0, 1, 2, 3] * 3
    assert played.final_observations["cell"].tolist() == [4, 4, 4]
    assert played.options == {"length": 4}
    frozen = search_demonstrations("FrozenLake-v1", num_episodes=2, seed=0, options={"is_slippery": False})
    assert np.diff(frozen.offsets).tolist() == [6, 6] and frozen.observations.keys() == {"observation"}


def test_plans_in_taxi_are_as_short_as_its_own_table_allows() -> None:
    """Taxi's table is no part of its state; here it gives the distances, by sweeps back from the paid end."""
    played = search_demonstrations("Taxi-v4", num_episodes=2, seed=0)
    table = gymnasium.make("Taxi-v4").unwrapped.P
    distance = dict.fromkeys(table, np.inf)
    for _ in range(40):
        for state, moves in table.items():
            ways = [0.0 if ended and reward > 0 else distance[after] for ((_, after, reward, ended),) in moves.values()]
            distance[state] = 1 + min(ways)
    starts = played.observations["observation"][played.offsets[:-1]]
    assert np.diff(played.offsets).tolist() == [distance[int(start)] for start in starts]


def test_search_varies_its_choice_among_the_best() -> None:
    played = search_demonstrations("Test/Line-v0", num_episodes=40, seed=0, options={"fault": "tie"})
    assert 40 < (played.actions == 3).sum() < 120
    # Of two ways of equal length one pays more, but not at the last step.
    played = search_demonstrations("Test/Line-v0", num_episodes=10, seed=0, options={"fault": "bargain"})
    actions = played.actions.reshape(10, 4)
    assert (actions[:, :3] == 3).all() and set(actions[:, 3]) == {3, 4}


def test_what_shows_is_no_clock() -> None:
    """A depth that grows at every step but shows decides the end; held still, it would never come."""
    played = search_demonstrations("Test/Line-v0", num_episodes=2, seed=0, options={"fault": "falling"})
    assert np.diff(played.offsets).tolist() == [4, 4] and (played.rewards[played.offsets[1:] - 1] == 6).all()


@pytest.mark.parametrize(
    ("env_id", "options", "message"),
    [
        ("Test/Line-v0", {"fault": "random"}, "does not repeat itself"),
        ("FrozenLake-v1", {}, "does not repeat itself"),
        ("MiniGrid-Dynamic-Obstacles-5x5-v0", {}, "does not repeat itself"),
        ("Test/Line-v0", {"fault": "opaque"}, r"Attribute 'state' holds a itertools.count, whose state cannot be read"),
        ("Test/Line-v0", {"fault": "unpaid"}, "None of the 4 states"),
        ("Test/Line-v0", {"fault": "continuous"}, "plans need Discrete actions"),
        ("Test/Line-v0", {"fault": "tired", "length": 18}, "led to another state than planned"),
        ("Test/Line-v0", {"length": 60}, "No plan within 50 states"),
        ("Test/ShortLine-v0", {"length": 9}, "time limit cuts the shortest plan after 5 steps"),
        ("Test/Lime-v0", {}, "import the package that registers it"),
        ("Test/Line-v0", {"width": 3}, "unexpected keyword argument 'width'"),
    ],
)
def test_refusals(env_id: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        search_demonstrations(env_id, num_episodes=2, seed=0, max_nodes=50, options=options)


def test_episode_of_step_matches_the_record() -> None:
    world = make_world("CrossedHistory")
    played = demonstrate(world, world.levels(), num_episodes=6, seed=0)
    assert np.array_equal(np.bincount(episode_of_step(played)), np.diff(played.offsets))


def test_levels_that_are_solved_in_blocks_are_played_as_those_solved_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where levels of different blocks share states."""
    for name, shares in (("MultiNeed", False), ("CrossedHistory", True)):
        world = make_world(name, num_levels=30)
        rows = [enumerate_world(world, [level]).rows for level in range(30)]
        assert (len(np.unique(np.concatenate(rows), axis=0)) < sum(map(len, rows))) == shares
        played = []
        for block in (1, 7, 1000):
            monkeypatch.setattr(demonstrations, "_LEVELS_AT_ONCE", block)
            played.append(demonstrate(world, world.levels("train"), num_episodes=200, seed=0))
        for other in played[1:]:
            assert other.actions.tobytes() == played[0].actions.tobytes()
            assert other.rows.tobytes() == played[0].rows.tobytes()
