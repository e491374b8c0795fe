"""The three questions that the comparison is for, each answered by the tests that were named for it beforehand.

    Q1  Does "V is a bunch of shards" predict anything that "V is a neural network" does not?   T0 with CrossedHistory.
    Q2  Is sharding a description, or a claim about which network V is?   T5's contrasts, and where MONO lies between
        the known unsharded and the known sharded network, in percent, on every admitted metric.
    Q3  Is it hard for parts of V to read each other?   T8a.

How verdicts become a sentence is fixed here, before any run. A test that was not run, or whose controls forbid a
verdict, is said to be silent; nothing is read into it.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from analysis.admission import position_between
from analysis.statistics import interval_over_seeds, paired_differences, seed_column, t_interval
from analysis.studies.comparison_scores import Scores, ScoresOfTest, is_control
from analysis.studies.line_test import Lines
from analysis.studies.matching import FIT_GAP, unfit_lines
from analysis.verdicts import EQUIVALENCE_LEVEL, MIN_SEEDS, Verdict

DESCRIPTION = (
    " T0 and CrossedHistory find nothing and T11 ties: shards describe what any V does that fits the reward (H-desc)."
)
MOST_NAMED = 8
"""A sentence that names more arms than this is not read; the table and the summary name them all."""


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


def answers(scores: Scores) -> list[Answer]:
    """The answers; questions none of whose tests was run are left out."""
    found = []
    for asked in ASKED:
        tests = {name: test for name, test in scores.tests.items() if test.test.key in asked.tests}
        if tests:
            sentences = [line for name, test in tests.items() for line in _sentences(name, test, scores)]
            sentences += positions(scores) if asked.places_mono else []
            first = {name: test for name, test in tests.items() if test.test.key == asked.tests[0]}
            short = _short(asked, first, scores)
            short += DESCRIPTION if asked.name == "Q1" and _describes(scores) else ""
            found.append(Answer(asked, short, tuple(sentences), tuple(tests)))
    return found


def _describes(scores: Scores) -> bool:
    """Whether T0 and CrossedHistory find nothing in any arm that could be evidence, and T11 ties."""
    tests = {test.test.key: (name, test) for name, test in scores.tests.items()}
    asked = ("T0", "CrossedHistory", "T11")
    if not set(asked) <= tests.keys() or any(_silence(*tests[key], scores) for key in asked):
        return False
    words = [
        verdict.word
        for key in ("T0", "CrossedHistory")
        for line, verdict in tests[key][1].against_zero.items()
        if not tests[key][1].test.holds_by_construction(line)
        and not _is_unfit(line, scores.fits.get(tests[key][1].world, {}))
    ]
    contest = tests["T11"][1]
    trained = [line for line in contest.lines if line not in contest.test.plants and not is_control(line)]
    columns = [seed_column(contest.lines[line], line) for line in trained if len(contest.lines[line]) > 1]
    ties = [t_interval(column, level=EQUIVALENCE_LEVEL).inside(contest.prediction.margin) for column in columns]
    return set(words) == {"equivalent"} and bool(ties) and all(ties)


def _short(asked: Asked, tests: Mapping[str, ScoresOfTest], scores: Scores) -> str:
    """The conclusion, from the first test's verdicts in all its worlds."""
    readable = {name: test for name, test in tests.items() if _silence(name, test, scores) is None}
    if not readable:
        few = any(test.controls is None for test in tests.values())
        why = f"{scores.num_seeds} seeds are too few" if few else "the test that was named for it is silent"
        return f"No answer: {why}."
    verdicts = [(test, *item) for test in readable.values() for item in _verdicts(test).items()]
    unfit = [v.contrast for test, name, v in verdicts if _is_unfit(name, scores.fits.get(test.world, {}))]
    built = [
        v.contrast
        for test, name, v in verdicts
        if test.test.holds_by_construction(name.split(" - ")[0]) and v.word == "distinguishable" and v.mean > 0
    ]
    found = [v for _, _, v in verdicts if v.contrast not in {*built, *unfit}]
    yes = [v.contrast for v in found if v.word == "distinguishable" and v.mean > 0]
    less = [v.contrast for v in found if v.word == "distinguishable" and v.mean < 0]
    no = [v.contrast for v in found if v.word == "equivalent"]
    said = ((yes, asked.yes), (less, "the opposite, less than nothing"), (no, asked.no))
    parts = [f"For {_listed(names)}: {words}." for names, words in said if names]
    open_ = [v.contrast for v in found if v.word == "inconclusive"]
    parts += [f"Undecided: {_listed(open_)}."] if open_ else []
    parts += [f"Distinguishable partly by construction, and so no evidence: {_listed(built)}."] if built else []
    parts += [f"Not read, since V does not fit: {_listed(unfit)}."] if unfit else []
    return " ".join(parts)


def _listed(names: Sequence[str], rest: str = "") -> str:
    """The names, the first ones and how many more where there are many; `rest` says more of these."""
    more = len(names) - MOST_NAMED
    return "; ".join(names) if more <= 1 else "; ".join([*names[:MOST_NAMED], f"and {more} more{rest}"])


