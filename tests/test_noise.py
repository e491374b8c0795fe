"""Counter-based noise: published known answers, uniformity, and keys that never meet."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from scipy import stats

from envs.noise import episode_key, integer, level_key, philox, uniform

# Random123, tests/kat_vectors, lines "philox4x32 10": counter, key, output.
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def pack(low: int, high: int) -> np.uint64:
    return np.uint64(low | high << 32)


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
@pytest.mark.parametrize("function", [philox, philox.py_func], ids=["compiled", "python"])
def test_philox_known_answers(function, counter, key, expected):
    low, high = function(pack(*counter[:2]), pack(*counter[2:]), pack(*key))
    words = [int(low) & 0xFFFFFFFF, int(low) >> 32, int(high) & 0xFFFFFFFF, int(high) >> 32]
    assert tuple(words) == expected


def test_streams_are_pinned():
    """A silent change of the generator would change every recorded result."""
    assert uniform(episode_key(1, 2, 3), 4, 5) == 0.6172941508084917
    assert integer(level_key(4), 0, 1000) == 788


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_uniform_in_unit_interval_with_53_bits(seed, env, episode, channel):
    value = uniform(episode_key(seed, env, episode), episode, channel)
    assert 0.0 <= value < 1.0
    assert float(value * 2**53).is_integer()
    assert value == uniform.py_func(episode_key.py_func(seed, env, episode), episode, channel)


@njit
def fill(key, out):
    for t in range(out.shape[0]):
        for channel in range(out.shape[1]):
            out[t, channel] = uniform(key, t, channel)


def test_steps_and_channels_are_uniform_and_uncorrelated():
    draws = np.empty((40_000, 4))
    fill(episode_key(7, 0, 0), draws)
    for channel in range(4):
        assert stats.kstest(draws[:, channel], "uniform").pvalue > 1e-4
    correlations = np.corrcoef(np.concatenate([draws[1:], draws[:-1]], axis=1).T)
    assert np.abs(correlations - np.eye(8)).max() < 0.025


def test_keys_of_neighbouring_seeds_envs_episodes_and_levels_are_distinct():
    keys = {
        int(episode_key(seed, env, episode)) for seed in range(20) for env in range(20) for episode in range(20)
    } | {int(level_key(level)) for level in range(8000)}
    assert len(keys) == 16_000


@given(st.integers(0, 2**62), st.integers(1, 10_000))
@settings(max_examples=50, deadline=None)
def test_integer_stays_in_range(level, limit):
    assert 0 <= integer(level_key(level), 3, limit) < limit
