"""Whose probe it is: an agent as it was trained, and the group in which it stands beside others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from agents.agent import AlphaAgent
from agents.fields import flat_settings, settings_to_dict
from agents.run_folder import CONFIG, read_settings

OF_NO_NETWORK = frozenset({"seed", "device", "num_evaluation_episodes", "checkpoint_every", "keep_history"})
"""Settings that say which seed it is, and how it is watched and kept, but not what is trained and how."""
OF_HEAD = frozenset({"agent.head"})


@dataclass(frozen=True)
class Subject:
    """Whose probe it is.

    Attributes:
        head: The value head's name.
        env_id: Gymnasium id.
        seed: Training seed.
        options: Of the environment.
        settings: What else it was trained with, by dotted name, as far as it is known.
    """

    head: str
    env_id: str
    seed: int
    options: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def title(self) -> str:
        """In words."""
        return f"{self.head} trained on {self.env_id}, seed {self.seed}"


def subject_of(agent: AlphaAgent, env_id: str, options: Mapping[str, Any] | None, *, run: Path | None) -> Subject:
    """Whose probe it is; a run by `valuelab train` also says how its stages were set, other checkpoints do not.

    Raises:
        UserError: The run's settings cannot be read.
    """
    stages = settings_to_dict(read_settings(run).config) if run is not None and (run / CONFIG).is_file() else {}
    known = flat_settings({**stages, "agent": settings_to_dict(agent.config)})
    settings = {name: value for name, value in known.items() if name not in OF_NO_NETWORK | OF_HEAD}
    return Subject(agent.config.head, env_id, agent.seed, dict(options or {}), settings)


def differing(subjects: Sequence[Subject]) -> tuple[str, ...]:
    """Names of the settings, of those that all of them say, in which they are not all alike."""
    said = set.intersection(*(set(one.settings) for one in subjects))
    return tuple(sorted(name for name in said if any(_apart(name, subjects[0], one) for one in subjects)))


def _apart(name: str, one: Subject, other: Subject) -> bool:
    return bool(one.settings[name] != other.settings[name])


def group_names(subjects: Sequence[Subject]) -> tuple[str, ...]:
    """The group of each run: its head, and the settings in which runs of that head differ.

    Runs that differ in more than their seed are no sample of one training: two runs of MONO with different
    `value.learning_rate` are of "MONO (learning_rate 0.001)" and of "MONO (learning_rate 0.004)".
    """
    return tuple(_group(one, [other for other in subjects if other.head == one.head]) for one in subjects)


def _group(one: Subject, alike: Sequence[Subject]) -> str:
    said = ", ".join(f"{name.rpartition('.')[2]} {one.settings[name]}" for name in differing(alike))
    return f"{one.head} ({said})" if said else one.head
