"""What an answer rests on, in sentences: verdicts by word, controls, readings beside them, MONO's place.

Nothing is concluded here (`analysis.studies.answers` does): every sentence is of one test.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

from analysis.admission import position_between
from analysis.statistics import interval_over_seeds, paired_differences
from analysis.studies.comparison_scores import Scores, ScoresOfTest
from analysis.studies.line_test import Lines
from analysis.studies.matching import FIT_GAP, unfit_lines
from analysis.verdicts import MIN_SEEDS, Verdict

MOST_NAMED = 8
"""A sentence that names more arms than this is not read; the table and the summary name them all."""


def listed(names: Sequence[str], rest: str = "") -> str:
    """The names, the first ones and how many more where there are many; `rest` says more of these."""
    more = len(names) - MOST_NAMED
    return "; ".join(names) if more <= 1 else "; ".join([*names[:MOST_NAMED], f"and {more} more{rest}"])


def silence_of(name: str, test: ScoresOfTest, scores: Scores) -> str | None:
    """Why a test says nothing, None where it speaks."""
    if test.controls is not None:
        return f"{name} is silent, because {test.controls}."
    if scores.num_seeds < MIN_SEEDS:
        return f"{name} gives no verdict on {scores.num_seeds} seeds; the rule asks for {MIN_SEEDS}."
    return None


def sentences_of(name: str, test: ScoresOfTest, scores: Scores) -> list[str]:
    """What one test says, a sentence for each word of its verdicts."""
    silence = silence_of(name, test, scores)
    if silence is not None:
        return [silence]
    fits = scores.fits.get(test.world, {})
    zero = _by_word(f"{name}, against 0", test.against_zero, fits)
    beside = [*_controls(name, test), *_by_encoder(name, test), *_estimates(name, test), *_quoted(name, test)]
    return [*zero, *_by_word(name, test.contrasts, fits), *beside]


def is_unfit(name: str, fits: Lines) -> bool:
    """Whether V of a line, or of one side of a contrast, does not fit."""
    return bool(set(name.split(" - ")) & set(unfit_lines(fits)))


def _by_word(name: str, verdicts: Mapping[str, Verdict], fits: Lines) -> Iterable[str]:
    """A sentence for each word and, where something is distinguishable, each sign."""
    words: dict[str, list[tuple[str, Verdict]]] = {}
    for line, verdict in verdicts.items():
        words.setdefault(verdict.signed_word, []).append((line, verdict))
    for word, found in words.items():
        means = [verdict.mean for _, verdict in found[MOST_NAMED:]]
        rest = f", means {min(means):+.3f} to {max(means):+.3f}" if means else ""
        flags = [" (V does not fit)" if is_unfit(line, fits) else "" for line, _ in found]
        lines = [f"{v.contrast} {_rested_on(v)}{flag}" for (_, v), flag in zip(found, flags, strict=True)]
        level = "90 % intervals" if word == "equivalent" else "intervals at Holm's level"
        yield f"{name}: {word} (margin {found[0][1].margin:g}, {level}): {listed(lines, rest)}."


def _rested_on(verdict: Verdict) -> str:
    """The interval that the word rests on; and the seeds that would decide where it is open."""
    interval = verdict.equivalence_interval if verdict.word == "equivalent" else verdict.interval
    if verdict.word != "inconclusive":
        return interval.text(sign="+")
    needed = "more than 10,000" if verdict.seeds_to_decide is None else f"some {verdict.seeds_to_decide}"
    return f"{interval.text(sign='+')} ({needed} seeds would decide)"


def _controls(name: str, test: ScoresOfTest) -> Iterable[str]:
    """What the known negative, the known positive and the planted agents score."""
    found = {line: interval_over_seeds(test.lines.get(line, {})) for line in ("NEG-F", "POS", *test.test.plants)}
    said = [f"{line} {interval.text(sign='+')}" for line, interval in found.items() if interval is not None]
    if said:
        yield f"{name}, controls (95 % intervals, no verdict): {'; '.join(said)}."


def _estimates(name: str, test: ScoresOfTest) -> Iterable[str]:
    """Readings beside the score, by line, the largest first."""
    for reading, words in test.test.estimates.items():
        found = {line: interval_over_seeds(per_seed) for line, per_seed in test.extra.get(reading, {}).items()}
        ends = {line: interval for line, interval in found.items() if interval is not None}
        order = sorted(ends, key=lambda line: -ends[line].estimate)
        means = [ends[line].estimate for line in order[MOST_NAMED:]]
        rest = f", means {min(means):+.3f} to {max(means):+.3f}" if means else ""
        if order:
            said = [f"{line} {ends[line].text(sign='+')}" for line in order]
            yield f"{name}, {words} (95 % intervals, no verdict), the largest first: {listed(said, rest)}."


def _quoted(name: str, test: ScoresOfTest) -> Iterable[str]:
    """Readings that the verdicts must not be read without, by line."""
    for reading, words in test.test.quoted.items():
        means = {line: statistics.fmean(s.values()) for line, s in test.extra.get(reading, {}).items() if s}
        if means:
            shown = [f"{line} {mean:.2f}" for line, mean in means.items()]
            rest = f", {min(means.values()):.2f} to {max(means.values()):.2f} over all"
            yield f"{name}, {words}: {listed(shown, rest)}."


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
