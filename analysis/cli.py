"""The command line: every command is a frozen dataclass.

`analysis.arguments` checks the words, tyro parses them, and `analysis.commands` runs what they say. This module
imports nothing heavy, so that `valuelab --help` answers at once.

Exit codes: 0 all well, 1 a study holds failed cells or an environment has faults, 2 bad input (one line on stderr), 130
interrupted (SIGINT), 143 terminated (SIGTERM, which `train` answers by saving).
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import io
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import tyro

from agents.config import RouteEncoder, Stage, ValueEncoder
from agents.search_config import ImproveConfig, SearchRules
from agents.stage_config import ImitationConfig, ReinforceConfig, ValueConfig
from analysis.arguments import one_line, problem_with
from analysis.cli_help import HELP, groups, overview
from analysis.cli_niceness import Audit, NicenessPhase, NicenessScorecard, NicenessSolve, NicenessTables
from analysis.cli_shown import EnvsCheck, Play, Watch
from analysis.cli_studies import Compare, NicenessGeneralise, NicenessMonitor, Preregister, Study
from analysis.cli_words import CaseOrId, Device, EnvId, Import, Options, Run, Runs, Some, SomeRules
from analysis.some_settings import some_of

SomeImitation = Annotated[dict[str, Any], ImitationConfig, tyro.conf.arg(constructor=some_of(ImitationConfig))]
SomeReinforce = Annotated[dict[str, Any], ReinforceConfig, tyro.conf.arg(constructor=some_of(ReinforceConfig))]
SomeSearch = Annotated[dict[str, Any], ImproveConfig, tyro.conf.arg(constructor=some_of(ImproveConfig))]
SomeValue = Annotated[dict[str, Any], ValueConfig, tyro.conf.arg(constructor=some_of(ValueConfig))]


@dataclasses.dataclass(frozen=True)
class Demo:
    """The main job: train and probe on MiniGrid, compare value heads on CrossedHistory, and say what was found."""

    out: Path = Path("runs/demo")
    """Folder for everything that is written. Finished parts are not repeated."""
    seed: int = 0
    """Seed of the MiniGrid run (the comparison uses seeds 0, 1 and 2)."""
    workers: int = 2
    """Worker processes of the comparison; the numbers do not depend on it."""
    device: Device = "cpu"
    """Where the networks run."""


@dataclasses.dataclass(frozen=True)
class Train:
    """Train an agent in AlphaGo's order: imitate, reinforce, value, and on its own search where --stages says so."""

    env_id: EnvId
    """A registered Gymnasium id, such as ValueLab/MultiNeed-v0 or MiniGrid-Empty-8x8-v0."""
    value_head: Some[str] = None
    """How V is built: MONO, MOE, ROUTE, POS or NEG-F (default: MONO)."""
    value_encoder: Some[ValueEncoder] = None
    """V's encoder: its own (scratch, the default), a frozen copy of D's (imitated), or D's itself (shared)."""
    route_encoder: Some[RouteEncoder] = None
    """What reaches V's encoder from ROUTE: each part's own events (routed), all errors (global), or nothing (stopped);
    left out, global, but routed on CrossedHistory."""
    encoder: Some[str] = None
    """How E is built: mlp, conv or gru (default: mlp)."""
    stages: Some[tuple[Stage, ...]] = None
    """The stages to run, each once and in this order (default: imitate reinforce value)."""
    demonstrations: Some[Path] = None
    """A file of recorded episodes to imitate; without it an exact or a search expert is used where one can be had, and
    the word `expert` or `search` insists on one."""
    num_demonstrations: Some[int] = None
    """Episodes of the expert (default: 40000 of an exact expert, which cost little, 200 found by search)."""
    demonstration_noise: Some[float] = None
    """Share of random actions in an exact expert's, which shows D states off its path (default: 0.6)."""
    demonstration_temperature: Some[float] = None
    """Softness of the exact expert in units of return: action a with probability as exp(Q*(s, a)/T) (default: 0)."""
    demonstration_shares: Some[tuple[float, ...]] = None
    """Shares of the episodes by an exact, a noisy and a soft expert, such as 0.5 0.3 0.2 (default: one expert)."""
    episodes: Some[int] = None
    """Episodes per reported return (default: 256)."""
    seed: Some[int] = None
    """Run seed; the same seed gives the same weights (default: 0)."""
    out: Some[Path] = None
    """Run folder (default: runs/ENV-HEAD-seedN)."""
    device: Some[Device] = None
    """Where the networks run (default: auto)."""
    checkpoint_every: Some[int] = None
    """Gradient steps of a stage between two checkpoints that --resume can go on from (default: 2000)."""
    keep_history: Some[bool] = None
    """Whether to keep the agents at the marks of stage value, for `valuelab probe` (default: true)."""
    resume: bool = False
    """Go on with the run in --out, exactly as if it had not been interrupted; begin it where there is none. Settings
    are the run's own: give none, or the same."""
    tensorboard: bool = False
    """Also write the curve for TensorBoard (needs the extra `tensorboard`)."""
    options: Options = ()
    """An option of the environment, such as size=5 (`valuelab envs` lists ours); may be given several times."""
    imports: Import = ()
    """A package to import first, so that it can register its environments; may be given several times."""
    imitation: SomeImitation = dataclasses.field(default_factory=dict)
    """Settings of the stage imitate; what is left out suits the environment."""
    reinforce: SomeReinforce = dataclasses.field(default_factory=dict)
    """Settings of the stage reinforce; what is left out suits the environment."""
    value: SomeValue = dataclasses.field(default_factory=dict)
    """Settings of the stage value; what is left out suits the environment."""
    search: SomeSearch = dataclasses.field(default_factory=dict)
    """Settings of the stage search; what is left out suits the environment."""

    def __post_init__(self) -> None:
        """Refuse wrong values of settings, whatever the environment."""
        ImproveConfig(**self.search)
        ImitationConfig(**self.imitation)
        ReinforceConfig(**self.reinforce)
        ValueConfig(**self.value)


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Play a trained agent on training and on held-out levels."""

    run: Run
    """A folder written by `valuelab train`."""
    actor: str = "both"
    """D: the policy head's best action; V1: argmax_a E[r + discount * V(s')] with the world's own kernel; search-N: the
    best action after N simulations, such as search-16, by the rules that --search.* give; both: D and V1."""
    episodes: int = 256
    """Episodes per actor and split."""
    seed: int = 1000
    """Evaluation seed, apart from the run's."""
    device: Device = "auto"
    """Where the networks run."""
    imports: Import = ()
    """A package to import first; may be given several times."""
    search: SomeRules = dataclasses.field(default_factory=dict)
    """How an actor search-N looks ahead; what is left out is by Gumbel's rules, with the world's rewards."""

    def __post_init__(self) -> None:
        """Refuse wrong values of settings."""
        SearchRules(**self.search)


