"""What a test of the comparison is: its question, metric, controls, margin and rule, written before any run."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Prediction:
    """One test. Its hash goes into a preregistration, so every word here is frozen before a study runs.

    Attributes:
        key: Short name, such as "T5".
        question: What is asked, in one sentence.
        world: Registry id of the world that it runs on.
        actor: Who behaves: "none" (V is read off), "D", "V1" or "search(n)".
        metric: The per-seed score, with its formula.
        margin: Smallest effect of interest, in the metric's own units.
        family: "confirmatory" (gives verdicts) or "exploratory" (gives estimates).
        positive: The planted positive that must score high.
        null: The planted null that must score low.
        rule: How scores become words.
        does_not_show: What no outcome of this test can show.
        version: Bumped by hand when the numbers change.
    """

    key: str
    question: str
    world: str
    actor: str
    metric: str
    margin: float
    family: str
    positive: str
    null: str
    rule: str
    does_not_show: str
    version: int = 1

    def __post_init__(self) -> None:
        """Refuse an unknown family and a margin that decides nothing."""
        if self.family not in ("confirmatory", "exploratory"):
            raise ValueError(f"{self.key}: family is {self.family!r}; it is 'confirmatory' or 'exploratory'.")
        if not self.margin > 0:
            raise ValueError(f"{self.key}: margin is {self.margin}; it must be above 0, in the metric's units.")

    def frozen(self) -> dict[str, object]:
        """The fields as a JSON object, for hashing."""
        return dataclasses.asdict(self)
