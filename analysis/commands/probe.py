"""`valuelab probe`: is the context readable from a trained V, and does V use it?"""

from __future__ import annotations

from agents.device import resolve_device
from analysis.cli import Probe
from analysis.commands.environments import import_packages
from analysis.commands.folders import require_writable
from analysis.commands.printing import say
from analysis.probe import ProbeBudget, probe_agent
from analysis.probe_report import ProbeReport, write_report
from analysis.progress import showing
from analysis.runs import open_run
from envs.errors import require_integer


def run(command: Probe) -> int:
    """Probe, write the report, and print what it found."""
    require_integer("--episodes", command.episodes, low=2, high=10**7)
    require_integer("--seed", command.seed, low=0, high=2**63 - 1)
    import_packages(command.imports)
    opened = open_run(command.run)
    folder = command.out or command.run / "probe"
    require_writable(folder)
    device, line = resolve_device(command.device)
    say(line, *opened.remarks)
    with showing("probe") as display:
        report = probe_agent(
            opened.agent.to(device), opened.env_id, seed=command.seed, options=opened.options,
            budget=ProbeBudget(num_episodes=command.episodes), progress=display.tell,
        )  # fmt: skip
    paths = write_report(report, folder)
    show(report)
    say("", *(f"Written: {path}" for path in paths))
    return 0


def show(report: ProbeReport) -> None:
    """Print the report's words; its tables stand in probe.md."""
    say(f"{report.title} ({report.status})", "", "What was found", *(f"- {line}" for line in report.found))
    say("", "What was not shown", *(f"- {line}" for line in report.not_shown))
