"""Recorded episodes in which tastes are seen badly; what was done and paid is as it was.

Shape key: n steps, S row size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from envs.episodes import Episodes
from envs.rows import Rows, World

NUM_TASTES = 3


def noised(
    episodes: Episodes, world: World, columns: Sequence[int], *, share: float, rng: np.random.Generator
) -> Episodes:
    """The episodes with a taste shown at random, uniform over all three, in a share of the steps.

    Args:
        episodes: with rows.
        world: gives the observations of rows.
        columns: where in a row this taste of each person stands; a step is struck for all of them or for none.
        share: probability that a step is struck, 0 to 1.
        rng: draws which, and the tastes.
    """
    assert episodes.rows is not None and episodes.final_rows is not None
    rows, finals = (_struck(one, columns, share=share, rng=rng) for one in (episodes.rows, episodes.final_rows))
    return dataclasses.replace(
        episodes, rows=rows, final_rows=finals, observations=world.observe(rows),
        final_observations=world.observe(finals),
    )  # fmt: skip


def _struck(rows: Rows, columns: Sequence[int], *, share: float, rng: np.random.Generator) -> Rows:
    rows = rows.copy()
    struck = rng.random(len(rows)) < share
    for column in columns:
        rows[struck, column] = rng.integers(0, NUM_TASTES, struck.sum())
    return rows
