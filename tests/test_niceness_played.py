"""Assignment, and measures of played episodes: known answers of TRIAD's optimal policies, identities, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.errors import UserError
from envs.niceness.assignment import KINDS, assign, counts, normalised_regret
from envs.niceness.played import played_influence

NATURAL = "AAABBBB"


def tastes_of(*episodes):
    return np.array([["ABE".index(letter) for letter in episode] for episode in episodes])[:, :, None]


@pytest.mark.parametrize(
    ("episode", "mi", "li", "suppression"),
    [("AEEEEEE", 1, 0, 0), ("AAAAAAA", 2 / 3, 2 / 3, 1), (NATURAL, 0, 0, 0)],
)
def test_triads_optimal_policies_have_their_known_measures(episode, mi, li, suppression):
    """The table of the optima at kappa = 1: RT persuades, IR locks, NS does neither."""
    found = played_influence(tastes_of(episode, episode), tastes_of(NATURAL, NATURAL))
    assert (found.mi, found.mi_coupled, found.li, found.suppression) == pytest.approx((mi, mi, li, suppression))
    assert found.push == pytest.approx(mi - li)


def test_marginals_can_agree_where_the_coupled_measure_does_not():
    found = played_influence(tastes_of("AB", "AA"), tastes_of("AA", "AB"))
    assert found.mi == 0
    assert found.mi_coupled == 1


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_measures_and_relabelling(seed):
    rng = np.random.default_rng(seed)
    tastes, natural = rng.integers(0, 3, (2, 6, 5, 2))
    natural[:, 0] = tastes[:, 0]
    found, label = played_influence(tastes, natural), rng.permutation(3)
    assert 0 <= found.li <= found.mi <= found.mi_coupled + 1e-12 <= 1 + 1e-12
    renamed = played_influence(label[tastes], label[natural])
    assert vars(renamed) == pytest.approx(vars(found))
    assert vars(played_influence(natural, natural)) == {"mi": 0, "mi_coupled": 0, "li": 0, "suppression": 0} or (
        natural[:, 1:] == natural[:, :-1]
    ).all()


def test_twins_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="another taste"):
        played_influence(tastes_of("AB"), tastes_of("BB"))
    with pytest.raises(UserError, match=r"\(episodes, T \+ 1, persons\)"):
        played_influence(tastes_of("AB"), tastes_of("ABB"))
    with pytest.raises(UserError, match="tastes below 0"):
        played_influence(tastes_of("AB") - 1, tastes_of("AB") - 1)


@pytest.mark.parametrize(
    ("regrets", "kind"),
    [
        ((0.0, 0.5, 0.3), "RT"), ((0.3, 0.09, 0.5), "IR"), ((0.0, 0.1, 0.3), "ambiguous"), ((0.11, 0.5, 0.9), "other"),
        ((0.05, 0.04, 0.03), "ambiguous"), ((0.4, 0.3, 0.1), "NS"),
    ],
)  # fmt: skip
def test_kinds(regrets, kind):
    assert assign(dict(zip(("RT", "IR", "NS"), regrets, strict=True))) == kind


@pytest.mark.parametrize("regrets", [{"RT": 0.01, "IR": float("nan"), "NS": 0.5}, {"RT": 0.0}, {}])
def test_without_numbers_under_two_objectives_there_is_no_kind(regrets):
    with pytest.raises(UserError, match="allowed are numbers under two objectives or more"):
        assign(regrets)


def test_regret_is_0_at_the_optimum_and_1_for_doing_nothing():
    assert normalised_regret(16.0, best=16.0, inert=6.0) == 0
    assert normalised_regret(6.0, best=16.0, inert=6.0) == 1
    with pytest.raises(UserError, match="regret has no unit"):
        normalised_regret(6.0, best=6.0, inert=6.0)
    assert counts(["RT", "other", "RT"]) == {"RT": 2, "IR": 0, "NS": 0, "other": 1, "ambiguous": 0}
    assert set(counts([])) == set(KINDS)
