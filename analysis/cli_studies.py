"""The commands that run studies: the comparison, its preregistration, and the other questions."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from analysis.cli_words import Device, File, Preset


@dataclasses.dataclass(frozen=True)
class Compare:
    """Compare value heads (arms x worlds x seeds) with controls: table, figures, verdicts."""

    preset: Preset = "quick"
    """quick: 3 seeds, no verdict. first: six arms, 20 seeds (about 2,000 CPU-seconds)."""
    seeds: int | None = None
    """Number of run seeds instead of the preset's."""
    first_seed: int = 0
    """The run seeds are FIRST_SEED, FIRST_SEED + 1, ...; fresh ones make a replication."""
    arms: tuple[str, ...] | None = None
    """Arms instead of the preset's, such as MONO MOE ROUTE ROUTE-RAND POS NEG-F."""
    tests: tuple[str, ...] | None = None
    """Tests instead of the preset's: T0, CrossedHistory, T3, T5."""
    workers: int = 2
    """Worker processes; the numbers do not depend on it."""
    device: Device = "cpu"
    """Where the networks run. Such small ones are fastest on the CPU; other devices give other bits, so other cells."""
    out: Path | None = None
    """Study folder (default: runs/compare-PRESET). A stopped study goes on where it was."""
    preregistration: Path | None = None
    """A file frozen by `valuelab preregister`; deviations from it are flagged in the result."""


@dataclasses.dataclass(frozen=True)
class Preregister:
    """Freeze a comparison's tests, margins, seeds, arms and rules by hash before it runs."""

    file: File
    """The file to write; a frozen plan is never overwritten by another."""
    preset: Preset = "first"
    """The preset to freeze."""
    seeds: int | None = None
    """Number of run seeds instead of the preset's."""
    first_seed: int = 0
    """The run seeds are FIRST_SEED, FIRST_SEED + 1, ...; fresh ones make a replication."""
    arms: tuple[str, ...] | None = None
    """Arms instead of the preset's."""
    tests: tuple[str, ...] | None = None
    """Tests instead of the preset's."""


@dataclasses.dataclass(frozen=True)
class Study:
    """Run another question as a study: alphago (prior and value of a search), corner-size (goal misgeneralisation)."""

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """alphago or corner-size."""
    seeds: int | None = None
    """Number of run seeds instead of the study's own."""
    first_seed: int = 0
    """The run seeds are FIRST_SEED, FIRST_SEED + 1, ...; fresh ones make a replication."""
    workers: int = 2
    """Worker processes; the numbers do not depend on it."""
    out: Path | None = None
    """Study folder (default: runs/study-NAME). A stopped study goes on where it was."""
