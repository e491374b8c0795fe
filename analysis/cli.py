"""The command line: every command is a frozen dataclass, parsed by tyro and run by `analysis.commands`.

This module imports nothing heavy, so that `valuelab --help` answers at once.
Exit codes: 0 all well, 1 a study holds failed cells, 2 bad input (one line on stderr), 130 interrupted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, get_args

import tyro

Device = Literal["auto", "cpu", "cuda"]
Preset = Literal["quick", "first"]
Import = Annotated[tuple[str, ...], tyro.conf.arg(name="import")]


@dataclasses.dataclass(frozen=True)
class Demo:
    """The main job: train on MiniGrid, probe, compare value heads on CrossedHistory, and say what was found."""

    out: Path = Path("runs/demo")
    """Folder for everything that is written. Finished parts are not repeated."""
    seed: int = 0
    """Seed of the MiniGrid run (the comparison uses seeds 0, 1 and 2)."""


@dataclasses.dataclass(frozen=True)
class Train:
    """Train an agent in AlphaGo's order: imitate, reinforce, value."""

    env_id: tyro.conf.Positional[str]
    """A registered Gymnasium id, such as ValueLab/MultiNeed-v0 or MiniGrid-Empty-8x8-v0."""
    value_head: str = "MONO"
    """How V is built: MONO, MOE, ROUTE, POS or NEG-F."""
    encoder: str = "mlp"
    """How E is built: mlp, conv or gru."""
    stages: tuple[Literal["imitate", "reinforce", "value"], ...] = ("imitate", "reinforce", "value")
    """The stages to run, in this order."""
    demonstrations: Path | None = None
    """A file of recorded episodes to imitate; without it an exact or a search expert is used where one can be had."""
    seed: int = 0
    """Run seed; the same seed gives the same weights."""
    out: Path | None = None
    """Run folder (default: runs/ENV-HEAD-SEED)."""
    device: Device = "auto"
    """Where the networks run."""
    tensorboard: bool = False
    """Also write the curve for TensorBoard (needs the extra `tensorboard`)."""
    imports: Import = ()
    """Packages to import first, so that they can register their environments."""


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Play a trained agent on training and held-out levels."""

    run: tyro.conf.Positional[Path]
    """A folder written by `valuelab train`."""
    actor: Literal["D", "V1", "both"] = "both"
    """D: the policy head; V1: argmax_a E[r + discount * V(s')] with the world's own kernel."""
    episodes: int = 200
    """Episodes per actor and split."""
    seed: int = 1000
    """Evaluation seed, apart from the run's."""
    device: Device = "auto"
    """Where the networks run."""
    imports: Import = ()
    """Packages to import first."""


@dataclasses.dataclass(frozen=True)
class Probe:
    """Ask a trained value head for its context: is it readable, and does V use it?"""

    run: tyro.conf.Positional[Path]
    """A folder written by `valuelab train`, or an agent saved from Stable-Baselines3."""
    episodes: int = 400
    """Held-out episodes to collect."""
    seed: int = 1000
    """Seed of the episodes and the probes."""
    out: Path | None = None
    """Folder for table and figures (default: RUN/probe)."""
    imports: Import = ()
    """Packages to import first."""


@dataclasses.dataclass(frozen=True)
class Compare:
    """Compare value heads (arms x worlds x seeds) with controls: table, figures, verdicts."""

    preset: Preset = "quick"
    """quick: 3 seeds, no verdict. first: six arms, 20 seeds (about 20 minutes on two cores)."""
    seeds: int | None = None
    """Number of run seeds 0..N-1 instead of the preset's."""
    arms: tuple[str, ...] | None = None
    """Arms instead of the preset's, such as MONO MOE ROUTE ROUTE-RAND POS NEG-F."""
    tests: tuple[str, ...] | None = None
    """Tests instead of the preset's: T0, CrossedHistory, T3, T5."""
    workers: int = 2
    """Worker processes; the numbers do not depend on it."""
    out: Path | None = None
    """Study folder (default: runs/compare-PRESET). A stopped study goes on where it was."""
    preregistration: Path | None = None
    """A file frozen by `valuelab preregister`; deviations from it are flagged in the result."""


@dataclasses.dataclass(frozen=True)
class Preregister:
    """Freeze a comparison's tests, margins, seeds, arms and rules by hash before it runs."""

    file: tyro.conf.Positional[Path]
    """The file to write; it is never overwritten."""
    preset: Preset = "first"
    """The preset to freeze."""
    seeds: int | None = None
    """Number of run seeds instead of the preset's."""
    arms: tuple[str, ...] | None = None
    """Arms instead of the preset's."""
    tests: tuple[str, ...] | None = None
    """Tests instead of the preset's."""


@dataclasses.dataclass(frozen=True)
class Envs:
    """List the worlds with their ids, sizes and options."""


Command = Demo | Train | Evaluate | Probe | Compare | Preregister | Envs


def names_of(command: type[Command]) -> set[str]:
    """The long options of a command, as they are typed."""
    fields = {field.name for field in dataclasses.fields(command) if "Positional" not in str(field.type)}
    renamed = {"import" if name == "imports" else name.replace("_", "-") for name in fields}
    return {f"--{name}" for name in renamed} | {"--no-tensorboard", "--help"}


def misspelling(words: Sequence[str]) -> str | None:
    """One line about the first unknown command or option among `words`; None if all are known."""
    commands = {command.__name__.lower(): command for command in get_args(Command)}
    if not words or words[0] in ("-h", "--help"):
        return None
    if words[0] not in commands:
        return f"unknown command {words[0]!r}; there are {', '.join(commands)}.{_nearest(words[0], commands)}"
    options = names_of(commands[words[0]])
    for word in words[1:]:
        name = word.split("=")[0].replace("_", "-")
        if name.startswith("--") and name not in options:
            allowed = ", ".join(sorted(options - {"--no-tensorboard", "--help"}))
            return f"{words[0]} has no option {name!r}; it has {allowed}.{_nearest(name, options)}"
    return None


def _nearest(name: str, names: Sequence[str] | dict[str, object] | set[str]) -> str:
    match = difflib.get_close_matches(name, list(names), n=1)
    return f" Did you mean {match[0]!r}?" if match else ""


def one_line(box: str) -> str:
    """The words inside tyro's box, on one line."""
    lines = [re.sub(r"[│╭╮╰╯─]+", " ", line).strip() for line in box.splitlines()]
    return " ".join(" ".join(line for line in lines if line).split())


def parse(words: Sequence[str]) -> Command:
    """The command that `words` name; exits 2 with one line on stderr when they do not fit."""
    problem = misspelling(words)
    if problem is None:
        errors = io.StringIO()
        try:
            with contextlib.redirect_stderr(errors):
                return tyro.cli(Command, prog="valuelab", args=list(words), description=__doc__.split("\n")[0])  # type: ignore[return-value, arg-type, union-attr, call-overload, no-any-return]
        except SystemExit as stop:
            if not stop.code:
                raise
            problem = one_line(errors.getvalue())
    print(f"valuelab: {problem}", file=sys.stderr)
    raise SystemExit(2)


def main(words: Sequence[str] | None = None) -> None:
    """Entry point of the `valuelab` command."""
    command = parse(sys.argv[1:] if words is None else words)
    from analysis.commands import run_command

    raise SystemExit(run_command(command))
