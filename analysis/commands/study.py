"""`valuelab study`: a question of `analysis.studies`, as a study that goes on where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from analysis.cli_studies import NicenessGeneralise, NicenessMonitor, Study, StudyOfSeeds
from analysis.commands.compare import follow
from analysis.commands.folders import require_frozen, require_writable
from analysis.commands.printing import say, table_of
from analysis.preregistration import preregister
from analysis.progress import showing
from analysis.studies.question import answer
from analysis.studies.registry import QUESTIONS
from envs.errors import UserError, nearest, require_integer
from envs.storage import write_bytes

OWN_WORDS: Mapping[type, str] = MappingProxyType({NicenessGeneralise: "niceness", NicenessMonitor: "niceness-monitor"})
"""The studies that have a command of their own."""


def run(command: StudyOfSeeds) -> int:
    """Run or go on with a study; 1 where cells failed, else 0."""
    name = command.name if isinstance(command, Study) else OWN_WORDS[type(command)]
    if name not in QUESTIONS:
        hint = nearest(name, QUESTIONS)
        raise UserError(f"There is no study {name!r}; there are {', '.join(QUESTIONS)}.{hint}")
    question = QUESTIONS[name]
    require_integer("--workers", command.workers, low=0, high=1024)
    count = question.num_seeds if command.seeds is None else command.seeds
    require_integer("--seeds", count, low=2, high=1000)
    require_integer("--first-seed", command.first_seed, low=0, high=2**31)
    seeds = range(command.first_seed, command.first_seed + count)
    if command.freeze is not None:
        digest = preregister(question.frozen(seeds), command.freeze)
        say(f"Frozen in {command.freeze}, SHA-256 {digest}.", "Commit or publish it, then run the same seeds with")
        say(f"  --preregistration {command.freeze}")
        return 0
    require_frozen(command.preregistration, how=f"valuelab study {name} --freeze FILE")
    folder = command.out or Path("runs") / f"study-{question.name}"
    require_writable(folder)
    if command.page is not None:
        require_writable(command.page.parent)
    with showing("study") as display:
        found = answer(
            question, folder, seeds=seeds, workers=command.workers, progress=follow(display),
            preregistration=command.preregistration,
            warn=lambda deviation: display.print(f"departs from {command.preregistration}: {deviation}"),
        )  # fmt: skip
    if found.report.table:
        table_of(found.report.table, title=f"{question.name}: what was measured, with 95 % intervals")
    say("", found.words, "", *(f"Figure: {path}" for path in found.figures))
    say(f"Table: {folder / 'rows.parquet'}. These words: {folder / 'summary.txt'}.")
    if command.page is not None:
        asked = f"valuelab study {question.name} --seeds {count} --first-seed {command.first_seed}"
        if command.preregistration is not None:
            frozen = command.preregistration
            asked += f" --preregistration {frozen.name if frozen.is_absolute() else frozen.as_posix()}"
        copies = {path: command.page.with_name(f"{command.page.stem}-{path.name}") for path in found.figures}
        for path, beside in copies.items():
            write_bytes(beside, path.read_bytes())
        names = [beside.name for beside in copies.values()]
        write_bytes(command.page, found.page(question, command=asked, figures=names).encode())
        say(f"Page: {command.page}.")
    return found.study.exit_code
