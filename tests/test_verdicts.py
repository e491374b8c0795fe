"""The decision rules: what each word needs, false alarms, admission of metrics, and positions between controls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.admission import admit_metric, position_between
from analysis.power import Effect, difference_power, equivalence_power
from analysis.statistics import paired_t_test
from analysis.verdicts import decide, explain

NAMES = ("MOE - MONO", "MONO-ROUTE - MONO", "ROUTE - MOE", "ROUTE - ROUTE-RAND")


def shaped(mean, sd, *, num_seeds=20):
    """Differences with exactly this mean and standard deviation."""
    noise = np.random.default_rng(0).normal(size=num_seeds)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    return dict(enumerate(mean + sd * noise))


def verdict(mean, sd, *, margin=0.1, **options):
    num_seeds = options.pop("num_seeds", 20)
    return decide({"a - b": shaped(mean, sd, num_seeds=num_seeds)}, margin=margin, **options)[0]


@pytest.mark.parametrize(
    ("mean", "sd", "word"),
    [
        (0.3, 0.1, "distinguishable"),
        (-0.3, 0.1, "distinguishable"),
        (0.0, 0.1, "equivalent"),
        (0.05, 0.05, "equivalent"),  # clearly not 0, but inside the margin
        (0.09, 0.05, "inconclusive"),  # clearly not 0, below the margin, 90 % interval beyond it
        (0.3, 2.0, "inconclusive"),
        (0.0, 2.0, "inconclusive"),
        (0.0, 0.0, "equivalent"),
        (0.3, 0.0, "distinguishable"),
    ],
)
def test_each_word(mean, sd, word):
    assert verdict(mean, sd).word == word


def test_too_few_seeds_give_no_verdict_however_large_the_difference():
    for num_seeds in (3, 10, 19):
        few = verdict(5.0, 0.1, num_seeds=num_seeds)
        assert (few.word, few.seeds_to_decide) == ("no verdict", None)
        assert f"{num_seeds} seeds" in explain(few)
        assert "20 seeds are needed" in explain(few)
    assert verdict(5.0, 0.1, num_seeds=10, min_seeds=10).word == "distinguishable"


def test_holm_runs_over_the_contrasts_of_the_test():
    """t = 2.3 at 20 seeds has p = .033: enough alone, not beside three nulls."""
    edge = shaped(2.3 * 0.1 / 20**0.5, 0.1)
    alone = decide({"a": edge}, margin=0.01)[0]
    family = decide({"a": edge, **{name: shaped(0, 0.1) for name in "bcd"}}, margin=0.01)[0]
    assert (alone.word, family.word) == ("distinguishable", "inconclusive")
    assert family.p_holm == pytest.approx(4 * alone.p_holm)
    assert family.interval.level == pytest.approx(1 - 0.05 / 4)


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0.01, 2)), min_size=1, max_size=4), st.floats(0.01, 1))
@settings(max_examples=60, deadline=None)
def test_words_follow_from_the_numbers_beside_them(arms, margin):
    answers = decide({str(i): shaped(*arm) for i, arm in enumerate(arms)}, margin=margin)
    for answer in answers:
        different = answer.interval.excludes(0) and abs(answer.mean) > margin
        equal = answer.equivalence_interval.inside(margin)
        assert not (different and equal)
        assert answer.word == ("distinguishable" if different else "equivalent" if equal else "inconclusive")
        assert answer.interval.excludes(0) == (answer.p_holm <= 0.05)


def test_the_number_of_seeds_that_would_decide_has_the_power_it_promises():
    large, small = verdict(0.3, 1.0), verdict(0.02, 0.4)
    assert large.word == small.word == "inconclusive"
    for needed, power_at in (
        (large.seeds_to_decide, lambda n: difference_power(n, Effect(0.3, 1.0), margin=0.1)),
        (small.seeds_to_decide, lambda n: equivalence_power(n, Effect(0.02, 0.4), margin=0.1)),
    ):
        assert power_at(needed) >= 0.8 > power_at(needed - 1)
        assert needed > 20
    assert f"{large.seeds_to_decide} seeds would decide" in explain(large)
    at_margin = verdict(0.1, 1.0)
    assert at_margin.seeds_to_decide is None
    assert "not even 10000 seeds" in explain(at_margin)


def test_identical_arms_raise_few_false_alarms():
    """2,000 simulated studies of four contrasts with no true difference, at margins small against the noise."""
    studies = np.random.default_rng(1).normal(size=(2000, 4, 20))
    alarms = [any(v.word == "distinguishable" for v in decide(by_seed(study), margin=0.01)) for study in studies]
    assert 0.03 <= np.mean(alarms) <= 0.07


def test_identical_arms_with_common_noise_raise_few_false_alarms():
    """Contrasts that share an arm, as the primary ones do, and bounded scores."""
    scores = np.random.default_rng(2).beta(2, 2, size=(2000, 5, 20))
    mono, route_mono, moe, route, shuffled = scores.transpose(1, 0, 2)
    studies = np.stack([moe - mono, route_mono - mono, route - moe, route - shuffled], axis=1)
    alarms = [any(v.word == "distinguishable" for v in decide(by_seed(s), margin=0.01)) for s in studies]
    assert np.mean(alarms) <= 0.07


def test_a_rule_without_holm_would_fail_the_false_alarm_bar():
    studies = np.random.default_rng(1).normal(size=(500, 4, 20))
    alarms = [
        any(decide({"a": dict(enumerate(d))}, margin=0.01)[0].word == "distinguishable" for d in study)
        for study in studies
    ]
    assert np.mean(alarms) > 0.1


def test_a_true_difference_is_found_and_a_true_equality_confirmed():
    generator = np.random.default_rng(3)
    found = [decide({"a": dict(enumerate(generator.normal(1, 1, 20)))}, margin=0.1)[0].word for _ in range(200)]
    equal = [decide({"a": dict(enumerate(generator.normal(0, 1, 20)))}, margin=1.0)[0].word for _ in range(200)]
    assert found.count("distinguishable") > 190
    assert equal.count("equivalent") > 190


def by_seed(study):
    return {name: dict(enumerate(differences)) for name, differences in zip(NAMES, study, strict=True)}


def test_missing_seeds_are_named():
    answer = decide({"a": shaped(0.3, 0.1, num_seeds=20)}, margin=0.1, seeds=range(22))[0]
    assert answer.missing_seeds == (20, 21)
    assert "Missing seeds: 20, 21." in explain(answer)


@pytest.mark.parametrize(
    ("contrasts", "margin", "message"),
    [
        ({"a": {0: 1.0, 1: 2.0}}, 0.0, "margin is 0"),
        ({"a": {0: 1.0}}, 0.1, "'a' has scores for 1 seed"),
        ({"a": {0: 1.0, 1: float("nan")}}, 0.1, "nan"),
    ],
)
def test_bad_input_is_refused(contrasts, margin, message):
    with pytest.raises(ValueError, match=message):
        decide(contrasts, margin=margin)


# --- admission ------------------------------------------------------------------------------------------------------

DOSES = {dose: shaped(0.95 - dose, 0.05, num_seeds=10) for dose in (0, 0.1, 0.25, 0.5, 1)}


def admission(*, positive=0.9, untrained=0.1, num_seeds=10, by_dose=DOSES, sd=0.05):
    """POS and RAND vary from seed to seed; NEG-F is .1 for each, so that the differences have the stated sd."""
    negative = dict.fromkeys(range(num_seeds), 0.1)
    return admit_metric(
        shaped(positive, sd, num_seeds=num_seeds),
        negative=negative,
        untrained=shaped(untrained, sd, num_seeds=num_seeds),
        by_dose=by_dose,
    )


def test_a_metric_that_separates_the_controls_is_admitted():
    good = admission()
    assert good.admitted
    assert good.reasons == ()
    assert good.separation.estimate == pytest.approx(0.8)
    assert admission(by_dose=None).reasons == ("the gate-leak dose was not run",)


def test_the_lower_bound_counts_not_the_mean():
    half_width = admission(positive=0.65).separation
    assert half_width.estimate > 0.5
    assert admission(positive=0.6 + 0.05 * 1.833 / 10**0.5 + 1e-3).admitted
    assert not admission(positive=0.6 + 0.05 * 1.833 / 10**0.5 - 1e-3).admitted


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"positive": 0.5}, "lower 90 % bound"),
        ({"untrained": 0.3}, "RAND - NEG-F"),
        ({"untrained": -0.1}, "RAND - NEG-F"),
        ({"num_seeds": 9}, "9 common seeds"),
        ({"by_dose": {**DOSES, 0.25: shaped(0.99, 0.01)}}, "ordered by the dose"),
        ({"by_dose": {dose: shaped(0.9, 0) for dose in DOSES}}, "ordered by the dose"),
        ({"by_dose": {0: shaped(0.9, 0), 1: shaped(0.0, 0)}}, "dose was not run"),
    ],
)
def test_each_condition_is_needed(change, reason):
    answer = admission(**change)
    assert not answer.admitted
    assert len(answer.reasons) == 1
    assert reason in answer.reasons[0]


def test_position_between_controls():
    low, high = shaped(0.1, 0.02), shaped(0.9, 0.02)
    middle = {seed: 0.75 * low[seed] + 0.25 * high[seed] for seed in low}
    answer = position_between(middle, low=low, high=high)
    assert answer.estimate == pytest.approx(25)
    assert answer.high - answer.low < 1e-6
    assert position_between(high, low=low, high=high).estimate == pytest.approx(100)


def test_position_interval_covers():
    generator = np.random.default_rng(4)
    hits = []
    for _ in range(1000):
        low, high, arm = (dict(enumerate(generator.normal(m, 0.15, 10))) for m in (0.1, 0.9, 0.34))
        hits.append(not position_between(arm, low=low, high=high).excludes(30.0))
    assert 0.93 <= np.mean(hits) <= 0.97


def test_position_interval_is_the_inverted_t_test():
    """At each bound r, the t test of (arm - low) - r (high - low) against 0 has p = .05 exactly."""
    generator = np.random.default_rng(5)
    low, high, arm = (dict(enumerate(generator.normal(m, 0.2, 12))) for m in (0.1, 0.9, 0.5))
    answer = position_between(arm, low=low, high=high)
    for bound in (answer.low, answer.high):
        residual = [[arm[s] - low[s] - bound / 100 * (high[s] - low[s])] for s in low]
        assert paired_t_test(residual).p_value == pytest.approx(0.05, rel=1e-6)


def test_position_without_separated_controls_is_refused():
    with pytest.raises(ValueError, match="not clearly above 0"):
        position_between(shaped(0.1, 0.1), low=shaped(0.1, 0.1), high=dict.fromkeys(range(20), 0.1))
    with pytest.raises(ValueError, match="0 seed"):
        position_between({}, low={}, high={})
