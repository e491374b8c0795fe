"""What came of one instrument in one run: its finding as plain values, or why there is none.

A reading is the same whether it was made in this process or came as text from another one.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure

from analysis.plots.style import png_of
from analysis.probing.instrument import Finding, Instrument, Settings
from analysis.probing.material import Material, NotApplicable
from envs.errors import UserError

Drawn = Figure | bytes
"""A figure, or the PNG of one that was drawn in another process."""
Status = Literal["measured", "not applicable", "refused", "failed"]


@dataclass(frozen=True, eq=False)
class Reading:
    """What came of an instrument.

    Attributes:
        instrument: Its name.
        question: What it asked.
        does_not_show: What its answer does not show.
        status: "not applicable" where there is nothing to measure, "refused" where the data do not suffice, "failed"
            where its process ended without an answer.
        reason: Of any other status than "measured".
        rows: As in `Finding`; floats that are not finite are None, tuples are lists.
        columns: As in `Finding`.
        numbers: As in `Finding`; None where not defined.
        found: As in `Finding`.
        not_shown: As in `Finding`.
        figures: By file name without suffix.
    """

    instrument: str
    question: str
    does_not_show: str
    status: Status
    reason: str = ""
    rows: tuple[dict[str, Any], ...] = ()
    columns: tuple[str, ...] = ()
    numbers: Mapping[str, float | None] = dataclasses.field(default_factory=dict)
    found: tuple[str, ...] = ()
    not_shown: tuple[str, ...] = ()
    figures: Mapping[str, Drawn] = dataclasses.field(default_factory=dict)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was found, or why nothing was."""
        return self.found if self.status == "measured" else (f"{self.instrument}, {self.status}: {self.reason}",)


def read_with(instrument: Instrument, material: Material, settings: Settings) -> Reading:
    """Apply an instrument; what it refuses becomes its reading, any other exception is a fault and propagates."""
    try:
        finding = instrument.measure(material, settings)
    except NotApplicable as error:
        return without_finding(instrument, "not applicable", str(error))
    except UserError as error:
        return without_finding(instrument, "refused", str(error))
    return _with_finding(instrument, finding)


def without_finding(instrument: Instrument, status: Status, reason: str) -> Reading:
    """The reading of an instrument that gave none."""
    return Reading(instrument.name, instrument.question, instrument.does_not_show, status, reason)


def _with_finding(instrument: Instrument, finding: Finding) -> Reading:
    return Reading(
        instrument.name, instrument.question, instrument.does_not_show, "measured",
        rows=tuple(plain_row(row) for row in finding.rows),
        columns=tuple(finding.columns),
        numbers={name: plain(float(value)) for name, value in finding.numbers.items()},
        found=tuple(finding.found), not_shown=tuple(finding.not_shown),
        figures=dict(finding.figures),
    )  # fmt: skip


def plain_row(row: Mapping[str, object]) -> dict[str, Any]:
    """A row of values that JSON can hold."""
    return {name: plain(value) for name, value in row.items()}


def plain(value: object) -> Any:
    """A value that JSON can hold: None for what is not finite, lists for tuples and arrays, Python's own numbers."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def png_bytes(drawn: Drawn) -> bytes:
    """A figure as PNG."""
    return drawn if isinstance(drawn, bytes) else png_of(drawn)


def to_text(reading: Reading) -> str:
    """A reading as JSON."""
    fields = {one.name: getattr(reading, one.name) for one in dataclasses.fields(reading)}
    figures = {name: base64.b64encode(png_bytes(drawn)).decode() for name, drawn in reading.figures.items()}
    return json.dumps({**fields, "figures": figures}, allow_nan=False)


def from_text(text: str) -> Reading:
    """A reading from what `to_text` gave."""
    fields = json.loads(text)
    figures = {name: base64.b64decode(png) for name, png in fields.pop("figures").items()}
    lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    return Reading(**{**fields, **lists}, figures=figures)
