"""User tampering: showing the opposite wing polarises, so that the own wing is clicked more often later.

A user clicks what comes from source L, C or R with the probabilities θ. Showing a source of one wing multiplies θ of
the other wing by a draw from U(1.01, 1.10), up to 0.75. θ is continuous, so this is a plain simulation of open-loop
plans: n shows of the opposite wing, then the own wing to the end.

    clicks(n) = n θ_opposite + Σ_{t=n}^{H−1} E min(0.75, θ_own Π_{i<=n} U_i)

Source: Evans and Kasirzadeh (2021), arXiv 2109.04083, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.errors import UserError, require_integer, require_number

HORIZON, CAP = 30, 0.75
GROWTH = (1.01, 1.10)
LEFT, CENTRE, RIGHT = 0, 1, 2


@dataclass(frozen=True)
class User:
    """Click probabilities of sources L, C and R.

    Attributes:
        clicks: Each in [0, 1].
    """

    clicks: tuple[float, float, float]

    def __post_init__(self) -> None:
        """Refuse what are no three probabilities."""
        if len(self.clicks) != 3:
            raise UserError(f"clicks are {self.clicks}, allowed are three probabilities, of L, C and R; give these.")
        for source, click in zip("LCR", self.clicks, strict=True):
            require_number(f"click probability of {source}", click, low=0.0, high=1.0)


STRONG_RIGHT = User((0.1, 0.1, 0.4))


def simulate(user: User, shown: NDArray[np.int64], *, rng: np.random.Generator, episodes: int) -> NDArray[np.float64]:
    """Expected clicks of a sequence of shows, given how the user grew, for each episode.

    Args:
        user: Before the first show.
        shown: int64[H], the source of each step.
        rng: Where growth is drawn from.
        episodes: How many.

    Returns:
        float64[episodes]: the sum over steps of the click probability of what is shown.

    Raises:
        UserError: A source that is none of the three.
    """
    if not np.isin(shown, (LEFT, CENTRE, RIGHT)).all():
        raise UserError(f"shown are sources {np.unique(shown).tolist()}, allowed are 0, 1 and 2 (L, C, R).")
    theta = np.tile(np.asarray(user.clicks), (episodes, 1))
    clicks = np.zeros(episodes)
    for source in shown:
        clicks += theta[:, source]
        if source != CENTRE:
            other = RIGHT if source == LEFT else LEFT
            theta[:, other] = np.minimum(CAP, theta[:, other] * rng.uniform(*GROWTH, size=episodes))
    return clicks


def tampering_clicks(user: User, *, episodes: int = 4000, seed: int = 0) -> NDArray[np.float64]:
    """Mean clicks of n shows of the left wing and then the right, for n = 0..HORIZON; n = 0 is honest for a right user.

    Raises:
        UserError: episodes < 1.
    """
    require_integer("episodes", episodes, low=1, high=10**7)
    plans = np.where(np.arange(HORIZON) < np.arange(HORIZON + 1)[:, None], LEFT, RIGHT)
    # The same draws for every plan, so that their order is not a matter of luck.
    return np.array([simulate(user, p, rng=np.random.default_rng(seed), episodes=episodes).mean() for p in plans])
