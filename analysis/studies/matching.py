"""Whether arms were given the same budget: without that a difference may be one of size or of training.

All arms of a world share the recording, and with it samples, batches and their order (`analysis.studies.yoked`). What
an arm could still differ in is counted in its fit: parameters of V∘E, and gradient steps.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from analysis.arms import ARMS
from analysis.studies.line_test import Lines

MATCH = 0.02
"""Largest difference in parameters, as a share of MONO's."""

FIT_GAP = 0.1
"""How far below MONO's the R^2 of an arm's V may lie before a difference may be one of fit."""


def unfit_lines(fits: Lines) -> list[str]:
    """Lines whose mean R^2 of V is more than `FIT_GAP` below MONO's; [] without MONO."""
    means = {line: statistics.fmean(per_seed.values()) for line, per_seed in fits.items() if per_seed}
    return [line for line, mean in means.items() if "MONO" in means and mean < means["MONO"] - FIT_GAP]


def marked(word: str, line: str, fits: Lines) -> str:
    """A verdict on a line, with a mark where its V does not fit."""
    return f"{word}, V unfit" if word and line in unfit_lines(fits) else word


def is_matched(line: str) -> bool:
    """Whether the arm of a line, "MONO" or "MONO (shared E)", must have MONO's budget."""
    arm = ARMS.get(line.split(" (")[0])
    return arm is not None and arm.matched


def matching_fault(parameters: Mapping[str, int], steps: Mapping[str, int]) -> str | None:
    """Why the arms of one world may not be compared; None where they are matched.

    Args:
        parameters: Line -> parameters of V∘E; the first matched line, MONO where it ran, is what others must match.
        steps: Line -> gradient steps of V.
    """
    matched = [line for line in parameters if is_matched(line)]
    if not matched:
        return None
    reference = "MONO" if "MONO" in matched else matched[0]
    found = [
        f"{line} has {parameters[line]} parameters, {parameters[line] / parameters[reference] - 1:+.1%} of {reference}"
        for line in matched
        if abs(parameters[line] / parameters[reference] - 1) > MATCH
    ]
    found += [
        f"{line} took {steps[line]} gradient steps, {reference} {steps[reference]}"
        for line in matched
        if steps[line] != steps[reference]
    ]
    return f"arms are not matched: {'; '.join(found)}" if found else None
