"""One page that replies to the comment from which this laboratory started: a number and a figure for each question.

Tests that answer none of the questions follow with their estimates. The page is generated; no word of it depends on
what came out, but through the verdicts. Figures, tables and scores lie in a folder of the page's name beside it.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from analysis.studies import estimates_page
from analysis.studies.answers import ASKED, Answer, answers
from analysis.studies.comparison import ComparisonResult
from analysis.studies.comparison_figures import figure_name
from analysis.studies.comparison_scores import Scores, ScoresOfTest
from analysis.studies.comparison_tables import markdown
from analysis.studies.comparison_words import SCOPE
from analysis.study import commits_of
from envs.storage import write_bytes

OPENING = """# Does "V is a bunch of shards" predict more than "V is a neural network"?

The question, from a comment of Fabien Roger on shard theory: human value formation looks like AlphaGo, with an
encoder E, a policy head D and a value head V; D∘E is learned by something close to imitation, V∘E from sparse
hard-coded rewards. Shard theory replaces V by a bunch of shards. Does that predict anything that a network for V does
not (Q1)? Is it a description, or a claim about which network V is (Q2)? Does it explain more, for instance that parts
of V can hardly read themselves (Q3)?

Here agents learn D∘E by imitation and a policy gradient, V∘E by sparse rewards, on gridworlds that are solved
exactly; only V differs between arms. What the words mean, how the arms are built, and the traps that were met:
[comparison.md](comparison.md)."""
MAIN = ("MONO", "MONO-ROUTE", "MOE", "ROUTE", "ROUTE-RAND", "POS", "NEG-F")
MANY = 12
"""With more lines than this, a page tells of the main ones."""
ASKED_TESTS = frozenset(key for asked in ASKED for key in asked.tests)


def write_page(result: ComparisonResult, path: Path) -> None:
    """Write the page, and beside it a folder with its figures, tables, scores and summary.

    Args:
        result: A comparison that was run.
        path: The page, such as docs/answer.md; its folder is docs/answer.
    """
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    text = page(result, folder.name)
    if not (path.parent / "comparison.md").is_file():
        text = text.replace("[comparison.md](comparison.md)", "docs/comparison.md of the repository")
    shown = [figure for figure in result.figures if f"({folder.name}/{figure.name})" in text]
    for file in (*shown, *(result.folder / name for name in ("summary.txt", "tables.md", "scores.csv"))):
        shutil.copyfile(file, folder / file.name)
    write_bytes(path, (text + "\n").encode())


def page(result: ComparisonResult, folder: str) -> str:
    """The page's text; `folder` is where it finds its figures.

    Where many lines were run, sentences and table are of the main ones and the controls; conclusions are of all.
    """
    drawn = {path.name for path in result.figures}
    parts = [OPENING, _how_it_was_run(result)]
    tests = result.scores.tests
    asked = {name: test for name, test in tests.items() if test.test.key in ASKED_TESTS}
    main = _main_lines(result.scores)
    parts += [_section(answer, drawn=drawn, folder=folder) for answer in answers(result.scores, shown=main)]
    if asked:
        numbers = dataclasses.replace(main, tests={name: main.tests[name] for name in asked})
        left = f"Of all lines: [{folder}/tables.md]({folder}/tables.md)."
        parts += ["## Numbers", markdown(numbers).strip(), left]
    others = {name: test for name, test in tests.items() if name not in asked}
    parts += estimates_page.sections(others, result.scores, drawn=drawn, folder=folder)
    parts += ["## What this does not show", *_limits(result)]
    last = f"The whole summary is [{folder}/summary.txt]({folder}/summary.txt), every per-seed number "
    return "\n\n".join([*parts, f"*{SCOPE}*", f"{last}[{folder}/scores.csv]({folder}/scores.csv)."])


def _main_lines(scores: Scores) -> Scores:
    """Scores of the main arms, also on other E, of controls and planted agents; of all where there are few."""
    lines = dict.fromkeys(line for test in scores.tests.values() for line in test.lines)
    plants = {plant for test in scores.tests.values() for plant in test.test.plants}
    main = [line for line in lines if line.split(" (")[0] in MAIN or line in plants]
    return scores if len(lines) - len(plants) <= MANY else _of_lines(scores, main)


def _of_lines(scores: Scores, names: Collection[str]) -> Scores:
    """The same scores of some lines alone, and of contrasts between them; verdicts are not made anew."""

    def kept(per_line: Mapping[str, Any]) -> dict[str, Any]:
        return {line: value for line, value in per_line.items() if line in names}

    def narrow(test: ScoresOfTest) -> ScoresOfTest:
        return dataclasses.replace(
            test, lines=kept(test.lines), against_zero=kept(test.against_zero), rows=kept(test.rows),
            contrasts={name: v for name, v in test.contrasts.items() if set(name.split(" - ")) <= set(names)},
            extra={reading: kept(lines) for reading, lines in test.extra.items()},
        )  # fmt: skip

    return dataclasses.replace(scores, tests={name: narrow(test) for name, test in scores.tests.items()})


def _how_it_was_run(result: ComparisonResult) -> str:
    worlds = dict.fromkeys(test.world for test in result.scores.tests.values())
    frozen = "Tests, margins, arms and seeds were frozen before the run, which departs from them in nothing."
    if result.deviations is None:
        frozen = "Nothing was preregistered: take it as exploratory."
    elif result.deviations:
        frozen = f"Frozen before the run, which departs from it: {' '.join(result.deviations)}"
    told = result.deviations is not None  # Failures are a departure from a plan, and said there.
    failed = f" {len(result.study.failed)} cells failed." if result.study.failed and not told else ""
    warnings = "".join(f" {warning}" for warning in result.study.warnings)
    return (
        f"**The run.** {result.scores.num_seeds} seeds, worlds {', '.join(worlds)}. {frozen}{failed} "
        f"{_commits(result)}{warnings}"
    )


def _commits(result: ComparisonResult) -> str:
    """Which code computed the cells."""
    cells = [cell.hash for cell in (*result.study.computed, *result.study.skipped)]
    counts = commits_of(result.folder, cells)
    told = ", ".join(f"{commit} ({count})" for commit, count in sorted(counts.items(), key=lambda item: -item[1]))
    return f"Cells by the commit of the code that computed them: {told}."


def _section(answer: Answer, *, drawn: Collection[str], folder: str) -> str:
    """One question: its answer, the verdicts that it rests on, and the figures of its tests."""
    names = [figure_name(name) for name in answer.tests] + (["values.png"] if "CrossedHistory" in answer.tests else [])
    figures = [f"![{name.removesuffix('.png')}]({folder}/{name})" for name in names if name in drawn]
    found = "\n".join(f"- {sentence}" for sentence in answer.sentences)
    return "\n\n".join([f"## {answer.asked.name}. {answer.asked.text}", answer.short, found, *figures])


def _limits(result: ComparisonResult) -> list[str]:
    predictions = {test.prediction.key: test.prediction for test in result.scores.tests.values()}
    return ["\n".join(f"- {key} does not show {one.does_not_show}." for key, one in predictions.items())]
