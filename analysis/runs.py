"""A run folder as whoever comes later finds it: the agent, and the environment that it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from agents.agent import AlphaAgent
from agents.checkpoint import MANIFEST, load_agent
from agents.environments import require_env, world_of
from agents.run_folder import CONFIG, METRICS, read_settings
from envs.errors import UserError


@dataclass(frozen=True, eq=False)
class Run:
    """What a run left.

    Attributes:
        folder: As the user named it.
        agent: On the CPU.
        env_id: Gymnasium id.
        options: Of the environment.
        uniform_share: Of random actions in the play that V learned from, None where `valuelab train` fitted no V.
        goes_on: The command that goes on with it; empty where it is finished, or only its checkpoint is there.
    """

    folder: Path
    agent: AlphaAgent
    env_id: str
    options: dict[str, Any]
    uniform_share: float | None = None
    goes_on: str = ""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to tell before numbers of this V are shown."""
        unfinished = f"The run is unfinished, and this is its agent so far; to go on: {self.goes_on}"
        untrained = "V has not been trained (the stage value did not run): all said of it is of its initial weights."
        told = {unfinished: bool(self.goes_on), untrained: self.agent.value_discount is None}
        return tuple(remark for remark, holds in told.items() if holds)


def to_go_on(env_id: str, folder: Path, *, imports: Sequence[str] = ()) -> str:
    """The command that goes on with a run that was stopped."""
    words = ["valuelab", "train", env_id, *(word for package in imports for word in ("--import", package))]
    return " ".join([*map(quote, words), "--out", quote(str(folder)), "--resume"])


def open_run(folder: Path) -> Run:
    """Open a folder written by `valuelab train`, or a checkpoint itself (`agents.checkpoint.save_agent`).

    A damaged checkpoint is refused even where the one before it is intact: that one is of an earlier stage, and its
    numbers would pass for the run's. The message names it.

    Raises:
        UserError: there is none, none of its stages has ended, it is damaged, or it does not say which environment it
            is of, or of one that is not registered.
    """
    if not folder.is_dir():
        raise UserError(f"There is no run folder '{folder}'; `valuelab train` writes one, and says where.")
    inner = folder / "checkpoint"
    goes_on = ""
    if (folder / CONFIG).exists() and not (folder / METRICS).exists():
        goes_on = to_go_on(read_settings(folder).env_id, folder)
    has_inner = inner.exists() or inner.with_name("checkpoint.previous").exists()
    if not has_inner and not (folder / MANIFEST).exists():
        if goes_on:
            raise UserError(
                f"The run in '{folder}' is unfinished: none of its stages has ended, so that there is no agent yet; go "
                f"on with {goes_on}"
            )
        raise UserError(f"'{folder}' holds no run: neither checkpoint/ nor {MANIFEST} is in it; check the path.")
    # A folder without a name, such as ".", has no neighbour called NAME.previous.
    checkpoint = inner if has_inner else folder if folder.name else folder.resolve()
    agent, facts = load_agent(checkpoint)
    env_id, options = facts.get("env_id"), facts.get("options") or {}
    if not isinstance(env_id, str) or not isinstance(options, dict):
        raise UserError(
            f"Checkpoint '{checkpoint}' does not say which environment it is of; save the agent with "
            'extra={"env_id": ...}.'
        )
    require_env(env_id)
    world_of(env_id, options)
    return Run(folder, agent, env_id, options, facts.get("uniform_share"), goes_on)
