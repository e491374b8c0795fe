"""`valuelab preregister`: what a comparison will test, frozen by hash before it runs."""

from __future__ import annotations

from analysis.cli_studies import Preregister
from analysis.commands.compare import plan_of
from analysis.commands.printing import say
from analysis.preregistration import preregister
from analysis.studies.plan import frozen


def run(command: Preregister) -> int:
    """Write the frozen plan, and say how to run it."""
    plan = plan_of(command, command.preset)
    digest = preregister(frozen(plan), command.file)
    say(f"Frozen in {command.file}, SHA-256 {digest}.", "Commit or publish the file, then run:")
    words = ["valuelab compare", f"--preset {command.preset}"]
    words += [f"--seeds {command.seeds}"] if command.seeds is not None else []
    words += [f"--first-seed {command.first_seed}"] if command.first_seed else []
    words += [f"--arms {' '.join(command.arms)}"] if command.arms else []
    words += [f"--tests {' '.join(command.tests)}"] if command.tests else []
    words += [f"--worlds {' '.join(command.worlds)}"] if command.worlds else []
    words += [f"--regime {command.regime}"] if command.regime != "yoked" else []
    words += [f"--targets {command.targets}"] if command.targets != "monte_carlo" else []
    say(f"  {' '.join(words)} --preregistration {command.file}")
    return 0
