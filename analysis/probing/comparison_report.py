"""Probes side by side as words, tables, figures and files."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from analysis.markdown import bullets, table
from analysis.plots import save_figure, seed_panels, seed_scores
from analysis.probing import training_curves
from analysis.probing.comparing import Comparison, Difference
from analysis.probing.reading import plain
from analysis.probing.subject import Subject, differing
from analysis.probing.training_curves import seeds_word
from analysis.statistics import interval_over_seeds
from analysis.study_table import parquet_of
from envs.storage import write_bytes, write_json

NOT_SHOWN = (
    "A difference that is not found is not equality: that would need a margin, fixed beforehand, and the seeds for it.",
    "Heads of equal size can differ in how well they fit V*; read a difference beside that of `outcomes` and of the "
    "swaps explained.",
    "10 seeds of each head are the least to show a difference, and 20 to claim one.",
)


def title_of(comparison: Comparison) -> str:
    """Groups, seeds and environment."""
    counted = ", ".join(f"{group} ({seeds_word(reports)})" for group, reports in comparison.groups.items())
    return f"Probes side by side: {counted} on {_subjects(comparison)[0].env_id}"


def _subjects(comparison: Comparison) -> list[Subject]:
    """One run of each group."""
    return [next(iter(reports.values())).subject for reports in comparison.groups.values()]


def found(comparison: Comparison) -> list[str]:
    """What differs after Holm's correction, what does not, where there is no interval, and in what groups differ."""
    tested = [one for one in comparison.differences if one.test is not None]
    apart = [one for one in tested if one.adjusted <= 0.05]
    sentences = [_sentence(one) for one in apart]
    if tested:
        rest = len(tested) - len(apart)
        sentences.append(
            f"{len(tested)} differences over seeds were tested together (Holm, 5 %); {len(apart)} exclude 0, {rest} do "
            "not. Null: 0, two heads that differ in nothing."
        )
    reasons = dict.fromkeys(one.reason for one in comparison.differences if one.test is None)
    sentences += [f"Differences without an interval: {reason}." for reason in reasons]
    if len(comparison.groups) < 2:
        sentences.append(f"All runs are of {next(iter(comparison.groups))}, so there is nothing to subtract.")
    readings = [one for runs in comparison.groups.values() for report in runs.values() for one in report.readings]
    silent = {f"{one.instrument}, {one.status}: {one.reason}" for one in readings if one.status != "measured"}
    return [*sentences, *_apart(comparison), *training_curves.remarks(comparison.groups), *sorted(silent)]


def _apart(comparison: Comparison) -> list[str]:
    """Settings in which groups differ beside the head."""
    subjects, sentences = _subjects(comparison), []
    for name in differing(subjects):
        holders: dict[str, list[str]] = {}
        for group, one in zip(comparison.groups, subjects, strict=True):
            holders.setdefault(str(one.settings[name]), []).append(group)
        said = "; ".join(f"{value} in {', '.join(groups)}" for value, groups in holders.items())
        sentences.append(f"Groups differ in {name} too: {said}. A difference between them is of all they differ in.")
    return sentences


def _sentence(one: Difference) -> str:
    assert one.test is not None
    return (
        f"{one.instrument}: {one.number} is {one.test.interval.text(sign='+')} in {one.second} minus {one.first} "
        f"({one.reason}; adjusted p {one.adjusted:.3g}). Null: 0."
    )


def shown_rows(comparison: Comparison) -> list[dict[str, str]]:
    """One line for each number: every group with its interval over seeds, and every difference."""
    rows = []
    for (instrument, number), groups in comparison.scores.items():
        row = {"instrument": instrument, "number": number}
        row |= {group: _score_text(groups.get(group, {})) for group in comparison.groups}
        for one in comparison.differences:
            if (one.instrument, one.number) == (instrument, number):
                row[f"{one.second} − {one.first}"] = _difference_text(one)
        rows.append(row)
    return rows


def _score_text(per_seed: Mapping[int, float]) -> str:
    interval = interval_over_seeds(per_seed)
    if interval is not None:
        return interval.text()
    return next((f"{score:.3f}" for score in per_seed.values()), "–")


def _difference_text(one: Difference) -> str:
    if one.test is None:
        return "–" if math.isnan(one.estimate) else f"{one.estimate:+.3f} (no interval)"
    return one.test.interval.text(sign="+") + (" *" if one.adjusted <= 0.05 else "")


def figures(comparison: Comparison) -> dict[str, Figure]:
    """One figure for each instrument that gave numbers, and the curves of `training`."""
    drawn = {}
    for instrument in dict.fromkeys(instrument for instrument, _ in comparison.scores):
        panels = {
            number: [seed_scores(group, per_seed) for group, per_seed in groups.items() if per_seed]
            for (name, number), groups in comparison.scores.items()
            if name == instrument and any(groups.values())
        }
        if panels:
            drawn[f"compare_{instrument}"] = seed_panels(
                panels, title=f"{instrument}: every run", subtitle="dot: one training seed; bar: 95 % t over seeds"
            )
    return drawn | training_curves.figures(comparison.groups)


def write_comparison(comparison: Comparison, folder: Path | str) -> list[Path]:
    """Writes comparison.md, comparison.json, scores.parquet and the figures, and returns their paths.

    Raises:
        UserError: The folder cannot be written.
    """
    folder, rows = Path(folder), shown_rows(comparison)
    drawn = figures(comparison)
    write_bytes(folder / "comparison.md", _text(comparison, rows, drawn).encode())
    differences = [_difference_row(one) for one in comparison.differences]
    summary: dict[str, Any] = {"title": title_of(comparison), "found": found(comparison), "not_shown": list(NOT_SHOWN)}
    summary |= {"scores": comparison.rows(), "differences": differences}
    write_json(folder / "comparison.json", {**summary, "curves": training_curves.rows(comparison.groups)})
    write_bytes(folder / "scores.parquet", parquet_of(comparison.rows()))
    pictures = [save_figure(figure, folder / f"{name}.png") for name, figure in drawn.items()]
    return [*(folder / name for name in ("comparison.md", "comparison.json", "scores.parquet")), *pictures]


def _difference_row(one: Difference) -> dict[str, Any]:
    fields = {name.name: getattr(one, name.name) for name in dataclasses.fields(one)}
    test = fields.pop("test")
    ends = {} if test is None else {"low": test.interval.low, "high": test.interval.high, "p_value": test.p_value}
    return {name: plain(value) for name, value in {**fields, **ends}.items()}


def _text(comparison: Comparison, rows: Sequence[Mapping[str, str]], drawn: Mapping[str, Figure]) -> str:
    header = list(dict.fromkeys(key for row in rows for key in row))
    parts = [f"# {title_of(comparison)}", "## What was found", bullets(found(comparison))]
    parts += ["## What this does not show", bullets(NOT_SHOWN)]
    parts += ["## Numbers", "Means over seeds with 95 % t intervals; *: excludes 0 after Holm's correction."]
    parts += [table(header, [[row.get(name, "–") for name in header] for row in rows])]
    parts += ["## Figures", "\n".join(f"![{name}]({name}.png)" for name in drawn)] if drawn else []
    return "\n\n".join(parts) + "\n"
