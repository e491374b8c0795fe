"""The village without its twin: rows are the real half alone, so that far fewer of them are to be solved."""

from __future__ import annotations

from envs.niceness.village import world
from envs.niceness.village_rules import begin, breakpoints, context, observe, possible, transition

__all__ = ["begin", "breakpoints", "context", "observe", "possible", "transition", "world"]