def _verdicts(test: ScoresOfTest) -> Mapping[str, Verdict]:
    return test.against_zero or test.contrasts


def _silence(name: str, test: ScoresOfTest, scores: Scores) -> str | None:
    """Why a test says nothing, None where it speaks."""
    if test.controls is not None:
        return f"{name} is silent, because {test.controls}."
    if scores.num_seeds < MIN_SEEDS:
        return f"{name} gives no verdict on {scores.num_seeds} seeds; the rule asks for {MIN_SEEDS}."
    return None


def _sentences(name: str, test: ScoresOfTest, scores: Scores) -> list[str]:
    """What one test says, a sentence for each word of its verdicts."""
    silence = _silence(name, test, scores)
    if silence is not None:
        return [silence]
    fits = scores.fits.get(test.world, {})
    zero = _by_word(f"{name}, against 0", test.against_zero, fits)
    return [*zero, *_by_word(name, test.contrasts, fits), *_by_encoder(name, test), *_quoted(name, test)]


def _is_unfit(name: str, fits: Lines) -> bool:
    """Whether V of a line, or of one side of a contrast, does not fit."""
    return bool(set(name.split(" - ")) & set(unfit_lines(fits)))


def _by_word(name: str, verdicts: Mapping[str, Verdict], fits: Lines) -> Iterable[str]:
    """A sentence for each word and, where something is distinguishable, each sign."""
    words: dict[str, list[tuple[str, Verdict]]] = {}
    for line, verdict in verdicts.items():
        below = ", below 0" if verdict.word == "distinguishable" and verdict.mean < 0 else ""
        words.setdefault(f"{verdict.word}{below}", []).append((line, verdict))
    for word, found in words.items():
        means = [verdict.mean for _, verdict in found[MOST_NAMED:]]
        rest = f", means {min(means):+.3f} to {max(means):+.3f}" if means else ""
        flags = [" (V does not fit)" if _is_unfit(line, fits) else "" for line, _ in found]
        lines = [f"{v.contrast} {v.interval.text(sign='+')}{flag}" for (_, v), flag in zip(found, flags, strict=True)]
        yield f"{name}: {word} (margin {found[0][1].margin:g}): {_listed(lines, rest)}."


def _quoted(name: str, test: ScoresOfTest) -> Iterable[str]:
    """Readings that the verdicts must not be read without, by line."""
    for reading, words in test.test.quoted.items():
        means = {line: statistics.fmean(s.values()) for line, s in test.extra.get(reading, {}).items() if s}
        if means:
            shown = [f"{line} {mean:.2f}" for line, mean in means.items()]
            rest = f", {min(means.values()):.2f} to {max(means.values()):.2f} over all"
            yield f"{name}, {words}: {_listed(shown, rest)}."


def _by_encoder(name: str, test: ScoresOfTest) -> list[str]:
    """What an E of D's takes away: paired differences between the E regimes of an arm, estimates without verdict."""
    pairs = {
        f"{line.partition(' (')[0]} - {line}": paired_differences(test.lines[line.partition(" (")[0]], per_seed)
        for line, per_seed in test.lines.items()
        if " (" in line and test.lines.get(line.partition(" (")[0])
    }
    intervals = {pair: interval_over_seeds(per_seed) for pair, per_seed in pairs.items()}
    said = [f"{pair} {interval.text(sign='+')}" for pair, interval in intervals.items() if interval is not None]
    return [f"{name}, E of its own less another E (estimates, no verdict): {'; '.join(said)}."] if said else []


def positions(scores: Scores) -> list[str]:
    """Where MONO lies between NEG-F (0 %) and POS (100 %) on every admitted metric, and whether their functions match.

    All three learned from the same outcomes; their functions are called matched where their R^2 lie within `FIT_GAP`.
    """
    return [
        f"On {name}'s metric MONO lies at {_position(test)} of the way from NEG-F to POS{_match(test, scores)}."
        for name, test in scores.tests.items()
        if test.test.common_pair and test.admission is not None and test.admission.admitted and test.lines.get("MONO")
    ]


def _position(test: ScoresOfTest) -> str:
    found = position_between(test.lines["MONO"], low=test.lines["NEG-F"], high=test.lines["POS"])
    return f"{found.estimate:.1f} % [{found.low:.1f}, {found.high:.1f}]"


def _match(test: ScoresOfTest, scores: Scores) -> str:
    fits = scores.fits.get(test.world, {})
    known = {line: statistics.fmean(fits[line].values()) for line in ("NEG-F", "MONO", "POS") if fits.get(line)}
    if len(known) < 3:
        return ""
    word = "matched" if max(known.values()) - min(known.values()) <= FIT_GAP else "unmatched"
    shares = ", ".join(f"{line} {share:.2f}" for line, share in known.items())
    return f", at {word} function (R² of V: {shares})"