@dataclasses.dataclass(frozen=True)
class Probe:
    """Ask a trained value head for its context: is it readable, does V use it, and how? Several runs side by side."""

    runs: Runs
    """Folders written by `valuelab train`, or agents saved from Stable-Baselines3; several are also compared, heads
    by heads, with differences over training seeds."""
    instruments: tuple[str, ...] = ()
    """Names of instruments, such as readability context (default: all but the slow ones; docs/instruments.md lists
    them)."""
    episodes: int = 400
    """Held-out episodes to collect of each run."""
    seed: int = 1000
    """Seed of the episodes and of everything that the instruments draw."""
    context: str = ""
    """MODULE:FUNCTION, a context of your own: from observations, arrays [n, ...] by part, to n integers."""
    workers: int = 2
    """Worker processes; the numbers do not depend on it. 0: this process."""
    out: Path | None = None
    """Folder for tables and figures (default: RUN/probe of one run, runs/probes of several)."""
    device: Device = "auto"
    """Where the networks run."""
    imports: Import = ()
    """A package to import first; may be given several times."""


@dataclasses.dataclass(frozen=True)
class Envs:
    """List the worlds with their ids, observations, contexts and options; `envs check ENV_ID` looks for faults."""


@dataclasses.dataclass(frozen=True)
class NicenessTrain(Train):
    """Train an agent on an objective in a case or a world of people: `valuelab train` with --objective."""

    env_id: CaseOrId
    """A case, such as TRIAD or ZEALOT, a TOML file that describes one, or a world's id, such as ValueLab/Triad-v0."""
    objective: str | None = None
    """What the agent is paid for: RT (the default), IR, NS, PR-A (any taste), Myopic, or a sum such as
    0.5*RT+0.5*IR."""


NicenessStudy = NicenessGeneralise | NicenessMonitor
Niceness = NicenessSolve | NicenessTrain | NicenessScorecard | NicenessTables | NicenessPhase | NicenessStudy | Audit
Command = Demo | Train | Evaluate | Watch | Probe | Compare | Preregister | Study | Play | Envs | EnvsCheck | Niceness


def commands() -> dict[str, type[Any]]:
    """The commands by the word, or the two words, that call them: EnvsCheck by "envs check"."""
    return {re.sub(r"(?<=[a-z])(?=[A-Z])", " ", one.__name__).lower(): one for one in get_args(Command)}


def parse(words: Sequence[str]) -> Command:
    """The command that `words` name; exits 2 with one line on stderr when they do not fit, 0 after printing help."""
    group = words[0] if words and words[0] in groups(commands()) else ""
    if set(words[1:2] if group else words[:1]) & set(HELP):
        print(overview(commands(), group=group))
        raise SystemExit(0)
    if list(words[:1]) == ["--version"]:
        print(f"valuelab {importlib.metadata.version('valuelab')}")
        raise SystemExit(0)
    if " ".join(words[:2]) in commands():
        words = [" ".join(words[:2]), *words[2:]]
    problem = problem_with(words, commands())
    if problem is None:
        errors = io.StringIO()
        try:
            with contextlib.redirect_stderr(errors):
                parsed: Command = tyro.cli(
                    commands()[words[0]], prog=f"valuelab {words[0]}", args=list(words[1:]), add_help=True
                )
                return parsed
        except SystemExit as stop:
            if not stop.code:
                raise
            problem = one_line(errors.getvalue())
    print(f"valuelab: {problem}", file=sys.stderr)
    raise SystemExit(2)


def main(words: Sequence[str] | None = None) -> None:
    """Entry point of the `valuelab` command; always ends in SystemExit."""
    try:
        command = parse(sys.argv[1:] if words is None else words)
        # Small networks lose by threads, most of all on a busy machine, and the number of threads shows in the bits of
        # results. Whoever wants more sets the variable.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        from analysis.commands import run_command

        raise SystemExit(run_command(command))
    except KeyboardInterrupt:
        print("valuelab: interrupted before anything was written.", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        # The reader (such as `head`) has gone; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
