"""A comparison in words: what was found, against which null, what was not shown; and the same as a table."""

from __future__ import annotations

import statistics

from analysis.arms import ARMS
from analysis.statistics import interval_over_seeds
from analysis.studies.answers import answers
from analysis.studies.comparison_scores import Scores, ScoresOfTest, is_control
from analysis.studies.line_test import Lines, PerSeed
from analysis.studies.matching import FIT_GAP, MATCH, is_matched, marked, unfit_lines
from analysis.study import StudyResult
from analysis.verdicts import MIN_SEEDS, explain

SCOPE = (
    "Scope: networks of about 50 thousand parameters on gridworlds can calibrate instruments, refute universal claims "
    "and give existence proofs; no verdict here is about brains, AlphaGo or language models."
)


def with_interval(per_seed: PerSeed) -> str:
    """Mean over seeds with its 95 % t interval, such as "+0.012 [+0.004, +0.020]"."""
    interval = interval_over_seeds(per_seed)
    if interval is not None:
        return interval.text(sign="+")
    # One seed has a number and no interval; none has neither.
    return next((f"{value:+.3f}" for value in per_seed.values()), "-")


def table(scores: Scores) -> tuple[dict[str, str], ...]:
    """One row per test and line: score with interval, verdict against 0, and how well V fits."""
    rows = []
    for key, test in scores.tests.items():
        words = readable_words(test)
        for line, per_seed in test.lines.items():
            fit = scores.fits.get(test.world, {}).get(line, {})
            word = marked(words.get(line, ""), line, scores.fits.get(test.world, {}))
            rows.append({
                "test": key, "arm": line, "score": with_interval(per_seed), "against 0": word,
                "fit R²": f"{statistics.fmean(fit.values()):.3f}" if fit else "", "seeds": str(len(per_seed)),
            })  # fmt: skip
    return tuple(rows)


def readable_words(test: ScoresOfTest) -> dict[str, str]:
    """Line -> its verdict against 0, and whether it lies below; {} where the test's controls forbid to read one."""
    if test.controls is not None:
        return {}
    return {line: verdict.signed_word for line, verdict in test.against_zero.items()}


def summary(scores: Scores, study: StudyResult, *, deviations: tuple[str, ...] | None) -> str:
    """The whole summary, plain text; `deviations` from what was frozen, None where nothing was."""
    parts = _answer_lines(scores) + ["WHAT WAS FOUND", ""]
    for name, test in scores.tests.items():
        parts += [*_test_lines(name, test, scores), ""]
    parts += ["HOW THE ARMS FIT", "", *_fit_lines(scores), ""]
    parts += ["WHAT WAS NOT SHOWN", "", *_limits(scores), ""]
    parts += ["HOW IT WAS RUN", "", *_run_lines(study, deviations)]
    return "\n".join(parts)


def _answer_lines(scores: Scores) -> list[str]:
    lines: list[str] = []
    for answer in answers(scores):
        lines += [f"{answer.asked.name}. {answer.asked.text}", f"  {answer.short}"]
        lines += [f"  - {sentence}" for sentence in answer.sentences]
    return ["THE QUESTIONS", "", *lines, f"  {SCOPE}", ""] if lines else []


def _test_lines(name: str, test: ScoresOfTest, scores: Scores) -> list[str]:
    prediction = test.prediction
    lines = [f"{name} ({prediction.family}). {prediction.question}"]
    lines.append(f"  Score: {prediction.metric}. Actor: {prediction.actor}. Null: {prediction.null}.")
    for line, per_seed in test.lines.items():
        said = f"  ({role(test, line)})" if role(test, line) else ""
        lines.append(f"  {line:<18} {with_interval(per_seed)}{said}")
    unread = [line for line in scores.fits.get(test.world, {}) if line not in test.lines]
    lines += [f"  Fitted, and not read by this test: {', '.join(unread)}."] if unread else []
    lines += [f"  {line}" for line in admission_lines(test)]
    if test.controls is not None:
        lines.append(f"  No verdict is read, because {test.controls}; the numbers above are shown as they are.")
        return lines + _secondary(test)
    if (test.against_zero or test.contrasts) and scores.num_seeds < MIN_SEEDS:
        lines.append(f"  No verdict: {scores.num_seeds} seeds are too few; the rule asks for {MIN_SEEDS}.")
    else:
        lines += [f"  against 0, {explain(verdict)}" for verdict in test.against_zero.values()]
        lines += [f"  contrast {explain(verdict)}" for verdict in test.contrasts.values()]
    return lines + _secondary(test)


