"""`valuelab niceness solve`, `tables` and `phase`: exact answers; and `valuelab audit`."""

from __future__ import annotations

from analysis.cli_niceness import Audit, NicenessPhase, NicenessSolve, NicenessTables
from analysis.commands import niceness_solve
from analysis.commands.folders import require_file
from analysis.commands.printing import say
from analysis.niceness import phase_page, tables
from analysis.plots.style import save_figure
from envs.storage import write_bytes


def run(command: NicenessSolve | NicenessTables | NicenessPhase | Audit) -> int:
    """Run one of them."""
    match command:
        case Audit():
            # The only one that needs torch, which takes seconds.
            from analysis.commands import audit

            return audit.run(command)
        case NicenessSolve():
            return niceness_solve.run(command)
        case NicenessTables():
            return run_tables(command)
        case NicenessPhase():
            return run_phase(command)


def run_tables(command: NicenessTables) -> int:
    """Write the page."""
    require_file(command.out)
    write_bytes(command.out, tables.page().encode())
    say(f"Written: {command.out}")
    return 0


def run_phase(command: NicenessPhase) -> int:
    """Write the page and its figures."""
    require_file(command.out)
    found = phase_page.compute()
    write_bytes(command.out, phase_page.page(found, stem=command.out.stem).encode())
    figures = [
        save_figure(figure, command.out.with_name(f"{command.out.stem}_{name}.png"))
        for name, figure in phase_page.figures(found).items()
    ]
    say(f"Written: {command.out}", *(f"Figure: {path}" for path in figures))
    return 0
