"""A comparison in words: what was found, against which null, what was not shown; and the same as a table."""

from __future__ import annotations

import statistics

from analysis.arms import ARMS
from analysis.statistics import interval_over_seeds
from analysis.studies.comparison_scores import PerSeed, Scores, TestScores, is_control
from analysis.studies.contest_cells import PLANTS
from analysis.study import StudyResult
from analysis.verdicts import MIN_SEEDS, explain

SCOPE = (
    "Scope: networks of about 50 thousand parameters on gridworlds can calibrate instruments, refute universal claims "
    "and give existence proofs; no verdict here is about brains, AlphaGo or language models."
)
MATCH = 0.02
FIT_GAP = 0.1
MIN_CEILING = 0.01


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
        world = test.prediction.world.removeprefix("ValueLab/").removesuffix("-v0")
        words = readable_words(test)
        for line, per_seed in test.lines.items():
            fit = scores.fits.get(world, {}).get(line, {})
            rows.append({
                "test": key, "arm": line, "score": with_interval(per_seed), "against 0": words.get(line, ""),
                "fit R²": f"{statistics.fmean(fit.values()):.3f}" if fit else "", "seeds": str(len(per_seed)),
            })  # fmt: skip
    return tuple(rows)


def readable_words(test: TestScores) -> dict[str, str]:
    """Line -> its verdict against 0; {} where the test's controls forbid to read one."""
    return {verdict.contrast: verdict.word for verdict in test.against_zero} if test.controls is None else {}


def summary(scores: Scores, study: StudyResult, *, deviations: tuple[str, ...], registered: bool) -> str:
    """The whole summary, plain text."""
    parts = ["WHAT WAS FOUND", ""]
    for test in scores.tests.values():
        parts += [*_test_lines(test, scores), ""]
    parts += ["HOW THE ARMS FIT", "", *_fit_lines(scores), ""]
    parts += ["WHAT WAS NOT SHOWN", "", *_limits(scores), ""]
    parts += ["HOW IT WAS RUN", "", *_run_lines(study, deviations=deviations, registered=registered)]
    return "\n".join(parts)


def _test_lines(test: TestScores, scores: Scores) -> list[str]:
    prediction = test.prediction
    lines = [f"{prediction.key} ({prediction.family}). {prediction.question}"]
    lines.append(f"  Score: {prediction.metric}. Actor: {prediction.actor}. Null: {prediction.null}.")
    lines += [f"  {line:<18} {with_interval(per_seed)}{_role(test, line)}" for line, per_seed in test.lines.items()]
    lines += _admission_lines(test)
    if test.controls is not None:
        lines.append(f"  No verdict is read, because {test.controls}; the numbers above are shown as they are.")
        return lines + _secondary(test)
    verdicts = [*test.against_zero, *test.contrasts]
    if verdicts and scores.num_seeds < MIN_SEEDS:
        lines.append(f"  No verdict: {scores.num_seeds} seeds are too few; the rule asks for {MIN_SEEDS}.")
    else:
        lines += [f"  against 0, {explain(verdict)}" for verdict in test.against_zero]
        lines += [f"  contrast {explain(verdict)}" for verdict in test.contrasts]
    return lines + _secondary(test)


def _role(test: TestScores, line: str) -> str:
    if line in PLANTS:
        return {"SHARD-LAW": "  (planted positive)"}.get(line, "  (planted null)")
    if is_control(line):
        return f"  ({ARMS[line].role.split(':')[0]}: calibration)"
    routed = line.startswith("ROUTE") and test.prediction.key in ("T3", "T5", "CrossedHistory")
    return "  (partly by construction)" if routed and line != "ROUTE-RAND" else ""


def _admission_lines(test: TestScores) -> list[str]:
    admission = test.admission
    if admission is None:
        return []
    apart, null = admission.separation, admission.null
    word = "admitted" if admission.admitted else "NOT admitted (" + "; ".join(admission.reasons) + ")"
    return [
        f"  Metric {word}: POS - NEG-F {apart.estimate:+.3f} [90 % {apart.low:+.3f}, {apart.high:+.3f}], "
        f"RAND - NEG-F {null.estimate:+.3f} [{null.low:+.3f}, {null.high:+.3f}]; the gate-leak dose was not run."
    ]


