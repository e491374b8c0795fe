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
from analysis.probing.comparing import Comparison, Difference
from analysis.probing.reading import plain
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
    """Heads, seeds and environment."""
    seeds = {
        head: len({r.subject.seed for r in comparison.reports if r.subject.head == head}) for head in comparison.heads
    }
    counted = ", ".join(f"{head} ({number} seed{'s' if number > 1 else ''})" for head, number in seeds.items())
    return f"Probes side by side: {counted} on {comparison.reports[0].subject.env_id}"


def found(comparison: Comparison) -> list[str]:
    """What differs after Holm's correction, what does not, and where there is no interval."""
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
    if len(comparison.heads) < 2:
        sentences.append(f"All runs are of {comparison.heads[0]}, so there is nothing to subtract.")
    silent = {f"{reading.instrument}, {reading.status}: {reading.reason}" for report in comparison.reports
              for reading in report.readings if reading.status != "measured"}  # fmt: skip
    return [*sentences, *sorted(silent)]


def _sentence(one: Difference) -> str:
    assert one.test is not None
    return (
        f"{one.instrument}: {one.number} is {one.test.interval.text(sign='+')} in {one.second} minus {one.first} "
        f"({one.reason}; adjusted p {one.adjusted:.3g}). Null: 0."
    )


def shown_rows(comparison: Comparison) -> list[dict[str, str]]:
    """One line for each number: every head with its interval over seeds, and every difference."""
    rows = []
    for (instrument, number), heads in comparison.scores.items():
        row = {"instrument": instrument, "number": number}
        row |= {head: _score_text(heads.get(head, {})) for head in comparison.heads}
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
    """One figure for each instrument that gave numbers."""
    drawn = {}
    for instrument in dict.fromkeys(instrument for instrument, _ in comparison.scores):
        panels = {
            number: [seed_scores(head, per_seed) for head, per_seed in heads.items() if per_seed]
            for (name, number), heads in comparison.scores.items()
            if name == instrument and any(heads.values())
        }
        if panels:
            drawn[f"compare_{instrument}"] = seed_panels(
                panels, title=f"{instrument}: every run", subtitle="dot: one training seed; bar: 95 % t over seeds"
            )
    return drawn


def write_comparison(comparison: Comparison, folder: Path | str) -> list[Path]:
    """Writes comparison.md, comparison.json, scores.parquet and the figures, and returns their paths.

    Raises:
        UserError: The folder cannot be written.
    """
    folder, rows = Path(folder), shown_rows(comparison)
    drawn = figures(comparison)
    write_bytes(folder / "comparison.md", _text(comparison, rows, drawn).encode())
    differences = [_difference_row(one) for one in comparison.differences]
    summary = {"title": title_of(comparison), "found": found(comparison), "not_shown": list(NOT_SHOWN)}
    write_json(folder / "comparison.json", {**summary, "scores": comparison.rows(), "differences": differences})
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
