"""The commands that look at an environment: its faults, by hand, and with a trained agent at play."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from agents.search_config import SearchRules
from analysis.cli_words import EnvId, Import, Options, Run, SomeRules, Split


@dataclasses.dataclass(frozen=True)
class Play:
    """Play an environment by hand, in the terminal or by one line of keys on stdin."""

    env_id: EnvId
    """A registered Gymnasium id with Discrete actions."""
    seed: int = 0
    """Of levels, starts and chance."""
    split: Split | None = None
    """Levels of a world of ours: train or test (default: train)."""
    show_context: bool = False
    """Also show the true context, whether or not the observation does."""
    record: Path | None = None
    """File for the finished episodes, which `valuelab train --demonstrations` imitates."""
    options: Options = ()
    """An option of the environment, such as size=5; may be given several times."""
    imports: Import = ()
    """A package to import first, so that it can register its environments; may be given several times."""


@dataclasses.dataclass(frozen=True)
class Watch:
    """Watch a trained agent play, with V of every state, in the terminal or as an animation."""

    run: Run
    """A folder written by `valuelab train`, or a checkpoint."""
    actor: str = "D"
    """D: the policy head's best action; V1: argmax_a E[r + discount * V(s')] with the world's own kernel; search-N: the
    best action after N simulations, such as search-16, by the rules that --search.* give."""
    split: Split | None = None
    """Levels of a world of ours: train or test (default: test)."""
    episodes: int = 3
    """Episodes; the first ones that `valuelab evaluate` plays with the same seed."""
    seed: int = 1000
    """Evaluation seed, apart from the run's."""
    delay: float = 0.25
    """Seconds between states."""
    out: Path | None = None
    """Write an animation instead: a file that ends in .gif, .png or .apng."""
    imports: Import = ()
    """A package to import first; may be given several times."""
    search: SomeRules = dataclasses.field(default_factory=dict)
    """How an actor search-N looks ahead; what is left out is by Gumbel's rules, with the world's rewards."""

    def __post_init__(self) -> None:
        """Refuse wrong values of settings."""
        SearchRules(**self.search)


@dataclasses.dataclass(frozen=True)
class EnvsCheck:
    """Find faults in anybody's environment: chance, seeds, resets, spaces, ends of episodes, rendering."""

    env_id: EnvId
    """A registered Gymnasium id; for an environment of your own, name its package with --import."""
    seed: int = 0
    """Seed of all episodes and actions of the check."""
    steps: int = 16_000
    """Steps of the survey; the other parts take about as many again."""
    options: Options = ()
    """An option of the environment, such as size=5; may be given several times."""
    imports: Import = ()
    """A package to import first; may be given several times."""