SECONDARY = {
    "T0": ("choices gain", "values gain_over_sister", "values ceiling", "share of choices made"),
    "CrossedHistory": ("slope_matched", "slope_mismatched", "slope gap"),
    "T3": ("random_parts", "untrained", "declared"),
    "T5": ("frozen interference", "frozen interference_centred", "frozen reached", "free interference"),
}


def _secondary(test: TestScores) -> list[str]:
    """Secondary readings: estimates without verdict."""
    lines = ["  Also (estimates, no verdict):"]
    for name in SECONDARY[test.prediction.key]:
        found = {line: per_seed for line, per_seed in test.extra.get(name, {}).items() if per_seed}
        shown = ", ".join(f"{line} {statistics.fmean(scores.values()):+.3f}" for line, scores in found.items())
        lines.append(f"    {name.replace('_', ' ')}: {shown}")
    return lines + (_ratio_lines(test) if test.prediction.key == "T0" else [])


def _ratio_lines(test: TestScores) -> list[str]:
    """T0's gain as a share of what a sister network adds, where that is more than `MIN_CEILING`."""
    means = {
        line: (statistics.fmean(per_seed.values()), statistics.fmean(test.extra["values ceiling"][line].values()))
        for line, per_seed in test.lines.items()
        if per_seed and test.extra["values ceiling"].get(line)
    }
    shown = [f"{line} {gain / ceiling:+.3f}" for line, (gain, ceiling) in means.items() if ceiling > MIN_CEILING]
    return [f"    gain / ceiling, where the ceiling is above {MIN_CEILING}: {', '.join(shown) or 'nowhere'}"]


def _fit_lines(scores: Scores) -> list[str]:
    lines = []
    for world, fits in scores.fits.items():
        counts = scores.parameters[world]
        lines.append(f"  {world}: R² of V against the exact V^pi of the recorded policy, held-out levels")
        for line, per_seed in fits.items():
            off = counts[line] / counts.get("MONO", counts[line]) - 1.0
            flag = "  UNMATCHED PARAMETERS" if abs(off) > MATCH and ARMS[line.split(" (")[0]].matched else ""
            lines.append(f"    {line:<18} {with_interval(per_seed)}  {counts[line]} parameters ({off:+.1%}){flag}")
        lines += _unmatched(fits)
    return lines


def _unmatched(fits: dict[str, PerSeed]) -> list[str]:
    if not fits.get("MONO"):
        return []
    reference = statistics.fmean(fits["MONO"].values())
    worse = [line for line, f in fits.items() if f and statistics.fmean(f.values()) < reference - FIT_GAP]
    if not worse:
        return []
    return [f"    {', '.join(worse)}: R² is more than {FIT_GAP} below MONO's, so a difference may be one of fit."]


def _limits(scores: Scores) -> list[str]:
    lines = [
        f"  {test.prediction.key} does not show {test.prediction.does_not_show}." for test in scores.tests.values()
    ]
    lines += [
        "  POS and ROUTE score high on T3, T5 and CrossedHistory partly by construction, and NEG-F low on T3, whose",
        "  penalty flattens what T3 reads: calibration, not evidence.",
        "  Test levels are the same for every seed: intervals speak of training seeds, not of other levels.",
    ]
    return [*lines, f"  {SCOPE}"]


def _run_lines(study: StudyResult, *, deviations: tuple[str, ...], registered: bool) -> list[str]:
    frozen = "The plan was frozen beforehand, and the run departs from it in nothing."
    if deviations:
        frozen = "DEVIATIONS from the preregistration: " + " ".join(deviations)
    elif not registered:
        frozen = "Nothing was preregistered: take this run as exploratory."
    return [f"  {line}" for line in (frozen, str(study), *study.warnings, *(str(cell) for cell in study.failed))]
