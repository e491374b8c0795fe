"""Freeze a study's plan by hash before it runs, and say afterwards, in words, where the study left it.

The frozen file holds the plan (seeds, rules and whatever else the caller fixes), the versions of our decision rules,
and the SHA-256 of both. The time stands in a second file beside it, NAME.time.json, so that equal plans
give equal files. A frozen plan is never overwritten by another.

What it cannot show: that nobody ran the study elsewhere first. The hash only shows what was fixed; publish it, or
commit the file, before the run if others shall believe the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from analysis.canonical import content_hash, plain
from analysis.cell_files import StudyFolder
from analysis.provenance import utc_now
from analysis.verdicts import RULE_VERSIONS
from envs import storage
from envs.errors import UserError

COMPARED = ("tests", "margins", "seeds", "arms")
ASKED = ("rule", "seeds", "cells")
"""What must be fixed before a comparison, and before another question, is run."""
OWN_RULE = ("verdict",)
"""Rules that a question uses beside its own; a comparison uses all."""
SCHEMA = 1
MAX_SHOWN = 80


def preregister(plan: Mapping[str, Any], path: str | Path) -> str:
    """Freeze a plan.

    Args:
        plan: JSON values; must fix everything in `COMPARED`, or everything in `ASKED`.
        path: the file to write, such as RUN/preregistration.json. The same plan again changes nothing.

    Returns:
        The SHA-256 of the plan with the rule versions, to be quoted.

    Raises:
        UserError: a required part is missing or empty, seeds repeat, or another plan is frozen at ``path``.
    """
    frozen = _with_rules(plan)
    path, plan_hash = Path(path), content_hash(frozen)
    if path.exists():
        if _deviations(frozen, path):
            raise UserError(f"Another plan is frozen in '{path}'; a frozen plan is not changed, choose another file.")
        return str(storage.read_json(path)["sha256"])
    storage.write_json(_time_file(path), {"sha256": plan_hash, "frozen_utc": utc_now()})
    storage.write_json(path, {"schema": SCHEMA, "sha256": plan_hash, "plan": frozen})
    return plan_hash


def check(
    plan: Mapping[str, Any], path: str | Path, *, study: str | Path | None = None, cells: Iterable[str] | None = None
) -> list[str]:  # fmt: skip
    """Compare what is being run with what was frozen.

    Args:
        plan: the plan as it is now; the current rule versions are added.
        path: the frozen file.
        study: a study's folder; given, cells of the plan that were computed before it was frozen are a deviation too.
        cells: hashes of the plan's cells, where the folder may hold those of other plans besides; None takes all.

    Returns:
        Deviations, one sentence each; [] where there are none. A missing or edited frozen file is a deviation.

    Raises:
        UserError: the present plan lacks a required part, or the frozen file cannot be read as JSON.
    """
    frozen, path = _with_rules(plan), Path(path)
    if not path.exists():
        return [f"Nothing was frozen before the study ran: there is no file '{path.name}'."]
    return _deviations(frozen, path) + ([] if study is None else _early_cells(StudyFolder(Path(study)), path, cells))


def _with_rules(plan: Mapping[str, Any]) -> dict[str, Any]:
    checked: dict[str, Any] = plain(plan, "Plan")
    required = ASKED if "rule" in checked else COMPARED
    missing = [name for name in required if not checked.get(name)]
    if missing:
        raise UserError(f"The plan has no {', '.join(missing)}; it must fix {', '.join(required)}.")
    seeds = checked["seeds"]
    if not isinstance(seeds, list) or len({str(seed) for seed in seeds}) < len(seeds):
        raise UserError(f"The plan's seeds are {seeds}, but must be a list without repetitions.")
    versions = {name: RULE_VERSIONS[name] for name in (OWN_RULE if "rule" in checked else RULE_VERSIONS)}
    return {**checked, "rule_versions": versions}


def holds_plan(record: Any) -> bool:
    """Whether what a JSON file holds has the form of a frozen plan."""
    return isinstance(record, dict) and isinstance(record.get("plan"), dict)


def _deviations(now: Mapping[str, Any], path: Path) -> list[str]:
    record = storage.read_json(path)
    if not holds_plan(record):
        return [f"The file '{path.name}' holds no frozen plan."]
    times = storage.read_json(_time_file(path)) if _time_file(path).is_file() else record
    edited = {record.get("sha256"), times.get("sha256")} != {content_hash(record["plan"])}
    found = [f"The frozen file '{path.name}' was edited: its plan does not match its SHA-256."] if edited else []
    return found + list(_differences(_of_its_rules(record["plan"], now), now, ""))


def _of_its_rules(frozen: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """A frozen plan without the versions of rules that a question does not use."""
    versions = frozen.get("rule_versions", {})
    own = {name: versions[name] for name in versions if "rule" not in now or name in OWN_RULE}
    return {**frozen, "rule_versions": own}


def _differences(frozen: Any, now: Any, place: str) -> Iterator[str]:
    """Yield a sentence for each difference, going down into dicts."""
    if isinstance(frozen, dict) and isinstance(now, dict):
        for key in sorted(frozen.keys() | now.keys()):
            name = f"{place}.{key}" if place else key
            if key not in now:
                yield f"{name} was frozen as {_shown(frozen[key])} and is missing now."
            elif key not in frozen:
                yield f"{name} is {_shown(now[key])} now and was not frozen."
            else:
                yield from _differences(frozen[key], now[key], name)
    elif isinstance(frozen, list) and isinstance(now, list):
        yield from _list_differences(frozen, now, place)
    elif type(frozen) is not type(now) or frozen != now:
        yield f"{place} was frozen as {_shown(frozen)} and is {_shown(now)} now."


def _list_differences(frozen: list[Any], now: list[Any], place: str) -> Iterator[str]:
    lost, added = [item for item in frozen if item not in now], [item for item in now if item not in frozen]
    if lost:
        yield f"{place} lacks {_shown(lost)}, which was frozen ({len(frozen)} entries then, {len(now)} now)."
    if added:
        yield f"{place} has {_shown(added)}, which was not frozen ({len(frozen)} entries then, {len(now)} now)."
    if not lost and not added and frozen != now:
        yield f"{place} was frozen as {_shown(frozen)} and is {_shown(now)} now."


def _early_cells(folder: StudyFolder, path: Path, cells: Iterable[str] | None) -> list[str]:
    """Say how many cells, of those named, were computed before the plan was frozen."""
    time_file = _time_file(path)
    if not time_file.is_file():
        return [f"The time of freezing is unknown: there is no file '{time_file.name}'."]
    record = storage.read_json(time_file)
    frozen_utc = record.get("frozen_utc") if isinstance(record, dict) else None
    if not isinstance(frozen_utc, str):
        return [f"The time of freezing is unknown: the file '{time_file.name}' holds none."]
    manifests = (folder.manifest(cell_hash) for cell_hash in set(folder.hashes() if cells is None else cells))
    early = sum(storage.read_json(file)["started_utc"] < frozen_utc for file in manifests if file.is_file())
    return [f"{early} cells were computed before the plan was frozen at {frozen_utc}."] if early else []


def _time_file(path: Path) -> Path:
    return path.with_name(f"{path.stem}.time.json")


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."