def role(test: ScoresOfTest, line: str) -> str:
    """What a line is for in a test, "" for what is tested."""
    if line in test.test.plants:
        return "planted"
    if is_control(line):
        return f"{ARMS[line].role.split(':')[0]}: calibration"
    return "partly by construction" if test.test.holds_by_construction(line) else ""


def admission_lines(test: ScoresOfTest) -> list[str]:
    """Whether the known positive and null admit the metric, in a sentence; [] where nothing must."""
    admission = test.admission
    if admission is None:
        return []
    apart, null = admission.separation, admission.null
    word = "admitted" if admission.admitted else "NOT admitted (" + "; ".join(admission.reasons) + ")"
    numbers = f"{' - '.join(test.test.pair)} {apart.estimate:+.3f} [90 % {apart.low:+.3f}, {apart.high:+.3f}]"
    if null is None:
        return [f"Metric {word}: {numbers}."]
    numbers += f", RAND - NEG-F {null.estimate:+.3f} [{null.low:+.3f}, {null.high:+.3f}]"
    doses = ", ".join(f"{mean:.3f} at {dose:g}" for dose, mean in admission.dose_means)
    leak = f"POS by the leak of its gate: {doses}" if doses else "the gate-leak dose was not run"
    return [f"Metric {word}: {numbers}; {leak}."]


def _secondary(test: ScoresOfTest) -> list[str]:
    """Secondary readings: estimates without verdict."""
    lines = []
    for name in test.test.shown:
        found = {line: per_seed for line, per_seed in test.extra.get(name, {}).items() if per_seed}
        shown = ", ".join(f"{line} {statistics.fmean(scores.values()):+.3f}" for line, scores in found.items())
        lines += [f"    {name.replace('_', ' ')}: {shown}"] if shown else []
    return ["  Also (estimates, no verdict):", *lines] if lines else []


def _fit_lines(scores: Scores) -> list[str]:
    lines = []
    for world, fits in scores.fits.items():
        counts = scores.parameters[world]
        lines.append(f"  {world}: R² of V against the exact V^pi of the recorded policy, held-out levels")
        for line, per_seed in fits.items():
            off = counts[line] / counts.get("MONO", counts[line]) - 1.0
            flag = "  UNMATCHED PARAMETERS" if abs(off) > MATCH and is_matched(line) else ""
            products = scores.multiply_adds.get(world, {}).get(line)
            work = "" if products is None else f", {products} multiply-adds a value"
            size = f"{counts[line]} parameters ({off:+.1%}){work}"
            lines.append(f"    {line:<18} {with_interval(per_seed)}  {size}{flag}")
        lines += _unfit(fits)
    return lines


def _unfit(fits: Lines) -> list[str]:
    worse = unfit_lines(fits)
    if not worse:
        return []
    return [f"    {', '.join(worse)}: R² is more than {FIT_GAP} below MONO's, so a difference may be one of fit."]


def _limits(scores: Scores) -> list[str]:
    predictions = {test.prediction.key: test.prediction for test in scores.tests.values()}
    lines = [f"  {key} does not show {prediction.does_not_show}." for key, prediction in predictions.items()]
    lines += [
        "  Known controls, and lines marked 'partly by construction', calibrate a test; they are not evidence.",
        "  Test levels are the same for every seed: intervals speak of training seeds, not of other levels.",
    ]
    return [*lines, f"  {SCOPE}"]


def _run_lines(study: StudyResult, deviations: tuple[str, ...] | None) -> list[str]:
    frozen = "The plan was frozen beforehand, and the run departs from it in nothing."
    if deviations:
        frozen = "DEVIATIONS from the preregistration: " + " ".join(deviations)
    elif deviations is None:
        frozen = "Nothing was preregistered: take this run as exploratory."
    return [f"  {line}" for line in (frozen, str(study), *study.warnings, *(str(cell) for cell in study.failed))]
