"""Which random stream each env of a batch draws from: (seed, env, episode), set at resets.

After an integer seed s, env k draws from (s, first_env + k, episode), so batches of any size agree and run seeds share
nothing. After a list of seeds, env k draws from (s_k, 0, episode): each number names a whole stream, whatever its
place, as it does for a `SyncVectorEnv` of `GridEnv`s. A later reset without a seed takes the stream's next episode.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from envs.errors import UserError, nearest, require_integer
from envs.states import EnvState

Seed = int | Sequence[int | None] | None
Mask = npt.NDArray[np.bool_]


def reset_mask(options: dict[str, Any] | None, num_envs: int) -> Mask:
    """The envs to reset, bool[N]: options["reset_mask"], or all of them.

    Raises:
        UserError: For any other option.
        TypeError: If the mask is no boolean numpy array.
        ValueError: If it has another shape or names no env.
    """
    refuse_options(options, known=("reset_mask",))
    if options is None or "reset_mask" not in options:
        return np.ones(num_envs, np.bool_)
    mask = options["reset_mask"]
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise TypeError(
            f"options['reset_mask'] is {mask!r}, allowed is a numpy array of dtype bool; write one."
        )
    if mask.shape != (num_envs,) or not mask.any():
        raise ValueError(
            f"options['reset_mask'] is {mask!r}, allowed is shape ({num_envs},) with at least one True; "
            "mark the envs to reset."
        )
    return mask


def refuse_options(options: dict[str, Any] | None, *, known: Sequence[str]) -> None:
    """Refuse options of a reset that would have no effect; levels and sizes are chosen when an env is made."""
    for name in options or {}:
        if name not in known:
            allowed = ", ".join(map(repr, known)) or "none"
            hint = nearest(name, known)
            raise UserError(f"reset has no option {name!r}, allowed: {allowed}; options of a world go to make().{hint}")


def start_streams(state: EnvState, *, first_env: int) -> None:
    """Give all envs streams of one fresh seed from the operating system, before their first episode."""
    fresh = int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> np.uint64(1))
    everyone = np.ones(len(state.seed), np.bool_)
    _assign_shared(state, everyone, seed=fresh, first_env=first_env)
    state.episode[:] = -1


def next_streams(state: EnvState, mask: Mask, *, seed: Seed, first_env: int) -> None:
    """Set seed, env and episode of the envs in the mask, as the module says.

    Args:
        state: Written in place.
        mask: bool[N], the envs that are reset.
        seed: None, an integer in [0, 2^63), or one such number or None per env.
        first_env: Index of the first env under an integer seed.

    Raises:
        UserError: For a seed out of range, or a list of another length.
    """
    if seed is None:
        state.episode[mask] += 1
    elif isinstance(seed, (int, np.integer)):
        require_integer("seed", seed, low=0, high=2**63 - 1)
        _assign_shared(state, mask, seed=int(seed), first_env=first_env)
    else:
        _assign_each(state, mask, seeds=seed)


def _assign_shared(state: EnvState, mask: Mask, *, seed: int, first_env: int) -> None:
    state.seed[mask] = seed
    state.env[mask] = first_env + np.flatnonzero(mask)
    state.episode[mask] = 0


def _assign_each(state: EnvState, mask: Mask, *, seeds: Sequence[int | None]) -> None:
    if len(seeds) != len(mask):
        raise UserError(
            f"seed has {len(seeds)} entries, allowed is one for each of the {len(mask)} envs; "
            "give as many, or one integer for all."
        )
    for item in seeds:
        if item is not None:
            require_integer("seed", item, low=0, high=2**63 - 1)
    given = mask & np.array([item is not None for item in seeds])
    state.seed[given] = np.array([item or 0 for item in seeds], np.int64)[given]
    state.env[given] = 0
    state.episode[given] = 0
    state.episode[mask & ~given] += 1
