"""`valuelab probe`: instruments on trained agents, one by one or side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agents.device import resolve_device
from analysis.cli import Probe
from analysis.commands.folders import require_writable
from analysis.commands.printing import cell, say, table, wrapped
from analysis.probing.collecting import Collection
from analysis.probing.comparing import compare_reports
from analysis.probing.comparison_report import NOT_SHOWN, found, shown_rows, title_of, write_comparison
from analysis.probing.instrument import Settings
from analysis.probing.jobs import Job, checked_runs, probe_runs
from analysis.probing.report import ProbeReport, write_report
from analysis.progress import showing
from envs.errors import UserError, require_integer

SEVERAL = Path("runs/probes")


def run(command: Probe) -> int:
    """Probe, write the reports, and print what they found; 1 where an instrument failed."""
    require_integer("--episodes", command.episodes, low=2, high=10**7)
    require_integer("--seed", command.seed, low=0, high=2**63 - 1)
    require_integer("--workers", command.workers, low=0, high=1024)
    folders = _folders(command)
    require_writable(folders[0])
    device, line = resolve_device(command.device)
    settings = Settings(command.seed, collection=Collection(num_episodes=command.episodes))
    job = Job(
        command.runs, settings, names=command.instruments, context=command.context, imports=command.imports,
        device=device.type,
    )  # fmt: skip
    opened = checked_runs(job)
    say(line)
    with showing("probe") as display:
        reports = probe_runs(job, workers=command.workers, progress=display.tell)
    paths = []
    for one, folder, report in zip(opened, folders, reports, strict=True):
        say("", *one.remarks)
        show(report)
        paths += write_report(report, folder)
    if len(reports) > 1:
        paths += _side_by_side(reports, folders[0].parent)
    say("", *(f"Written: {path}" for path in paths))
    return int(any(reading.status == "failed" for report in reports for reading in report.readings))


def _folders(command: Probe) -> list[Path]:
    """Where the report of each run goes.

    Raises:
        UserError: The same run twice.
    """
    if len(command.runs) == 1:
        return [command.out or command.runs[0] / "probe"]
    names = [run.resolve().name for run in command.runs]
    if len({run.resolve() for run in command.runs}) < len(command.runs):
        raise UserError("The same run is named twice; a training seed counts once, so name each run once.")
    base = command.out or SEVERAL
    return [base / (name if names.count(name) == 1 else f"{name}-{index}") for index, name in enumerate(names)]


def show(report: ProbeReport) -> None:
    """Print what each instrument found, then the numbers; the tables stand in probe.md."""
    say(report.title, "", "What was found")
    for reading in report.readings:
        say(f"{reading.instrument}: {reading.question}", *_bullets(reading.sentences))
    say("", "What was not shown", *_bullets(report.not_shown), "")
    rows = [
        (reading.instrument, name, cell(value))
        for reading in report.readings
        for name, value in reading.numbers.items()
    ]
    if rows:
        table(("instrument", "number", "value"), rows, title="Numbers that runs are compared by")


def _side_by_side(reports: Sequence[ProbeReport], folder: Path) -> list[Path]:
    comparison = compare_reports(reports)
    say("", title_of(comparison), "", "What was found", *_bullets(found(comparison)))
    say("", "What was not shown", *_bullets(NOT_SHOWN), "")
    rows = shown_rows(comparison)
    header = list(dict.fromkeys(key for row in rows for key in row))
    title = "Means over seeds with 95 % t intervals; *: excludes 0 after Holm's correction"
    table(header, [[row.get(name, "–") for name in header] for row in rows], title=title)
    return write_comparison(comparison, folder)


def _bullets(sentences: Sequence[str]) -> list[str]:
    return [line for sentence in sentences for line in wrapped(f"- {sentence}")]
