"""A test as the comparison runs it: which cells it needs, which of their numbers is the score, and which rule reads it.

A *line* is one row of a test's table: an arm under an E regime ("MONO", "MONO (imitated E)") or a planted agent.
A cell of a test scores one line for one seed (or, `across_seeds`, for all seeds) and returns rows. Rows with

    {"kind": "score", "score": number or None, "seed": only across seeds, <name>: number or None, ...}

are read here: `score` is the test's score, every other number a secondary reading of its own name. None means that the
seed gives no number. Rows of other kinds serve the test's own figures.

To add a test, write its `Prediction` and its measure in `analysis/predictions/`, its cell function and a `LineTest` in
a module of its own beside this one, and name that in `analysis.studies.tests.TESTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from analysis.admission import DOSES
from analysis.cells import Row
from analysis.predictions.prediction import Prediction

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PerSeed = dict[int, float]
Lines = dict[str, PerSeed]
Parent = Literal["fit", "sister", "teacher", "teacher's sister", "record", "log"]
LEAK = "leak "
"""Start of the names of readings of POS with a leak in its gate, such as "leak 0.1"."""
LEAKS = DOSES[1:]
"""Doses of POS's gate beside 0: (1 - leak) one-hot + leak/K, laid on the weights that were trained without it."""


@dataclass(frozen=True, kw_only=True)
class LineTest:
    """One test of the comparison.

    Attributes:
        prediction: Question, metric, margin, controls and rule.
        cell: Key of the cell function that scores a line.
        worlds: Names in `analysis.studies.plan.SETUPS` on which it runs.
        title: Of its figure: the question in a few words.
        axis: Of its figure, and head of its column in tables: the score with its unit.
        parents: What the cell reads: "fit" (the line's V), "sister" (the same with other initial weights), "teacher"
            and "teacher's sister" (the V that taught it; without a teacher, its own), "record" (the player and its
            episodes), "log" (the cell `log_cell`, from the recording alone).
        arms: The only arms that it reads; () reads those of the plan.
        needs: Arms that are run for it even where the plan has them not.
        log_cell: Key of the cell function behind the parent "log".
        across_seeds: One cell holds all seeds of a line.
        plants: Planted agents, scored by the same cell with `arm` the plant's name, `regime` "-" and no fit.
        fault: Lines -> why the plants forbid a verdict, None where they come out.
        encoders: Whether lines of the E regimes other than `scratch` are scored, too.
        against_zero: Margin for a verdict of each line against 0; None where 0 is no null.
        contrasts: Whether the primary contrasts get verdicts.
        admission: Whether `pair`, and with POS and NEG-F an untrained MONO (its reading "untrained") and doses of POS's
            leak, must admit the metric.
        pair: The planted positive and null that admit it: two arms.
        by_construction: Arms whose score holds partly by construction.
        shown: Secondary readings that the summary shows; all are in the tables.
        quoted: Those that an answer must not be read without, each with what it is in words.
        estimates: Readings beside the score that an answer shows with intervals, each with what it is in words.
        draw: Line -> rows of its cells (with the seed) -> figures of its own, by file name.
    """

    prediction: Prediction
    cell: str
    worlds: tuple[str, ...]
    title: str
    axis: str
    parents: tuple[Parent, ...] = ("fit",)
    arms: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    log_cell: str | None = None
    across_seeds: bool = False
    plants: tuple[str, ...] = ()
    fault: Callable[[Mapping[str, PerSeed]], str | None] | None = None
    encoders: bool = False
    against_zero: float | None = None
    contrasts: bool = False
    admission: bool = False
    pair: tuple[str, str] = ("POS", "NEG-F")
    by_construction: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    quoted: Mapping[str, str] = field(default_factory=dict)
    estimates: Mapping[str, str] = field(default_factory=dict)
    draw: Callable[[Mapping[str, Sequence[Row]]], Mapping[str, Figure]] | None = None

    def __post_init__(self) -> None:
        """Refuse an unknown parent, a log without a cell, and plants that nothing judges."""
        if unknown := set(self.parents) - set(get_args(Parent)):
            raise ValueError(f"{self.key}: parents {sorted(unknown)} are unknown; allowed are {get_args(Parent)}.")
        if ("log" in self.parents) != (self.log_cell is not None):
            raise ValueError(f"{self.key}: the parent 'log' and log_cell go together.")
        if bool(self.plants) != (self.fault is not None):
            raise ValueError(f"{self.key}: plants and fault go together.")

    @property
    def common_pair(self) -> bool:
        """Whether POS and NEG-F admit the metric, and no pair of its own."""
        return self.pair == ("POS", "NEG-F")

    def holds_by_construction(self, line: str) -> bool:
        """Whether the score of a line, in any E regime, holds partly by construction."""
        return line.split(" (")[0] in self.by_construction

    @property
    def key(self) -> str:
        """Short name, such as "T5"."""
        return self.prediction.key

    def frozen(self) -> dict[str, object]:
        """What a preregistration freezes: every word of the prediction, and how scores are read."""
        read = (
            "worlds", "against_zero", "contrasts", "admission", "plants", "across_seeds", "encoders", "by_construction",
        )  # fmt: skip
        own_pair = {} if self.common_pair else {"pair": self.pair}
        return self.prediction.frozen() | {name: getattr(self, name) for name in read} | own_pair
