"""Tests that no question was left to, on a page: each with its estimates, its controls and its figure, no verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path

from analysis.markdown import table
from analysis.studies.answer_sentences import positions
from analysis.studies.comparison_figures import figure_name
from analysis.studies.comparison_scores import Scores, ScoresOfTest
from analysis.studies.comparison_tables import fits_table
from analysis.studies.comparison_words import admission_lines, role, with_interval

OPENING = """## Other tests

Estimates over {seeds} seeds with 95 % t intervals. Nothing here is a verdict: these tests calibrate, describe, and
suggest what to ask next. Secondary readings are in the summary and in the table of scores."""


def sections(tests: Mapping[str, ScoresOfTest], scores: Scores, *, drawn: Collection[str], folder: str) -> list[str]:
    """A section for each test, and how well V fits; [] without tests."""
    if not tests:
        return []
    parts = [OPENING.format(seeds=scores.num_seeds)]
    own = _own_figures(scores, drawn)
    parts += [_section(name, test, drawn=own[name], folder=folder) for name, test in tests.items()]
    placed = positions(dataclasses.replace(scores, tests=dict(tests)))
    if placed:
        parts += ["### Where MONO lies between the known networks", "\n".join(f"- {line}" for line in placed)]
    return [*parts, "### How well V fits", "R² of V against the exact V^π of the recorded policy.", fits_table(scores)]


def _section(name: str, test: ScoresOfTest, *, drawn: Collection[str], folder: str) -> str:
    prediction = test.prediction
    parts = [
        f"### {name}. {prediction.question}",
        f"Score: {prediction.metric}. Null: {prediction.null}.",
        table(["arm", test.test.axis, ""], [[line, with_interval(found), role(test, line)]
                                            for line, found in test.lines.items()]),
        *admission_lines(test),
    ]  # fmt: skip
    if test.controls is not None:
        parts.append(f"**Not to be read**, because {test.controls}.")
    return "\n\n".join([*parts, *(f"![{Path(figure).stem}]({folder}/{figure})" for figure in drawn)])


def _own_figures(scores: Scores, drawn: Collection[str]) -> dict[str, list[str]]:
    """Name of a test -> its figures among `drawn`: that of its scores, then those that start with its key.

    Maps of parts, one for each arm, are left to the folder.
    """
    main = {figure_name(name): name for name in scores.tests}
    found = {name: [figure] if figure in drawn else [] for figure, name in main.items()}
    for name, test in scores.tests.items():
        for figure in drawn:
            here = len(test.test.worlds) == 1 or test.world in figure
            if figure.startswith(f"{test.test.key}-") and here and figure not in main and "-maps-" not in figure:
                found[name].append(figure)
    return found

