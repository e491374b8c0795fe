"""`valuelab niceness solve`: exact answers about a case, in fractions, or about a village, in float64."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.cli_niceness import NicenessSolve
from analysis.commands.environments import is_world_of_people, parse_options
from analysis.commands.folders import case_words, folder_named, require_writable
from analysis.commands.printing import say, table, wrapped
from analysis.niceness import meanings, tables, village_solved
from analysis.niceness.solved import solve_all, told_apart
from analysis.progress import showing
from envs.errors import UserError, nearest
from envs.niceness.case_configs import case_of
from envs.niceness.case_registry import CASES, is_file, make_case, make_powerless
from envs.niceness.drmdp import DRMDP, KAPPA
from envs.registry import make_world
from envs.storage import sha256, write_bytes

VILLAGE, POLICY = "Village", "policy"


@dataclass(frozen=True)
class Answer:
    """One world at one power.

    Attributes:
        title: The world in one line.
        header: Names of the columns.
        rows: One for each objective.
        notes: What stands below, such as whether objectives can be told apart.
        record: All of it as JSON.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]
    record: dict[str, Any]


def run(command: NicenessSolve) -> int:
    """Print and write one table for each power; what is asked for twice is answered once."""
    command = dataclasses.replace(
        command, objectives=tuple(dict.fromkeys(command.objectives)), kappa=tuple(dict.fromkeys(command.kappa))
    )
    village = _is_village(command.case)
    note = village_solved.HOW_TO_READ if village else tables.HOW_TO_READ
    folder, found = command.out or folder_named("niceness", case_words(command.case), *_asked(command)), []
    for answer in _of_village(command) if village else _of_case(command):
        require_writable(folder)
        _show(answer)
        found.append(answer)
    objectives = meanings.objectives(row[0] for answer in found for row in answer.rows)
    notes = [note, meanings.sentence(meanings.MEASURES), objectives]
    for line in notes:
        say(*wrapped(line.replace("`", "")))
    for path in _write(folder, found, notes):
        say(f"Written: {path}")
    return 0


def _show(answer: Answer) -> None:
    """The table, and below it what has no room in one: policies, line by line."""
    in_table = [name for name in answer.header if name != POLICY]
    table(in_table, [row[: len(in_table)] for row in answer.rows], title=answer.title)
    for row in answer.rows:
        say(*(line for policy in row[len(in_table) :] for line in wrapped(f"  {row[0]} does: {policy}")))
    say(*(line for note in answer.notes for line in wrapped(note)), "")


def _asked(command: NicenessSolve) -> list[str]:
    """What the command asks for beside the case, so that other questions get other folders."""
    lists = {"kappa": command.kappa, "objectives": command.objectives}
    return [*command.options, *(f"{name}-{'_'.join(words)}" for name, words in lists.items() if words)]


def _of_case(command: NicenessSolve) -> Iterator[Answer]:
    options, cases = parse_options(command.options), _cases(command)
    file = _file(command.case)
    for power, case, powerless in cases:
        left_out: dict[str, str] = {}
        with showing("solve") as display:
            rows = solve_all(
                case, command.objectives, powerless=powerless, tell=display.tell,
                left_out=None if command.objectives else left_out,
            )  # fmt: skip
        share = told_apart(case)
        record = {
            "case": case.name, **file, "options": options, "kappa": power,
            "indistinguishability": None if share is None else str(share),
            "objectives": [row.as_json() for row in rows], "left_out": left_out,
        }  # fmt: skip
        cells = [tables.cells(row) for row in rows]
        title = tables.title(case, power) + _said(options)
        notes = [tables.apart_in_words(share), *(f"{name} is left out: {why}" for name, why in left_out.items())]
        yield Answer(title, tables.HEADER, cells, notes, record)


def _file(name: str) -> dict[str, str]:
    """Which file a case was read from, for the record."""
    return {"file": name, "sha256": sha256(name)} if is_file(name) else {}


def _said(options: Mapping[str, Any]) -> str:
    """Options as they end a title."""
    return "".join(f"; {name} {value}" for name, value in options.items())


def _cases(command: NicenessSolve) -> list[tuple[str | None, DRMDP, DRMDP | None]]:
    """The case at each power that was asked for, and without power."""
    options = parse_options(command.options)
    if KAPPA in options and command.kappa:
        raise UserError("kappa is given by --kappa and by --option; give it once.")
    made = _world_of_id if is_world_of_people(command.case) else _case_of_name
    if not command.kappa:
        return [(None, *made(command.case, options))]
    return [(power, *made(command.case, {**options, KAPPA: power})) for power in command.kappa]


def _case_of_name(name: str, options: dict[str, Any]) -> tuple[DRMDP, DRMDP | None]:
    """A named case or a case file, and the same without power."""
    if not is_file(name) and name.casefold() not in map(str.casefold, CASES):
        known = (*CASES, VILLAGE)
        raise UserError(
            f"case {name!r} is unknown, known are {', '.join(known)}, the ids of their worlds, such as "
            f"ValueLab/Village-9x9-v0, and files that end in .toml; name one.{nearest(name, known)}"
        )
    return make_case(name, **options), make_powerless(name, **options)


def _world_of_id(env_id: str, options: dict[str, Any]) -> tuple[DRMDP, DRMDP | None]:
    """The case that a world stands for, and the same without power."""
    config = make_world(env_id, **options).config
    off = {power: 0 for power in config.powers if power.startswith(KAPPA)}
    return case_of(config), case_of(make_world(env_id, **{**options, **off}).config) if off else None


def _is_village(name: str) -> bool:
    return name.casefold().removeprefix("valuelab/").partition("-")[0] == VILLAGE.casefold()


def _of_village(command: NicenessSolve) -> Iterator[Answer]:
    name = VILLAGE if command.case.casefold() == VILLAGE.casefold() else command.case
    options = parse_options(command.options)
    if command.kappa and options.keys() & {KAPPA, "kappa_p", "kappa_g"}:
        raise UserError("--kappa sets kappa_p and kappa_g, which --option gives too; give them once.")
    settings = [{**options, KAPPA: power} for power in command.kappa] or [options]
    configs = [make_world(name, **each).config for each in settings]
    for power, config in zip(command.kappa or (None,), configs, strict=True):
        with showing("solve") as display:
            rows = village_solved.solve_for(config, command.objectives, tell=display.tell)
            display.tell(1.0, "whether RT, IR and NS can be told apart")
            share = village_solved.told_apart(config)
        record = {
            "case": name, "options": options, "kappa": power, "indistinguishability": share,
            "objectives": [row.as_json() for row in rows],
        }  # fmt: skip
        beside = {name: value for name, value in options.items() if name not in config.powers}
        title, apart = village_solved.title(config) + _said(beside), tables.apart_in_words(share)
        yield Answer(title, village_solved.HEADER, [row.cells() for row in rows], [apart], record)


def _write(folder: Path, answers: Sequence[Answer], notes: Sequence[str]) -> tuple[Path, Path]:
    records = [answer.record for answer in answers]
    sections = [tables.section(one.title, one.header, one.rows, notes=one.notes) for one in answers]
    paths = folder / "solve.json", folder / "solve.md"
    write_bytes(paths[0], (json.dumps(records, indent=1, ensure_ascii=False) + "\n").encode())
    write_bytes(paths[1], ("\n\n".join([*sections, *notes]) + "\n").encode())
    return paths
