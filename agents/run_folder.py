"""The folder of a training run: what lies in it, and from where a run that was interrupted goes on.

    config.json    environment, options and settings
    curve.jsonl    a row per update or mark of a stage, appended as it happens
    checkpoint/    the agent after the last finished stage
    last/          the agent within the stage in progress, with all that this stage needs to go on
    best/          the agent that earned the most while it was reinforced
    history/       the agents at the marks of stage value (`agents.history`)
    metrics.json   returns against the optimum, and V against the exact value, when the run is finished

A run is always at a *point*: after a finished stage (`checkpoint/`), or within the next one (`last/`). Both say how
long the curve was then. Whatever is damaged or missing, an older point leads to the same end, for everything else
follows from the settings.
"""

from __future__ import annotations

import dataclasses
import os.path
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from agents.agent import AlphaAgent
from agents.checkpoint import DamagedCheckpoint, load_with_state
from agents.config import TrainConfig
from agents.fields import flat_settings, settings_from_dict, settings_to_dict
from agents.training_state import State
from envs import storage
from envs.errors import UserError

CONFIG, CURVE, METRICS = "config.json", "curve.jsonl", "metrics.json"
LONG = 120
"""Characters of a setting from which on a message shows a part of it."""
CHECKPOINT, LAST, BEST = "checkpoint", "last", "best"

Facts = dict[str, Any]
Loaded = tuple[AlphaAgent, Facts, dict[str, Tensor]]


@dataclass(frozen=True)
class RunSettings:
    """What config.json says.

    Attributes:
        env_id: Gymnasium id.
        options: of the world, or of `gymnasium.make`.
        config: all settings.
    """

    env_id: str
    options: Mapping[str, Any]
    config: TrainConfig

    def to_dict(self) -> Facts:
        """As it stands in config.json."""
        return {"env_id": self.env_id, "options": dict(self.options), "settings": settings_to_dict(self.config)}


@dataclass(frozen=True, eq=False)
class Point:
    """Where a run goes on.

    Attributes:
        agent: after the last finished stage, on the CPU; None where no stage is finished.
        stage: the stage to go on with; None where all are finished.
        state: what that stage needs; None where it begins.
        facts: what was kept beside.
        problems: a line for each damaged checkpoint that was passed over.
    """

    agent: AlphaAgent | None = None
    stage: str | None = None
    state: State | None = None
    facts: Facts = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """In words."""
        if self.stage is None:
            return "All stages are finished; what is left is to measure."
        if self.state is None:
            return f"Going on at the beginning of stage {self.stage}."
        return f"Going on in stage {self.stage} after {self.facts['num_steps']} gradient steps."


def read_settings(folder: str | Path) -> RunSettings:
    """Read config.json; UserError where it is missing, is not JSON, or holds what this version does not know."""
    path = Path(folder) / CONFIG
    found = storage.read_json(path)
    try:
        config = settings_from_dict(TrainConfig, found["settings"])
        return RunSettings(found["env_id"], dict(found["options"]), config)
    except (KeyError, TypeError) as error:
        raise UserError(f"'{path}' does not describe a training run ({error!r}); choose another folder.") from error


def require_same(folder: str | Path, wanted: RunSettings, *, asked: Collection[str] | None = None) -> None:
    """Refuse to go on with other settings than those of the run in a folder.

    Args:
        folder: of the run.
        wanted: what is asked for.
        asked: names of the settings that are, such as "settings.seed" or "options.size"; None: all.

    Raises:
        UserError: names the first setting that differs.
    """
    own, other = (flat_settings(one.to_dict()) for one in (read_settings(folder), wanted))
    for name in sorted(own.keys() | other.keys()):
        is_asked = asked is None or any(f"{name}.".startswith(f"{one}.") for one in asked)
        if is_asked and own.get(name) != other.get(name):
            seen, asked_for = own.get(name), other.get(name)
            seen, asked_for = _where_they_differ(seen, asked_for)
            raise UserError(
                f"The run in '{folder}' has {name.removeprefix('settings.')} = {seen:.200}, not {asked_for:.200}; "
                "it can only go on with what it began with: leave that out, put back what was changed, or choose "
                "another folder."
            )


def _where_they_differ(seen: Any, asked_for: Any) -> tuple[str, str]:
    """Two settings as text; of long ones, such as what a case file says, the part around the first difference."""
    if not (isinstance(seen, str) and isinstance(asked_for, str)) or max(len(seen), len(asked_for)) < LONG:
        return repr(seen), repr(asked_for)
    same = os.path.commonprefix([seen, asked_for])
    start = max(0, len(same) - LONG // 2)
    before = "…" * bool(start)
    return before + repr(seen[start : start + LONG]), before + repr(asked_for[start : start + LONG])


def find_point(folder: Path, stages: Sequence[str]) -> Point:
    """Find the newest point of a run whose files are intact.

    Args:
        folder: of the run.
        stages: of the run, in order.

    Raises:
        UserError: a checkpoint is of a newer version, or does not fit this one.
    """
    problems: list[str] = []
    base = _newest(folder / CHECKPOINT, lambda facts: facts.get("stage") in stages, problems=problems)
    num_finished = 0 if base is None else stages.index(base[1]["stage"]) + 1
    agent, facts, _ = base or (None, {}, {})
    if num_finished == len(stages):
        return Point(agent, facts=facts, problems=tuple(problems))
    point = Point(agent, stages[num_finished], facts=facts)
    last = _newest(folder / LAST, lambda facts: facts.get("stage") == point.stage, problems=problems)
    if last is not None:
        point = dataclasses.replace(point, facts=last[1], state=last[2])
    return dataclasses.replace(point, problems=tuple(problems))


def _newest(folder: Path, fits: Callable[[Facts], bool], *, problems: list[str]) -> Loaded | None:
    """The checkpoint, or else the one before it, that is intact and fits; adds a line for each damaged one."""
    for path in (folder, storage.previous_folder(folder)):
        if not path.exists():
            continue
        try:
            loaded = load_with_state(path)
        except DamagedCheckpoint as error:
            problems.append(f"{error} This run goes on from an older point, which leads to the same end.")
            continue
        if fits(loaded[1]):
            return loaded
    return None
