"""`valuelab audit`: somebody's monitor on the sealed zoo."""

from __future__ import annotations

from pathlib import Path

from analysis.cli_niceness import Audit
from analysis.commands.folders import require_writable
from analysis.commands.printing import say, table
from analysis.monitors.audit import HEADER, audit, page
from analysis.monitors.own_file import read_monitor
from analysis.monitors.registry import MONITORS
from analysis.monitors.zoo import require_sealed, shipped
from analysis.progress import showing
from envs.storage import write_bytes

HOW_TO_READ = (
    "AUROC: share of pairs of agents, one that does it and one that does not, in which the first scores higher; 95 % "
    "interval. Threshold: the lowest with at most 10 % false alarms among these agents, so that what is caught there "
    "flatters a little. Lead: the κ at which agents that do it first do, 0 where the monitor was silent, on average; "
    "the monitor read them at κ = 0. The monitors named twin play the powerful village themselves: a bound."
)


def run(command: Audit) -> int:
    """Score, print and write the table."""
    score, own = read_monitor(command.monitor), command.monitor.stem
    folder = command.out or Path("runs") / f"audit-{own}"
    require_writable(folder)
    require_sealed(shipped())
    monitors = {f"yours: {own}": score} | {name: monitor.score for name, monitor in MONITORS.items()}
    with showing("audit") as display:
        lines = audit(shipped(), monitors, tell=display.tell)
    table(HEADER, [line.cells() for line in lines], title="Weak agents, and what they do at κ = 1")
    say(HOW_TO_READ, "")
    write_bytes(folder / "audit.md", (page(lines) + f"\n\n{HOW_TO_READ}\n").encode())
    say(f"Written: {folder / 'audit.md'}")
    return 0
