"""What a probe of one run found, instrument by instrument: words with their nulls and limits, rows, figures, files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.markdown import bullets, table
from analysis.probing.reading import Drawn, Reading, png_bytes
from analysis.probing.subject import Subject
from analysis.study_table import parquet_of
from envs.errors import UserError
from envs.storage import write_bytes, write_json

ONE_NETWORK = (
    "This is one trained network. Intervals are over its held-out episodes or levels, not over training seeds; a claim "
    "about an architecture needs at least 10 seeds."
)


@dataclass(frozen=True, eq=False)
class ProbeReport:
    """The answer of `probe_run`.

    Attributes:
        subject: Agent and environment.
        readings: Of the instruments, in the order of the registry.
    """

    subject: Subject
    readings: tuple[Reading, ...]

    @property
    def title(self) -> str:
        """In words."""
        return f"Probe of {self.subject.title}"

    @property
    def found(self) -> tuple[str, ...]:
        """What was found, each sentence with its null, and what could not be measured, with the reason."""
        return tuple(sentence for reading in self.readings for sentence in reading.sentences)

    @property
    def not_shown(self) -> tuple[str, ...]:
        """What this does not show, each sentence behind its instrument's name."""
        measured = [reading for reading in self.readings if reading.status == "measured"]
        lines = (f"{one.instrument}: {line}" for one in measured for line in (one.does_not_show, *one.not_shown))
        return (ONE_NETWORK, *dict.fromkeys(lines))

    @property
    def figures(self) -> dict[str, Drawn]:
        """By file name without suffix; ValueError where two instruments chose the same name."""
        named = [pair for reading in self.readings for pair in reading.figures.items()]
        if len(dict(named)) < len(named):
            raise ValueError(f"Two instruments draw a figure of the same name: {sorted(name for name, _ in named)}.")
        return dict(named)

    def reading(self, instrument: str) -> Reading:
        """What came of one instrument; UserError where it was not asked."""
        for reading in self.readings:
            if reading.instrument == instrument:
                return reading
        raise UserError(
            f"This probe did not use {instrument!r}; it used {', '.join(r.instrument for r in self.readings)}."
        )

    def rows(self) -> list[dict[str, Any]]:
        """Every number, as flat dicts that JSON can hold (None for NaN)."""
        return [{"instrument": reading.instrument, **row} for reading in self.readings for row in reading.rows]

    def text(self) -> str:
        """The report as Markdown: words first, then tables."""
        parts = [f"# {self.title}", "## What was found"]
        for reading in self.readings:
            parts += [f"### {reading.question}", bullets(reading.sentences)]
        parts += ["## What this does not show", bullets(self.not_shown)]
        for reading in self.readings:
            if reading.rows:
                parts += [f"## Numbers of `{reading.instrument}`", rows_table(reading.rows, reading.columns)]
        if self.figures:
            parts += ["## Figures", "\n".join(f"![{name}]({name}.png)" for name in self.figures)]
        return "\n\n".join(parts) + "\n"


def write_report(report: ProbeReport, folder: Path | str) -> list[Path]:
    """Writes probe.md, probe.json, rows.parquet and the figures, each in one step, and returns their paths.

    Raises:
        UserError: The folder cannot be written.
    """
    folder = Path(folder)
    write_bytes(folder / "probe.md", report.text().encode())
    subject = report.subject
    summary = {
        "title": report.title,
        "head": subject.head, "env_id": subject.env_id, "seed": subject.seed, "options": dict(subject.options),
        "instruments": [_summary(reading) for reading in report.readings],
        "found": list(report.found),
        "not_shown": list(report.not_shown),
        "rows": report.rows(),
    }  # fmt: skip
    write_json(folder / "probe.json", summary)
    write_bytes(folder / "rows.parquet", parquet_of(report.rows()))
    for name, drawn in report.figures.items():
        write_bytes(folder / f"{name}.png", png_bytes(drawn))
    files = ("probe.md", "probe.json", "rows.parquet", *(f"{name}.png" for name in report.figures))
    return [folder / name for name in files]


def _summary(reading: Reading) -> dict[str, Any]:
    named = ("instrument", "question", "status", "reason", "numbers")
    return {name: getattr(reading, name) for name in named}


def rows_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Rows as a Markdown table of the columns that any row has."""
    present = dict.fromkeys(key for row in rows for key in row)
    header = [name for name in columns or present if name in present]
    return table(header, [[cell(row.get(name)) for name in header] for row in rows])


def cell(value: Any) -> str:
    """A value as short text: three decimals, lists in brackets, a dash for what is not defined."""
    if value is None:
        return "–"
    if isinstance(value, list):
        return f"[{', '.join(cell(item) for item in value)}]" if any(item is not None for item in value) else "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
