"""The three questions that the comparison is for, each answered by the tests that were named for it beforehand.

    Q1  Does "V is a bunch of shards" predict anything that "V is a neural network" does not?   T0 with CrossedHistory.
    Q2  Is sharding a description, or a claim about which network V is?   T5's contrasts, and where MONO lies between
        the known unsharded and the known sharded network, in percent, on every admitted metric.
    Q3  Is it hard for parts of V to read each other?   T8a.

A test that was not run, or whose controls forbid a verdict, is said to be silent; nothing is read into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from analysis.admission import position_between
from analysis.studies.comparison_scores import Scores, TestScores
from analysis.verdicts import MIN_SEEDS, Verdict

QUESTIONS = {
    "Q1": 'Does "V is a bunch of shards" predict anything that "V is a neural network" does not?',
    "Q2": "Is sharding a way to describe networks, or a claim about which network V is?",
    "Q3": "Is it hard for parts of V to read themselves and each other?",
}


def answers(scores: Scores) -> dict[str, list[str]]:
    """Question -> sentences, each with its numbers; questions none of whose tests was run are left out."""
    found = {
        "Q1": [*_of(scores, "T0"), *_of(scores, "CrossedHistory")],
        "Q2": [*_of(scores, "T5"), *_positions(scores)],
        "Q3": _of(scores, "T8a"),
    }
    return {f"{name}. {QUESTIONS[name]}": sentences for name, sentences in found.items() if sentences}


def _of(scores: Scores, key: str) -> list[str]:
    """What one test says, a sentence for each kind of verdict in each world."""
    sentences = []
    for name, test in scores.tests.items():
        if test.test.key != key:
            continue
        if test.controls is not None:
            sentences.append(f"{name} is silent, because {test.controls}.")
        elif scores.num_seeds < MIN_SEEDS:
            sentences.append(f"{name} gives no verdict on {scores.num_seeds} seeds; the rule asks for {MIN_SEEDS}.")
        else:
            sentences += [*_by_word(f"{name}, against 0", test.against_zero), *_by_word(name, test.contrasts)]
    return sentences


def _by_word(name: str, verdicts: Mapping[str, Verdict]) -> Iterable[str]:
    for word in dict.fromkeys(verdict.word for verdict in verdicts.values()):
        shown = "; ".join(
            f"{line} {verdict.interval.text(sign='+')}" for line, verdict in verdicts.items() if verdict.word == word
        )  # fmt: skip
        margin = next(iter(verdicts.values())).margin
        yield f"{name}: {word} (margin {margin:g}): {shown}."


def _positions(scores: Scores) -> list[str]:
    """Where MONO lies between NEG-F (0 %) and POS (100 %) on every admitted metric."""
    return [
        f"On {name}'s metric MONO lies at {_position(test)} of the way from NEG-F to POS."
        for name, test in scores.tests.items()
        if test.admission is not None and test.admission.admitted and test.lines.get("MONO")
    ]


def _position(test: TestScores) -> str:
    found = position_between(test.lines["MONO"], low=test.lines["NEG-F"], high=test.lines["POS"])
    return f"{found.estimate:.1f} % [{found.low:.1f}, {found.high:.1f}]"
