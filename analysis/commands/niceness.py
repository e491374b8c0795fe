"""`valuelab niceness solve`, `tables` and `phase`: exact answers about small cases; and `valuelab audit`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.cli_niceness import Audit, NicenessPhase, NicenessSolve, NicenessTables
from analysis.commands.environments import parse_options
from analysis.commands.folders import require_writable
from analysis.commands.printing import say, table, wrapped
from analysis.niceness import phase_page, tables
from analysis.niceness.solved import Solved, solve_all, told_apart
from analysis.plots.style import save_figure
from envs.errors import UserError
from envs.niceness.case_file import read_case
from envs.niceness.case_registry import make_case
from envs.niceness.drmdp import DRMDP
from envs.storage import write_bytes


def run(command: NicenessSolve | NicenessTables | NicenessPhase | Audit) -> int:
    """Run one of them."""
    match command:
        case Audit():
            # The only one that needs torch, which takes seconds.
            from analysis.commands import audit

            return audit.run(command)
        case NicenessSolve():
            return run_solve(command)
        case NicenessTables():
            return run_tables(command)
        case NicenessPhase():
            return run_phase(command)


def run_solve(command: NicenessSolve) -> int:
    """Print and write one table for each power."""
    cases = _cases(command)
    folder = command.out or Path("runs") / f"niceness-{Path(command.case).stem}"
    require_writable(folder)
    solved = []
    for power, case in cases:
        rows = solve_all(case, command.objectives)
        solved.append((power, case, rows))
        table(tables.HEADER, [tables.cells(row) for row in rows], title=tables.title(case, power))
        say(tables.apart_in_words(case), "")
    say(*wrapped(tables.HOW_TO_READ.replace("`", "")))
    for path in _write(folder, solved):
        say(f"Written: {path}")
    return 0


def _cases(command: NicenessSolve) -> list[tuple[str | None, DRMDP]]:
    """The case at each power that was asked for."""
    options = parse_options(command.options)
    if command.case.endswith(".toml"):
        if options or command.kappa:
            raise UserError(f"{command.case} says all of its case, so --option and --kappa do nothing; edit the file.")
        return [(None, read_case(Path(command.case)))]
    if not command.kappa:
        return [(None, make_case(command.case, **options))]
    if "kappa" in options:
        raise UserError("kappa is given by --kappa and by --option; give it once.")
    return [(power, make_case(command.case, **options, kappa=power)) for power in command.kappa]


def _write(folder: Path, solved: Sequence[tuple[str | None, DRMDP, list[Solved]]]) -> tuple[Path, Path]:
    records = [_record(power, case, rows) for power, case, rows in solved]
    sections = [tables.as_markdown(case, rows, power) for power, case, rows in solved]
    paths = folder / "solve.json", folder / "solve.md"
    write_bytes(paths[0], (json.dumps(records, indent=1, ensure_ascii=False) + "\n").encode())
    write_bytes(paths[1], ("\n\n".join([*sections, tables.HOW_TO_READ]) + "\n").encode())
    return paths


def _record(power: str | None, case: DRMDP, rows: Sequence[Solved]) -> dict[str, Any]:
    share = told_apart(case)
    return {
        "case": case.name, "kappa": power, "indistinguishability": None if share is None else str(share),
        "objectives": [row.as_json() for row in rows],
    }  # fmt: skip


def run_tables(command: NicenessTables) -> int:
    """Write the page."""
    require_writable(command.out.parent)
    write_bytes(command.out, tables.page().encode())
    say(f"Written: {command.out}")
    return 0


def run_phase(command: NicenessPhase) -> int:
    """Write the page and its figures."""
    require_writable(command.out.parent)
    found = phase_page.compute()
    write_bytes(command.out, phase_page.page(found, stem=command.out.stem).encode())
    figures = [
        save_figure(figure, command.out.with_name(f"{command.out.stem}_{name}.png"))
        for name, figure in phase_page.figures(found).items()
    ]
    say(f"Written: {command.out}", *(f"Figure: {path}" for path in figures))
    return 0
