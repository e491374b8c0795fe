"""How often the rules of the comparison say what is not so; the formulas for many studies are held to the rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars
import pytest

from analysis.false_alarms import (
    SEEDS,
    SHAPES,
    copies,
    coverage,
    distinguishable,
    equivalence_size,
    false_alarm_rate,
    tables,
)
from analysis.statistics import t_interval
from analysis.studies import measured_alarms
from analysis.verdicts import decide

DOCS = Path(__file__).parents[1] / "docs"
WITHIN_THE_BAR = ("normal", "uniform", "Beta(2, 2), a hump", "normal, cut off at a ceiling")
"""Shapes of one arm's scores of which the t interval covers 93 to 97 % from 5 seeds on."""


def generator(*key: int) -> np.random.Generator:
    return np.random.default_rng([20, *key])


@pytest.mark.parametrize("name", SHAPES)
class TestEveryShape:
    def test_its_mean_is_what_it_says(self, name):
        shape = SHAPES[name]
        drawn = shape.draw(generator(0), (400_000,))
        assert drawn.mean() == pytest.approx(shape.mean, abs=4 * drawn.std() / len(drawn) ** 0.5)

    @pytest.mark.parametrize("num_worlds", [1, 2])
    def test_copies_of_one_arm_are_told_apart_in_at_most_7_percent_of_studies(self, name, num_worlds):
        rate = false_alarm_rate(SHAPES[name], family="contrasts", num_worlds=num_worlds, generator=generator(1))
        assert rate <= 0.07

    def test_equivalence_has_its_stated_size_at_the_margin(self, name):
        for margin in (1.0, 2.0):
            size = equivalence_size(SHAPES[name], margin=margin, generator=generator(2))
            assert size == pytest.approx(0.05, abs=0.02)

    @pytest.mark.parametrize("num_seeds", SEEDS)
    def test_the_interval_of_a_contrast_covers(self, name, num_seeds):
        covered = coverage(SHAPES[name], num_seeds=num_seeds, contrast=True, generator=generator(3, num_seeds))
        assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize("num_seeds", SEEDS)
@pytest.mark.parametrize("name", WITHIN_THE_BAR)
def test_the_interval_of_one_arm_covers(name, num_seeds):
    covered = coverage(SHAPES[name], num_seeds=num_seeds, contrast=False, generator=generator(4, num_seeds))
    assert 0.93 <= covered <= 0.97


def test_the_documented_limits_are_there():
    """Scores that crowd at a bound: what docs/comparison.md warns of must not become untrue unnoticed."""
    u_shaped, ceiling = SHAPES["Beta(1/2, 1/2), U-shaped"], SHAPES["Beta(8, 1), at a ceiling"]
    five, twenty = (coverage(u_shaped, num_seeds=n, contrast=False, generator=generator(5)) for n in (5, 20))
    assert five < 0.93 < twenty
    assert coverage(ceiling, num_seeds=5, contrast=False, generator=generator(6)) == pytest.approx(0.90, abs=0.01)
    assert false_alarm_rate(ceiling, family="against 0", num_worlds=1, generator=generator(7)) > 0.07


def test_no_interval_covers_scores_of_two_values():
    """Nine seeds of ten score 1, the tenth 0: five seeds agree in .9^5 of studies and tell nothing of the tenth."""
    scores = (generator(8).random((4000, 5)) < 0.9) * 1.0
    agree = (np.ptp(scores, axis=1) == 0).mean()
    assert agree == pytest.approx(0.9**5, abs=0.03)
    covered = [not t_interval(each[:, None]).excludes(0.9) for each in scores[:500]]
    assert np.mean(covered) < 0.5


@pytest.mark.parametrize("family", ["contrasts", "against 0"])
def test_many_studies_at_once_follow_the_rule(family):
    """Against `decide`, study by study; shifted so that about half are told apart."""
    differences = copies(SHAPES["normal"], family=family, num_worlds=2, generator=generator(9))[:150]
    differences = differences + np.linspace(0, 1, 150)[:, None, None]
    for margin in (1e-12, 0.5):
        words = [
            [verdict.word for verdict in decide(dict(enumerate_by_name(study)), margin=margin)] for study in differences
        ]
        expected = ["distinguishable" in each for each in words]
        assert distinguishable(differences, margin=margin).tolist() == expected
        assert 20 < sum(expected) < 140


def enumerate_by_name(study):
    return ((str(index), dict(enumerate(scores.tolist()))) for index, scores in enumerate(study))


def test_equivalence_size_follows_the_rule():
    """The formula for many studies, against `decide` on the same scores."""
    shape, margin = SHAPES["uniform"], 1.0
    first, second = shape.draw(generator(10), (2, 2000, 20))
    differences = first - second
    distance = margin * float(differences.std())
    words = [decide({"a": dict(enumerate(d + distance))}, margin=distance)[0].word for d in differences]
    assert np.mean([word == "equivalent" for word in words]) == equivalence_size(
        shape, margin=margin, generator=generator(10)
    )


def test_scores_that_were_measured_raise_few_alarms():
    """The published scores less their means, drawn anew: their own skew and ties, at the tests' own margins."""
    alarms = measured_alarms.measured_alarms(polars.read_csv(DOCS / "answer" / "scores.csv"))
    families = [(alarm.test, alarm.family, alarm.num_hypotheses) for alarm in alarms]
    assert ("T8a", "against 0", 40) in families and ("T5", "contrasts", 8) in families
    assert len(families) == 6
    assert max(alarm.at_margin for alarm in alarms) <= 0.07
    assert measured_alarms.words(alarms) in (DOCS / "comparison.md").read_text()


def test_redrawn_studies_keep_what_hypotheses_have_in_common():
    copies_of_one = {name: {seed: 10.0 + seed for seed in range(30)} for name in "ab"}
    studies = measured_alarms.redrawn(copies_of_one, generator=generator(12))
    assert studies.shape == (2000, 2, 20)
    np.testing.assert_array_equal(studies[:, 0], studies[:, 1])
    assert studies.mean() == pytest.approx(0.0, abs=4 * 8.7 / 40_000**0.5)
    shifted = distinguishable(studies + 30.0, margin=0.0)
    assert shifted.all()


def test_without_holm_the_bar_would_fail():
    differences = copies(SHAPES["normal"], family="contrasts", num_worlds=2, generator=generator(11))
    alone = np.array([distinguishable(differences[:, [index]]) for index in range(differences.shape[1])])
    assert alone.any(axis=0).mean() > 0.15


@pytest.mark.slow
def test_the_tables_are_those_of_the_documents():
    told = (DOCS / "comparison.md").read_text()
    assert all(line in told for line in tables().splitlines())
