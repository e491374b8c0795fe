"""Agents that are kept while V learns, so that what it came to hold can be followed afterwards.

    RUN/history/0000000/    the agent when stage value began, V∘E as it starts
    RUN/history/0000200/    after 200 gradient steps of it, and so on at each mark of the curve

Each is a checkpoint of its own (`agents.checkpoint`). A run that is resumed writes them again to the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from agents.agent import AlphaAgent
from agents.checkpoint import load_agent, save_agent

HISTORY = "history"
NUM_MARKS = 10


def marks_of(num_updates: int, num_marks: int = NUM_MARKS) -> list[int]:
    """Gradient steps after which a training is looked at: evenly spread, ascending, the last one among them.

    A training of fewer steps than marks is looked at after each.
    """
    spread = np.unique(np.linspace(0, num_updates, num_marks + 1).round().astype(int))
    return [step for step in spread.tolist() if step > 0]


def keep_in_history(run: Path, agent: AlphaAgent, *, num_steps: int, facts: Mapping[str, Any]) -> None:
    """Save an agent as it is after `num_steps` gradient steps of V; `facts` stand beside it as in other checkpoints."""
    save_agent(run / HISTORY / f"{num_steps:07d}", agent, extra={**facts, "num_steps": num_steps})


def read_history(run: Path) -> dict[int, AlphaAgent]:
    """Gradient steps of V -> the agent after them, ascending, on the CPU; empty where none was kept.

    Raises:
        DamagedCheckpoint: One of them is missing a file, truncated or altered.
        UserError: One of them does not fit this version.
    """
    folder = run / HISTORY
    kept = [path for path in sorted(folder.glob("*")) if path.name.isdecimal()] if folder.is_dir() else []
    return {int(path.name): load_agent(path)[0] for path in kept}
