"""The commands that run studies: the comparison, its preregistration, and the other questions."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from analysis.cli_words import Device, File, Preset


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """What a comparison runs in place of its preset's own."""

    seeds: int | None = None
    """Number of run seeds."""
    first_seed: int = 0
    """The run seeds are FIRST_SEED, FIRST_SEED + 1, ...; fresh ones make a replication."""
    arms: tuple[str, ...] | None = None
    """Arms, such as MONO MOE ROUTE POS NEG-F; MONO@imitated is MONO on the E that D left, MONO@shared on D's own."""
    tests: tuple[str, ...] | None = None
    """Tests, such as T0 CrossedHistory T5."""
    worlds: tuple[str, ...] | None = None
    """Worlds: a test runs on those of its own that are named here."""
    regime: Literal["yoked", "own"] = "yoked"
    """yoked: all arms learn from one recording a seed. own: each arm's V shapes what its agent does and learns from."""
    targets: Literal["monte_carlo", "td_lambda"] = "monte_carlo"
    """What every V learns from: outcomes, or TD(1/2) returns (yoked only)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compare(Choice):
    """Compare value heads (arms x worlds x seeds) with controls: table, figures, verdicts."""

    preset: Preset = "quick"
    """quick: 3 seeds, no verdict. first: six arms, 20 seeds. standard: seven arms, the confirmatory family, 20 seeds.
    full: all arms and tests, 10 seeds."""
    workers: int = 2
    """Worker processes; 0 computes in this one, for debugging. The numbers do not depend on it."""
    device: Device = "cpu"
    """Where the networks run. Such small ones are fastest on the CPU; other devices give other bits, so other cells."""
    out: Path | None = None
    """Study folder (default: runs/compare-PRESET). A stopped study goes on where it was."""
    preregistration: Path | None = None
    """A file frozen by `valuelab preregister`; deviations from it are flagged in the result."""
    page: Path | None = None
    """Also write the answers to the three questions as a Markdown page, with its figures in a folder beside it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preregister(Choice):
    """Freeze a comparison's tests, margins, seeds, arms and rules by hash before it runs."""

    file: File
    """The file to write; a frozen plan is never overwritten by another."""
    preset: Preset = "first"
    """The preset to freeze."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyOfSeeds:
    """How much of a study is run, and where it lies."""

    seeds: int | None = None
    """Number of run seeds instead of the study's own; at least 2."""
    first_seed: int = 0
    """The run seeds are FIRST_SEED, FIRST_SEED + 1, ...; fresh ones make a replication."""
    workers: int = 2
    """Worker processes; 0 computes in this one, for debugging. The numbers do not depend on it."""
    out: Path | None = None
    """Study folder (default: runs/study-NAME). A stopped study goes on where it was."""
    freeze: Path | None = None
    """Write the rule, the seeds and what is computed to this file, by hash, and run nothing."""
    preregistration: Path | None = None
    """A file written by --freeze; deviations from it are named in the result."""
    page: Path | None = None
    """Also write what was found as a Markdown page, with its figures beside it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study(StudyOfSeeds):
    """Run another question as a study: alphago, corner-size (goal misgeneralisation), niceness and its parts."""

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """alphago, corner-size, niceness, niceness-calibration, niceness-depth, niceness-dilemmas, niceness-monitor,
    niceness-power, niceness-reward, niceness-strengthen or niceness-village."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NicenessGeneralise(StudyOfSeeds):
    """Which niceness does slight training on niceness give? The main experiment, `valuelab study niceness`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NicenessMonitor(StudyOfSeeds):
    """Could one see manipulation and lock-in coming? Monitors on weak agents, `valuelab study niceness-monitor`."""
