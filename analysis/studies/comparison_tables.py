"""A comparison as files for others: its two tables in Markdown, and every per-seed number in one CSV file."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

import polars

from analysis.markdown import table
from analysis.studies.comparison_scores import Scores, ScoresOfTest, is_control
from analysis.studies.comparison_words import SCOPE, readable_words, with_interval
from analysis.studies.contest_test import SHOWN_STACKS
from analysis.studies.line_test import Lines, PerSeed
from analysis.studies.matching import marked

LEAST_CEILING = 0.01
"""Nats per state that a sister network must add before the law's gain is put in proportion to it."""


def markdown(scores: Scores) -> str:
    """The table of arms and tests, and T0's predictors where T0 was run."""
    parts = [f"{scores.num_seeds} seeds, means with 95 % t intervals.", _arms_table(scores)]
    if "T0" in scores.tests:
        parts += [
            "T0's predictors of V on never-trained pairings, held-out log-likelihood in nats per state:",
            _predictors_table(scores.tests["T0"]),
        ]
    return "\n\n".join([*parts, SCOPE]) + "\n"


def _arms_table(scores: Scores) -> str:
    tests = list(scores.tests)
    lines = list(dict.fromkeys(line for key in tests for line in scores.tests[key].lines))
    worlds = list(scores.fits)
    heads = ["arm", *(f"{key}: {scores.tests[key].test.axis}" for key in tests), f"R² of V ({' / '.join(worlds)})"]
    rows = [
        [line, *(_cell(scores.tests[key], line, scores.fits) for key in tests),
         " / ".join(_mean(scores.fits[world].get(line, {}), 2) for world in worlds)]
        for line in lines
    ]  # fmt: skip
    return table(heads, rows)


def fits_table(scores: Scores) -> str:
    """R² of V by line and world, means over seeds."""
    lines = dict.fromkeys(line for fits in scores.fits.values() for line in fits)
    rows = [[line, *(_mean(fits.get(line, {}), 2) for fits in scores.fits.values())] for line in lines]
    return table(["arm", *scores.fits], rows)


def _cell(test: ScoresOfTest, line: str, fits: Mapping[str, Lines]) -> str:
    per_seed = test.lines.get(line)
    if not per_seed:
        return "–"
    word = "(control)" if is_control(line) else readable_words(test).get(line, "")
    return f"{with_interval(per_seed)} {marked(word, line, fits.get(test.world, {}))}".strip()


def _predictors_table(test: ScoresOfTest) -> str:
    rows = [
        [line, *(_mean(test.extra[f"values nats_{key}"].get(line, {}), 2) for key in SHOWN_STACKS),
         _mean(test.extra["values ceiling"].get(line, {}), 3), _share_of_ceiling(test, line)]
        for line in test.lines
    ]  # fmt: skip
    return table(["arm", *SHOWN_STACKS.values(), "ceiling: abde − abd", "gain of c / ceiling"], rows)


def _share_of_ceiling(test: ScoresOfTest, line: str) -> str:
    """Mean gain over mean ceiling, where a sister network adds enough for the ratio to mean anything."""
    gain, ceiling = test.lines[line], test.extra["values ceiling"].get(line, {})
    if not gain or not ceiling or statistics.fmean(ceiling.values()) <= LEAST_CEILING:
        return "–"
    return f"{statistics.fmean(gain.values()) / statistics.fmean(ceiling.values()):.2f}"


def _mean(per_seed: PerSeed, digits: int) -> str:
    return f"{statistics.fmean(per_seed.values()):.{digits}f}" if per_seed else "–"


def csv_of(scores: Scores) -> bytes:
    """Every per-seed number: columns test (or "fit"), reading, line, seed, value."""
    rows = [
        (key, reading, line, seed, value)
        for key, test in scores.tests.items()
        for reading, lines in {"score": test.lines, **test.extra}.items()
        for line, per_seed in lines.items()
        for seed, value in per_seed.items()
    ]
    rows += [
        ("fit", f"r_squared, {world}", line, seed, value)
        for world, lines in scores.fits.items()
        for line, per_seed in lines.items()
        for seed, value in per_seed.items()
    ]
    schema = {"test": polars.String, "reading": polars.String, "line": polars.String, "seed": polars.Int64,
              "value": polars.Float64}  # fmt: skip
    return polars.DataFrame(rows, schema=schema, orient="row").write_csv().encode()
