"""The commands of the command line: this module runs a parsed one, and turns what a user can cause into one line.

Each command has a file of its own with `run`, imported when it is called for.
"""

from __future__ import annotations

import signal
import sys
from typing import assert_never

from analysis.cli import Command, Demo, Envs, Evaluate, NicenessTrain, Probe, Train
from analysis.cli_niceness import Audit, NicenessPhase, NicenessScorecard, NicenessSolve, NicenessTables
from analysis.cli_shown import EnvsCheck, Play, Watch
from analysis.cli_studies import Compare, Preregister, StudyOfSeeds
from envs.errors import NonFiniteError, UserError


def run_command(command: Command) -> int:
    """Run a command.

    Returns:
        The exit code: 0 all well, 1 a study holds failed cells or an environment has faults, 2 bad input or a value
        that is not finite (one line on stderr says which), 130 interrupted and 143 terminated (one line says what is
        kept). Any other exception is a fault of the program or of somebody's environment, and keeps its traceback.
    """
    try:
        return _run(command)
    except UserError as error:
        return _refused(str(error))
    except NonFiniteError as error:
        where = f"{command.env_id}: " if isinstance(command, Train) else ""
        return _refused(f"{where}{error}")
    except KeyboardInterrupt as stop:
        print(f"valuelab: interrupted; {_kept(command)}", file=sys.stderr)
        return 128 + int(getattr(stop, "signum", signal.SIGINT))


def _refused(reason: str) -> int:
    print(f"valuelab: {' '.join(reason.split())}", file=sys.stderr)
    return 2


def _run(command: Command) -> int:
    """Call the command's own file."""
    # Imported here, because each needs other libraries and some take seconds.
    match command:
        case NicenessTrain():
            from analysis.commands import niceness_train

            return niceness_train.run(command)
        case NicenessScorecard():
            from analysis.commands import niceness_scorecard

            return niceness_scorecard.run(command)
        case Train():
            from analysis.commands import train

            return train.run(command)
        case Evaluate():
            from analysis.commands import evaluate

            return evaluate.run(command)
        case Play():
            from analysis.commands import play

            return play.run(command)
        case Watch():
            from analysis.commands import watch

            return watch.run(command)
        case Probe():
            from analysis.commands import probe

            return probe.run(command)
        case Compare():
            from analysis.commands import compare

            return compare.run(command)
        case Preregister():
            from analysis.commands import preregister

            return preregister.run(command)
        case StudyOfSeeds():
            from analysis.commands import study

            return study.run(command)
        case Demo():
            from analysis.commands import demo

            return demo.run(command)
        case Envs():
            from analysis.commands import envs

            return envs.run()
        case EnvsCheck():
            from analysis.commands import envs_check

            return envs_check.run(command)
        case NicenessSolve() | NicenessTables() | NicenessPhase() | Audit():
            from analysis.commands import niceness

            return niceness.run(command)
        case _:
            assert_never(command)


def _kept(command: Command) -> str:
    """What an interrupted command leaves behind."""
    match command:
        case Compare() | Demo() | StudyOfSeeds():
            return "what was finished is kept, and the same command goes on from there."
        case Train():
            return "what was saved is kept, and the same command with --resume goes on from there."
        case _:
            return "nothing that was there has changed."
