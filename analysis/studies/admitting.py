"""Whether a test's controls let it be read: its plants, and the pair of arms that admits its metric."""

from __future__ import annotations

from collections.abc import Mapping

from analysis.admission import Admission, admit_metric
from analysis.arms import ARMS
from analysis.studies.line_test import LEAK, LEAKS, Lines, LineTest, PerSeed


def controls_fault(test: LineTest, lines: Lines, admission: Admission | None) -> str | None:
    """Why no verdict may be read; None where the controls came out, or the test has none of its own."""
    if test.fault is not None and (reason := test.fault(lines)) is not None:
        return reason
    if not test.admission:
        return None
    if admission is None:
        return " or ".join(test.pair) + (" or MONO's untrained network" if test.common_pair else "") + " was not run"
    return None if admission.admitted else "the metric is not admitted: " + "; ".join(admission.reasons)


def admission_of(test: LineTest, lines: Lines, readings: Mapping[str, Lines]) -> Admission | None:
    """Whether a test's pair admits its metric; None where a control is missing or stands on a single seed.

    Args:
        test: A test with `admission`.
        lines: Line -> per-seed score.
        readings: Name of a secondary reading -> line -> per-seed number; "untrained" and the leaks are read.
    """
    positive, negative = (lines.get(name, {}) for name in test.pair)
    untrained = readings.get("untrained", {}).get("MONO", {}) if test.common_pair else None
    if any(len(control) < 2 for control in (positive, negative, untrained) if control is not None):
        return None
    doses = by_leak(lines, readings) if test.common_pair else {}
    by_dose = {0.0: positive, **doses} if doses else None
    return admit_metric(positive, negative=negative, untrained=untrained, by_dose=by_dose, pair=test.pair)


def by_leak(lines: Lines, readings: Mapping[str, Lines]) -> dict[float, PerSeed]:
    """Leak of POS's gate -> scores: of arms trained with it where all leaks were, else of POS read with it."""
    trained = {ARMS[line].options.get("gate_leak"): scores for line, scores in lines.items() if line in ARMS}
    found = {float(leak): scores for leak, scores in trained.items() if leak is not None and scores}
    if set(LEAKS) <= found.keys():
        return found
    read = {name: by_line.get("POS", {}) for name, by_line in readings.items() if name.startswith(LEAK)}
    return {float(name.removeprefix(LEAK)): scores for name, scores in read.items() if scores}
