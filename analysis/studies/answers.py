"""The three questions that the comparison is for, each answered by the tests that were named for it beforehand.

    Q1  Does "V is a bunch of shards" predict anything that "V is a neural network" does not?   T0 with CrossedHistory.
    Q2  Is sharding a description, or a claim about which network V is?   T5's contrasts, and where MONO lies between
        the known unsharded and the known sharded network, in percent, on every admitted metric.
    Q3  Is it hard for parts of V to read each other?   T8a.

How verdicts become a sentence is fixed here, before any run. A test that was not run, or whose controls forbid a
verdict, is said to be silent; nothing is read into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.statistics import seed_column, t_interval
from analysis.studies.answer_sentences import is_unfit, listed, positions, sentences_of, silence_of
from analysis.studies.comparison_scores import Scores, ScoresOfTest, is_control
from analysis.verdicts import EQUIVALENCE_LEVEL, Verdict

DESCRIPTION = (
    " T0 and CrossedHistory find nothing and T11 ties: shards describe what any V does that fits the reward (H-desc)."
)


@dataclass(frozen=True)
class Asked:
    """A question and the tests that answer it.

    Attributes:
        name: "Q1" to "Q3".
        text: The question.
        tests: Keys of the tests whose verdicts answer it.
        yes: What a verdict *distinguishable* above 0 says, after the names of lines or contrasts.
        no: What *equivalent* says.
        places_mono: Whether MONO's place between the controls belongs to the answer.
    """

    name: str
    text: str
    tests: tuple[str, ...]
    yes: str
    no: str
    places_mono: bool = False


ASKED = (
    Asked(
        "Q1", 'Does "V is a bunch of shards" predict anything that "V is a neural network" does not?',
        ("T0", "CrossedHistory"),
        yes="what was reinforced under which cue predicts V beyond what V*, one utility and a kernel predict",
        no="the shard law predicts nothing of V, beyond the margin, that V*, one utility and a kernel do not",
    ),
    Asked(
        "Q2", "Is sharding a way to describe networks, or a claim about which network V is?", ("T5",),
        yes="learning in one context leaves the others more alone: which network V is matters",
        no="parts, and routing of credit to them, leave V's other contexts no more alone, beyond the margin: a way to "
        "describe V",
        places_mono=True,
    ),
    Asked(
        "Q3", "Is it hard for parts of V to read themselves and each other?", ("T8a",),
        yes="V's own hidden layer foretells its own choice better than a sister network's does",
        no="V's own hidden layer foretells its own choice no better than a sister network's does",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """A question, its answer in a sentence, and what that rests on.

    Attributes:
        asked: The question.
        short: The conclusion, by the rule above.
        sentences: Verdicts by word with their intervals, and MONO's place.
        tests: Names of the tests' scores, for figures.
    """

    asked: Asked
    short: str
    sentences: tuple[str, ...]
    tests: tuple[str, ...]


def answers(scores: Scores, *, shown: Scores | None = None) -> list[Answer]:
    """The answers; questions none of whose tests was run are left out.

    Args:
        scores: What was found.
        shown: Part of it, of which alone sentences are made; conclusions are of everything.
    """
    found = []
    for asked in ASKED:
        tests = {name: test for name, test in scores.tests.items() if test.test.key in asked.tests}
        if tests:
            told = tests if shown is None else {name: shown.tests[name] for name in tests}
            sentences = [line for name, test in told.items() for line in sentences_of(name, test, scores)]
            sentences += positions(scores) if asked.places_mono else []
            first = {name: test for name, test in tests.items() if test.test.key == asked.tests[0]}
            short = _short(asked, first, scores)
            others = [(name, test) for name, test in tests.items() if name not in first]
            short += "".join(_counted(name, test, scores) for name, test in others)
            short += DESCRIPTION if asked.name == "Q1" and _describes(scores) else ""
            found.append(Answer(asked, short, tuple(sentences), tuple(tests)))
    return found


def _describes(scores: Scores) -> bool:
    """Whether T0 and CrossedHistory find nothing in any arm that could be evidence, and T11 ties."""
    tests = {test.test.key: (name, test) for name, test in scores.tests.items()}
    asked = ("T0", "CrossedHistory", "T11")
    if not set(asked) <= tests.keys() or any(silence_of(*tests[key], scores) for key in asked):
        return False
    words = [
        verdict.word
        for key in ("T0", "CrossedHistory")
        for line, verdict in tests[key][1].against_zero.items()
        if not tests[key][1].test.holds_by_construction(line)
        and not is_unfit(line, scores.fits.get(tests[key][1].world, {}))
    ]
    contest = tests["T11"][1]
    trained = [line for line in contest.lines if line not in contest.test.plants and not is_control(line)]
    columns = [seed_column(contest.lines[line], line) for line in trained if len(contest.lines[line]) > 1]
    ties = [t_interval(column, level=EQUIVALENCE_LEVEL).inside(contest.prediction.margin) for column in columns]
    return set(words) == {"equivalent"} and bool(ties) and all(ties)


def _short(asked: Asked, tests: Mapping[str, ScoresOfTest], scores: Scores) -> str:
    """The conclusion, from the first test's verdicts in all its worlds."""
    readable = {name: test for name, test in tests.items() if silence_of(name, test, scores) is None}
    if not tests:
        return f"No answer: {asked.tests[0]}, which was named for it, was not run."
    if not readable:
        few = any(test.controls is None for test in tests.values())
        why = f"{scores.num_seeds} seeds are too few" if few else "the test that was named for it is silent"
        return f"No answer: {why}."
    verdicts = [(test, *item) for test in readable.values() for item in _verdicts(test).items()]
    unfit = [v.contrast for test, name, v in verdicts if is_unfit(name, scores.fits.get(test.world, {}))]
    built = [
        v.contrast
        for test, name, v in verdicts
        if test.test.holds_by_construction(name.split(" - ")[0]) and v.word == "distinguishable" and v.mean > 0
    ]
    found = [v for _, _, v in verdicts if v.contrast not in {*built, *unfit}]
    yes = [_named(v) for v in found if v.word == "distinguishable" and v.mean > 0]
    less = [_named(v) for v in found if v.word == "distinguishable" and v.mean < 0]
    no = [_named(v) for v in found if v.word == "equivalent"]
    said = ((yes, asked.yes), (less, "the opposite, less than nothing"), (no, asked.no))
    parts = [f"For {listed(names)}: {words}." for names, words in said if names]
    open_ = [_named(v) for v in found if v.word == "inconclusive"]
    parts += [f"Undecided: {listed(open_)}."] if open_ else []
    shown = [_named(v) for _, _, v in verdicts if v.contrast in built]
    parts += [f"Distinguishable partly by construction, and so no evidence: {listed(shown)}."] if built else []
    parts += [f"Not read, since V does not fit: {listed(unfit)}."] if unfit else []
    return " ".join(parts)


def _named(verdict: Verdict) -> str:
    return f"{verdict.contrast} ({round(verdict.mean, 2) + 0.0:+.2f})"


def _counted(name: str, test: ScoresOfTest, scores: Scores) -> str:
    """How many lines another test of the question finds on which side of 0, each word with its first one.

    Lines whose V does not fit, and those of which a score above 0 holds partly by construction, are not counted.
    """
    if silence_of(name, test, scores) is not None:
        return ""
    groups: dict[str, list[Verdict]] = {}
    for line, verdict in _verdicts(test).items():
        built = test.test.holds_by_construction(line) and verdict.word == "distinguishable" and verdict.mean > 0
        if not built and not is_unfit(line, scores.fits.get(test.world, {})):
            groups.setdefault(verdict.signed_word, []).append(verdict)
    said = [f"{word} in {len(found)}, the first {_named(found[0])}" for word, found in groups.items()]
    return f" {name}, lines whose V fits and that nothing was built into: {'; '.join(said)}." if said else ""


def _verdicts(test: ScoresOfTest) -> Mapping[str, Verdict]:
    return test.against_zero or test.contrasts
