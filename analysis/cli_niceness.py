"""The commands about niceness: exact answers to small cases, and where they change as an agent gains power."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from analysis.cli_words import Options, Run

Case = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="CASE")]


@dataclasses.dataclass(frozen=True)
class NicenessSolve:
    """Solve a case or the village exactly for objectives: value, manipulation, lock-in, intent, welfare, policy."""

    case: Case
    """A case, such as TRIAD, Clickbait or ZEALOT, a TOML file that describes one, Village, or the id of a world, such
    as ValueLab/Triad-Weak-v0."""
    objectives: tuple[str, ...] = ()
    """Objectives, such as RT IR NS PR-A "1/2 RT + 1/2 IR"; all but CRT_mask where left out. Of a village RT, IR, NS,
    NS_lit, Myopic, PR-A, PR-B, PR-E and sums such as "1/2 RT + 1/2 NS"; RT, IR and NS where left out."""
    kappa: tuple[str, ...] = ()
    """Powers to influence, such as 0 1/5 0.5 1, one table each; the case's own where left out."""
    options: Options = ()
    """An option of the case, such as T=4, or of the village, such as reach=3; may be given several times."""
    out: Path | None = None
    """Folder for the tables as JSON and Markdown (default: runs/niceness-CASE, and in its name what else is
    asked for)."""


@dataclasses.dataclass(frozen=True)
class NicenessScorecard:
    """What a trained agent does to people in a case or the village, exactly: regrets, manipulation, lock-in."""

    run: Run
    """A folder written by `valuelab niceness train` or `valuelab train`."""
    actor: str = "D"
    """D: the policy head's best action; V1: one step ahead with V; search-N, such as search-16."""
    options: Options = ()
    """An option of the world in place of the run's own, such as kappa=1; may be given several times."""
    out: Path | None = None
    """Also write the numbers as JSON."""


@dataclasses.dataclass(frozen=True)
class NicenessTables:
    """Write the exact tables of the paper's five cases, of TRIAD and of the discriminating worlds as one page."""

    out: Path = Path("runs/niceness_tables.md")
    """The Markdown file."""


@dataclasses.dataclass(frozen=True)
class NicenessPhase:
    """Where exact answers change as an agent gains power: phase diagrams of TRIAD, with figures."""

    out: Path = Path("runs/niceness_phase.md")
    """The Markdown file; its figures lie beside it."""


@dataclasses.dataclass(frozen=True)
class Audit:
    """Score a monitor of your own on a sealed zoo of weak agents, beside the shipped monitors."""

    monitor: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
    """A Python file that defines score(subject): a number, or a dict with numbers for "manipulates" and "locks in"."""
    zoo: Path | None = None
    """A zoo of your own, written by scripts/build_zoo.py, in place of the shipped one."""
    out: Path | None = None
    """Folder for the tables (default: runs/audit-FILE)."""
