"""`valuelab envs check`: what is wrong with an environment, and how to mend it."""

from __future__ import annotations

from typing import Any

import gymnasium

from agents.environments import make_single
from analysis.cli_shown import EnvsCheck
from analysis.commands.environments import import_packages, parse_options, require_options
from analysis.commands.printing import say, wrapped
from analysis.progress import showing
from envs.checks import Finding, Report, check_env
from envs.errors import UserError, require_integer


def run(command: EnvsCheck) -> int:
    """Check, print the findings; 1 where there are faults, 0 otherwise."""
    require_integer("--seed", command.seed, low=0, high=2**31)
    require_integer("--steps", command.steps, low=240, high=10**7)
    import_packages(command.imports)
    options = parse_options(command.options)
    require_options(command.env_id, options)
    _require_made(command.env_id, options)
    with showing("envs check") as display:
        report = check_env(
            command.env_id, options=options, seed=command.seed, num_steps=command.steps, imports=command.imports,
            progress=display.tell,
        )  # fmt: skip
    show(report)
    return 1 if report.faults else 0


def _require_made(env_id: str, options: dict[str, Any]) -> None:
    try:
        make_single(env_id, options).close()
    except (gymnasium.error.Error, TypeError) as error:
        raise UserError(f"Env {env_id!r} with options {options} cannot be made: {error}") from error


def show(report: Report) -> None:
    """Print the findings with their cures, what was not judged, and what was played."""
    for finding in report.findings:
        _show(finding)
    lines = [f"Not judged. {why}" for why in report.not_judged]
    counts = f"{_count(len(report.faults), 'fault')}, {_count(len(report.warnings), 'warning')}"
    lines.append(f"{report.name}: {counts}, in {report.num_steps} steps of {report.num_episodes} episodes.")
    if not report.findings:
        lines.append("That nothing was found does not show that nothing is there: what shows more rarely is missed.")
    say(*(part for line in lines for part in wrapped(line)))


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _show(finding: Finding) -> None:
    place = f", {finding.where}" if finding.where else ""
    seen = f": {finding.seen}" if finding.seen else ""
    lines = (f"  found   {finding.what}{seen}.", f"  sound   {finding.rule.sound}.", f"  cure    {finding.rule.cure}.")
    say(
        f"{finding.rule.severity.upper()} {finding.rule.name}{place}", *(p for line in lines for p in wrapped(line)), ""
    )
