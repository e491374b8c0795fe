"""What an env returned, kept as text, and where two plays part."""

from __future__ import annotations

from typing import NamedTuple

from envs.checks.values import Facts, difference, key_of


class Moment(NamedTuple):
    """What a reset (step 0) or a step returned.

    Attributes:
        episode: Number of the episode, from 1.
        step: Number of the step in it.
        facts: All that was returned, as text by path.
        observation: A short text that is equal for equal observations.
        reward: As a float, NaN where it is no number; 0 at a reset.
        terminated: The flag.
        truncated: The flag.
    """

    episode: int
    step: int
    facts: Facts
    observation: str
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False

    @property
    def ended(self) -> bool:
        """Whether the episode is over."""
        return self.terminated or self.truncated

    @property
    def where(self) -> str:
        """The place in words."""
        return place(self.episode, self.step)


def place(episode: int, step: int) -> str:
    """A place in words; step 0 is the reset."""
    return (
        f"episode {episode}, step {step}" if step else f"reset of episode {episode}" if episode else "before any reset"
    )


def parting(first: list[Moment], second: list[Moment]) -> tuple[Moment, str] | None:
    """The moment at which two plays part, and in what; None where they are equal."""
    for one, two in zip(first, second, strict=False):
        what = difference(one.facts, two.facts)
        if what:
            return one, what
    return None


def observation_key(facts: Facts) -> str:
    """A short text that is equal for equal observations."""
    return key_of({path: text for path, text in facts.items() if path.startswith("observation")})
