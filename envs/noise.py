"""Counter-based noise: every random number is a function of named counters, so no stream has a state.

ω(seed, env, episode, t, channel) = U53(Philox4x32-10(counter = (t, channel), key = episode_key(seed, env, episode)))

Domain words keep the uses of one key apart: draws of a step, draws of an episode (its level and its start), keys of
episodes and keys of levels never share a counter.

All functions are numba functions, compiled into the kernel that calls them, and callable from Python as well.

Source: Salmon et al. (2011), "Parallel random numbers: as easy as 1, 2, 3", SC, section 4.3, for Philox4x32-10; the
constants are those of their Random123 library.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint64(0x9E3779B9)
_WEYL_1 = np.uint64(0xBB67AE85)
_MASK = np.uint64(0xFFFFFFFF)
_SHIFT_32 = np.uint64(32)
_SHIFT_11 = np.uint64(11)
_SCALE_53 = 2.0**-53
_STEP_DOMAIN = np.uint64(0)
_EPISODE_KEY_DOMAIN = np.uint64(1)
_LEVEL_KEY_DOMAIN = np.uint64(2)
_LEVEL_KEY_SEED = np.uint64(0x76616C75656C6162)
LEVEL_CHANNEL = 0xFFFFFFFF
START_CHANNEL = 0xFFFFFFFE


@njit(cache=True)
def philox(counter_low: np.uint64, counter_high: np.uint64, key: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Ten rounds of Philox4x32.

    Args:
        counter_low: Words 0 and 1 of the counter; word 0 is the low half.
        counter_high: Words 2 and 3 of the counter.
        key: Words 0 and 1 of the key.

    Returns:
        Words 0, 1 and words 2, 3 of the output, packed the same way.
    """
    x0, x1 = counter_low & _MASK, counter_low >> _SHIFT_32
    x2, x3 = counter_high & _MASK, counter_high >> _SHIFT_32
    k0, k1 = key & _MASK, key >> _SHIFT_32
    for _ in range(10):
        product_0, product_1 = _MULTIPLIER_0 * x0, _MULTIPLIER_1 * x2
        x0, x1, x2, x3 = (
            (product_1 >> _SHIFT_32) ^ x1 ^ k0,
            product_1 & _MASK,
            (product_0 >> _SHIFT_32) ^ x3 ^ k1,
            product_0 & _MASK,
        )
        k0, k1 = (k0 + _WEYL_0) & _MASK, (k1 + _WEYL_1) & _MASK
    return x0 | (x1 << _SHIFT_32), x2 | (x3 << _SHIFT_32)


@njit(cache=True)
def episode_key(seed: int, env: int, episode: int) -> np.int64:
    """Key of one episode of one env; distinct triples get independent keys.

    Args:
        seed: Run seed, or the env's own seed, in [0, 2^63).
        env: Index of the env, in [0, 2^32).
        episode: Number of the episode, in [0, 2^63).

    Returns:
        Key of 63 bits. Two triples share it with probability 2^-63.
    """
    high = (np.uint64(env) & _MASK) | (_EPISODE_KEY_DOMAIN << _SHIFT_32)
    return np.int64(philox(np.uint64(episode), high, np.uint64(seed))[0] >> np.uint64(1))


@njit(cache=True)
def level_key(level: int) -> np.int64:
    """Key of one level; it depends on the level's id alone, never on a seed.

    Args:
        level: Level id in [0, 2^63).

    Returns:
        Key of 63 bits.
    """
    return np.int64(philox(np.uint64(level), _LEVEL_KEY_DOMAIN << _SHIFT_32, _LEVEL_KEY_SEED)[0] >> np.uint64(1))


@njit(cache=True)
def uniform(key: int | np.int64, t: int, channel: int) -> float:
    """Uniform number in [0, 1) with 53 bits.

    Args:
        key: Key of an episode or of a level.
        t: Step, or index of the draw, in [0, 2^63).
        channel: Channel, in [0, 2^32).

    Returns:
        k · 2^-53 with k an integer in [0, 2^53).
    """
    high = (np.uint64(channel) & _MASK) | (_STEP_DOMAIN << _SHIFT_32)
    return np.float64(philox(np.uint64(t), high, np.uint64(key))[0] >> _SHIFT_11) * _SCALE_53


@njit(cache=True)
def integer(key: int | np.int64, t: int, limit: int) -> int:
    """Uniform integer floor(limit · uniform(key, t, 0)), for draws inside a world's `begin`.

    Args:
        key: Key of a level.
        t: Index of the draw.
        limit: Number of values, in [1, 2^53].

    Returns:
        Integer in [0, limit).
    """
    return int(limit * uniform(key, t, 0))
