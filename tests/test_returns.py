"""λ-returns, n-step returns, advantages and event shares against slow references, a library and hand-worked answers."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.buffers import RolloutBuffer

from agents.returns import (
    advantages,
    continuation,
    discounts,
    event_shares,
    lambda_returns,
    n_step_returns,
    returns_to_go,
)
from envs import make_world
from envs.demonstrations import demonstrate
from envs.episodes import episode_returns


def random_chain(seed: int, *, num_rows: int = 23, num_columns: int = 3) -> dict[str, np.ndarray]:
    """Random transitions in which the next value within an episode is the value of the next row."""
    rng = np.random.default_rng(seed)
    shape = (num_rows, num_columns)
    ends = rng.random(shape)
    terminated, truncated = ends < 0.15, (ends >= 0.15) & (ends < 0.3)
    value = rng.normal(size=(num_rows + 1, num_columns))
    follows = continuation(terminated, truncated)
    next_value = np.where(follows > 0, value[1:], rng.normal(size=shape))
    return {"reward": rng.normal(size=shape), "value": value[:-1], "next_value": next_value,
            "terminated": terminated, "truncated": truncated, "follows": follows}


def reference_lambda_return(chain: dict[str, np.ndarray], gamma: float, lam: float) -> np.ndarray:
    """O(n²): (1 − λ) Σ_n λⁿ⁻¹ Gⁿ + λᴺ⁻¹ Gᴺ, each Gⁿ summed from its own rewards; N rows are left in the episode."""
    num_rows, num_columns = chain["reward"].shape
    result = np.zeros((num_rows, num_columns))
    for k in range(num_columns):
        for t in range(num_rows):
            last = t
            while chain["follows"][last, k] > 0:
                last += 1
            total, discount, parts = 0.0, 1.0, []
            for i in range(t, last + 1):
                total += discount * chain["reward"][i, k]
                discount *= 0.0 if chain["terminated"][i, k] else gamma
                parts.append(total + discount * chain["next_value"][i, k])
            weights = [(1 - lam) * lam**i for i in range(len(parts))]
            weights[-1] = lam ** (len(parts) - 1)
            result[t, k] = np.dot(weights, parts)
    return result


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), gamma=st.sampled_from([0.0, 0.5, 0.9, 1.0]), lam=st.floats(0.0, 1.0))
def test_lambda_returns_equal_the_quadratic_reference(seed: int, gamma: float, lam: float) -> None:
    chain = random_chain(seed)
    fast = lambda_returns(
        chain["reward"], chain["next_value"], discount_t=discounts(chain["terminated"], gamma),
        continuation_t=chain["follows"], trace=lam,
    )
    np.testing.assert_allclose(fast, reference_lambda_return(chain, gamma, lam), atol=1e-6, rtol=0)


def test_long_n_step_returns_are_the_lambda_return_at_one() -> None:
    chain = random_chain(1)
    shared = {"discount_t": discounts(chain["terminated"], 0.9), "continuation_t": chain["follows"]}
    rows = chain["reward"], chain["next_value"]
    for num_steps, trace in ((len(rows[0]), 1.0), (1, 0.0)):
        steps = n_step_returns(*rows, num_steps=num_steps, **shared)
        np.testing.assert_allclose(steps, lambda_returns(*rows, trace=trace, **shared), atol=1e-12)
    with pytest.raises(ValueError, match="at least 1"):
        n_step_returns(*rows, num_steps=0, **shared)


@pytest.mark.parametrize("lam", [0.0, 0.7, 0.95, 1.0])
def test_advantages_equal_stable_baselines3(lam: float) -> None:
    gamma, chain = 0.97, random_chain(2, num_rows=40, num_columns=4)
    # SB3 folds the bootstrap of a time limit into the reward and treats it as an end.
    chain["truncated"] &= ~chain["terminated"]
    reward = chain["reward"] + gamma * chain["next_value"] * chain["truncated"]
    ends = chain["terminated"] | chain["truncated"]
    spaces = gym.spaces.Box(0, 1, (1,)), gym.spaces.Discrete(2)
    buffer = RolloutBuffer(40, *spaces, gamma=gamma, gae_lambda=lam, n_envs=4)
    starts = np.vstack([np.zeros((1, 4)), ends[:-1]])
    for t in range(40):
        value = torch.as_tensor(chain["value"][t])
        buffer.add(np.zeros((4, 1)), np.zeros((4, 1)), reward[t], starts[t], value, torch.zeros(4))
    last_value = torch.as_tensor(chain["next_value"][-1])
    buffer.compute_returns_and_advantage(last_values=last_value, dones=ends[-1].astype(np.float64))
    ours = advantages(
        chain["reward"], chain["value"], chain["next_value"], discount_t=discounts(chain["terminated"], gamma),
        continuation_t=chain["follows"], trace=lam,
    )
    np.testing.assert_allclose(ours, buffer.advantages, atol=2e-5)


def test_episodes_end_to_end_in_one_chain_do_not_touch() -> None:
    reward = np.array([0.0, 1.0, 0.0, 0.0, 5.0])
    terminated = np.array([False, True, False, False, False])
    truncated = np.array([False, False, False, True, False])
    follows = continuation(terminated, truncated)
    assert follows.tolist() == [1, 0, 1, 0, 0]
    returns = lambda_returns(
        reward, np.full(5, 8.0), discount_t=discounts(terminated, 0.5), continuation_t=follows, trace=1.0
    )
    assert returns.tolist() == [0.5, 1.0, 2.0, 4.0, 9.0]


def test_the_value_after_a_termination_is_never_read() -> None:
    returns = lambda_returns(
        np.array([1.0]), np.array([np.nan]), discount_t=np.array([0.0]), continuation_t=np.array([0.0]), trace=0.9
    )
    assert returns.tolist() == [1.0]


def test_event_shares_by_hand() -> None:
    # Two episodes: events 0 then 1 (rewards 1 and −3), then one without any event.
    follows = np.array([1.0, 1.0, 0.0, 1.0, 0.0])
    reward, event = np.array([0.0, 1.0, -3.0, 0.0, 0.0]), np.array([-1, 0, 1, -1, -1])
    shares = event_shares(reward, event, continuation_t=follows, num_events=2, decay=0.5)
    np.testing.assert_allclose(shares, [[0.4, 0.6], [0.4, 0.6], [0.0, 1.0], [0.5, 0.5], [0.5, 0.5]])


def test_a_withheld_label_blanks_the_steps_before_it_and_no_others() -> None:
    follows, reward = np.array([1.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0, 2.0, 1.0])
    event, withheld = np.array([0, 1, 1, 0]), np.array([False, True, False, False])
    shares = event_shares(reward, event, continuation_t=follows, num_events=2, decay=0.9, withheld_t=withheld)
    assert np.isnan(shares[:2]).all()
    np.testing.assert_allclose(shares[2:], [[0, 1], [1, 0]])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), decay=st.floats(0.0, 1.0), num_events=st.integers(1, 5))
def test_event_shares_are_shares_and_equal_a_slow_reference(seed: int, decay: float, num_events: int) -> None:
    rng = np.random.default_rng(seed)
    reward, event = rng.normal(size=30) * (rng.random(30) < 0.4), rng.integers(-1, num_events, 30)
    follows = (rng.random(30) < 0.8).astype(float)
    follows[-1] = 0.0
    shares = event_shares(reward, event, continuation_t=follows, num_events=num_events, decay=decay)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    for t in range(30):
        sums, weight, i = np.zeros(num_events), 1.0, t
        while True:
            if event[i] >= 0:
                sums[event[i]] += weight * abs(reward[i])
            if follows[i] == 0:
                break
            weight, i = weight * decay, i + 1
        expected = sums / sums.sum() if sums.sum() > 0 else np.full(num_events, 1 / num_events)
        np.testing.assert_allclose(shares[t], expected, atol=1e-9)


def test_an_unknown_event_is_refused() -> None:
    with pytest.raises(ValueError, match="allowed are -1 .. 1"):
        event_shares(np.ones(1), np.array([2]), continuation_t=np.zeros(1), num_events=2, decay=0.9)


def test_returns_to_go_begin_with_the_return_of_the_episode() -> None:
    world = make_world("CrossedHistory")
    episodes = demonstrate(world, world.levels("train"), num_episodes=50, seed=0, noise=0.3)
    following, known = returns_to_go(episodes)
    assert following[episodes.offsets[:-1]] == pytest.approx(episode_returns(episodes, discount=0.95))
    assert known.all()


def test_what_follows_a_time_limit_is_not_known() -> None:
    world = make_world("CrossedHistory", time_limit=4)
    episodes = demonstrate(world, world.levels("train"), num_episodes=50, seed=0, noise=0.3)
    cut = np.repeat(episodes.truncated, np.diff(episodes.offsets))
    assert cut.any() and returns_to_go(episodes)[1].tolist() == (~cut).tolist()
