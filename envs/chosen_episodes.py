"""Some episodes out of a recording."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.episodes import PER_EPISODE, PER_STEP, Episodes, episode_of_step
from envs.errors import UserError


def choose_episodes(episodes: Episodes, chosen: NDArray[np.bool_]) -> Episodes:
    """The chosen episodes in their order, whole.

    Args:
        episodes: The recording, left as it is.
        chosen: bool[E], at least one True.

    Raises:
        UserError: Another shape or type, or no episode chosen.
    """
    if chosen.shape != (episodes.num_episodes,) or chosen.dtype != np.bool_ or not chosen.any():
        raise UserError(
            f"choose_episodes: chosen is {chosen.dtype}{list(chosen.shape)} with {int(chosen.sum())} set; it must be "
            f"bool[{episodes.num_episodes}] with at least one True."
        )
    steps = chosen[episode_of_step(episodes)]
    kept: dict[str, Any] = {name: _of(episodes, name, steps) for name in PER_STEP} | {
        name: _of(episodes, name, chosen) for name in PER_EPISODE
    }
    return dataclasses.replace(
        episodes,
        observations={name: array[steps] for name, array in episodes.observations.items()},
        final_observations={name: array[chosen] for name, array in episodes.final_observations.items()},
        offsets=np.concatenate([[0], np.cumsum(np.diff(episodes.offsets)[chosen])]),
        **kept,
    )


def _of(episodes: Episodes, name: str, mask: NDArray[np.bool_]) -> Any:
    array = getattr(episodes, name)
    return None if array is None else array[mask]
