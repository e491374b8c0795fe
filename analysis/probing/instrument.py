"""What an instrument of `valuelab probe` is: a question, a measure of a trained agent, and what that does not show.

The measure itself is pure and stands in `analysis.instruments`: arrays in, frozen result out. What stands in
`analysis.probing` says which arrays of an agent it reads, and makes rows, numbers, sentences and figures of its result:

    INSTRUMENT = Instrument(name="tails", question="...?", does_not_show="...", measure=measure)

    def measure(material: Material, settings: Settings) -> Finding: ...

A new one is named in `analysis.probing.registry`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from matplotlib.figure import Figure

from analysis.instruments.probes import ProbeSettings
from analysis.probing.collecting import Collection
from analysis.probing.material import Material

Row = Mapping[str, object]
"""One line of a finding's table: texts, integers, floats (NaN: not defined), booleans, None, and tuples of these."""


@dataclass(frozen=True)
class Settings:
    """How an agent is probed.

    Attributes:
        seed: All randomness follows from it.
        num_rows: Most rows that a probe is fitted on (`Sample.first`).
        collection: How much is collected.
        probe: Folds, penalties and resamples of linear probes.
    """

    seed: int
    num_rows: int = 3000
    collection: Collection = field(default_factory=Collection)
    probe: ProbeSettings = field(
        default_factory=lambda: ProbeSettings(num_inner_folds=2, penalties=(0.01, 0.1, 1.0, 10.0))
    )


@dataclass(frozen=True, eq=False)
class Finding:
    """What an instrument found in one run.

    Attributes:
        rows: Its table, baselines and planted controls included. Rows may have different keys.
        numbers: The few numbers that stand for the run when several are compared, by a name that says what they are;
            the same names for every run that the instrument can measure.
        found: Sentences; each says what was found and beside which null.
        not_shown: Limits that this run has beyond `Instrument.does_not_show`.
        figures: By file name without suffix; begins with the instrument's name where it could be taken for another's.
        columns: Keys of the rows that are shown in the terminal and in Markdown, in this order; all where left out.
    """

    rows: Sequence[Row]
    numbers: Mapping[str, float]
    found: Sequence[str]
    not_shown: Sequence[str] = ()
    figures: Mapping[str, Figure] = field(default_factory=lambda: MappingProxyType({}))
    columns: Sequence[str] = ()


@dataclass(frozen=True)
class Instrument:
    """An instrument as the harness knows it.

    Attributes:
        name: The word by which the command line calls it.
        question: What it asks, one line that ends in a question mark.
        does_not_show: What its answer does not show, a whole sentence.
        measure: Raises `analysis.probing.material.NotApplicable`, or a `UserError` where the data do not suffice. All
            instruments get the same material; none changes the networks.
        seconds: Expected on two thousand rows of a MultiNeed agent; orders the work and weighs the progress line.
        is_slow: Runs only where it is named.
    """

    name: str
    question: str
    does_not_show: str
    measure: Callable[[Material, Settings], Finding]
    seconds: float = 10.0
    is_slow: bool = False
