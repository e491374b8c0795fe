"""A run folder as whoever comes later finds it: the agent, and the environment that it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.agent import AlphaAgent
from agents.checkpoint import MANIFEST, load_agent
from agents.environments import require_env, world_of
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
    """

    folder: Path
    agent: AlphaAgent
    env_id: str
    options: dict[str, Any]
    uniform_share: float | None = None

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to tell before numbers of this V are shown."""
        if self.agent.value_discount is not None:
            return ()
        return ("V has not been trained (the stage value did not run): what is said of it is of its initial weights.",)


def open_run(folder: Path) -> Run:
    """Open a folder written by `valuelab train`, or a checkpoint itself (`agents.checkpoint.save_agent`).

    A damaged checkpoint is refused even where the one before it is intact: that one is of an earlier stage, and its
    numbers would pass for the run's. The message names it.

    Raises:
        UserError: there is none, it is damaged, or it does not say which environment it is of, or of one that is not
            registered.
    """
    if not folder.is_dir():
        raise UserError(f"There is no run folder '{folder}'; `valuelab train` writes one, and says where.")
    inner = folder / "checkpoint"
    has_inner = inner.exists() or inner.with_name("checkpoint.previous").exists()
    if not has_inner and not (folder / MANIFEST).exists():
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
    return Run(folder, agent, env_id, options, facts.get("uniform_share"))
