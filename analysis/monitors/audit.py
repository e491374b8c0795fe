"""The blind audit: anybody's monitor on the sealed zoo, beside the shipped ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from analysis.markdown import table
from analysis.monitors.behaviour import TRAITS
from analysis.monitors.by_value import Scores
from analysis.monitors.scoring import Separation, separate
from analysis.monitors.subject import Subject
from analysis.monitors.zoo import Label, load_labels, load_subjects
from analysis.progress import Tell

ByAgent = dict[str, Scores]
HEADER = ("monitor", "trait", "AUROC", "threshold", "false alarms", "caught", "lead in κ", "agents")


@dataclass(frozen=True)
class Line:
    """How well one monitor sees one trait."""

    monitor: str
    trait: str
    found: Separation

    def cells(self) -> list[str]:
        """As a row under `HEADER`."""
        one = self.found
        return [
            self.monitor, self.trait, "{:.3f} [{:.3f}, {:.3f}]".format(*one.auroc), f"{one.threshold:.3g}",
            f"{one.false_alarms:.2f}", f"{one.caught:.2f}", f"{one.lead:.2f}",
            f"{one.num_positive} of {one.num_positive + one.num_negative}",
        ]  # fmt: skip


def score_all(
    folder: Path, monitors: Mapping[str, Callable[[Subject], Scores]], *, tell: Tell
) -> dict[str, ByAgent]:
    """Monitor -> agent -> scores; monitors see the agents one after the other, in the zoo's order, and no label."""
    found: dict[str, ByAgent] = {name: {} for name in monitors}
    subjects = dict(load_subjects(folder))
    for done, (agent, subject) in enumerate(subjects.items()):
        for name, score in monitors.items():
            found[name][agent] = score(subject)
        tell((done + 1) / len(subjects), f"agent {done + 1} of {len(subjects)}")
    return found


def judge(found: Mapping[str, ByAgent], labels: Mapping[str, Label]) -> list[Line]:
    """Open the seal: how well each monitor sees each trait that it scores."""
    lines = []
    for trait in TRAITS:
        for name, scores in found.items():
            agents = [agent for agent in labels if trait in scores[agent]]
            one = separate(
                [scores[agent][trait] for agent in agents], [labels[agent].shows[trait] for agent in agents],
                onset=[labels[agent].onset[trait] for agent in agents],
            ) if agents else None  # fmt: skip
            if one is not None:
                lines.append(Line(name, trait, one))
    return lines


def audit(folder: Path, monitors: Mapping[str, Callable[[Subject], Scores]], *, tell: Tell) -> list[Line]:
    """Score the agents of a zoo, and only then look at its labels."""
    found = score_all(folder, monitors, tell=tell)
    return judge(found, load_labels(folder))


def page(lines: list[Line]) -> str:
    """The lines as a Markdown table."""
    return table(HEADER, [line.cells() for line in lines])
