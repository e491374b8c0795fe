"""How much of a context's effect an erasure takes away: planted linear and curved codes, and their nulls."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from analysis.instruments.mediation import fit_on_pairs, halves, mediation, random_change, without_context
from envs.errors import UserError

NUM, WIDTH = 400, 12


def projection(features: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The eraser of two classes along the difference of their means."""
    gap = features[labels == 1].mean(axis=0) - features[labels == 0].mean(axis=0)
    unit, mean = gap / np.linalg.norm(gap), features.mean(axis=0)
    return lambda h: h - ((h - mean) @ unit)[:, None] * unit


def planted(*, is_linear: bool) -> np.ndarray:
    """Pairs whose context is the sign of a coordinate, or that sign times another of the situation (equal means)."""
    rng = np.random.default_rng(0)
    h = rng.normal(size=(NUM, 1, WIDTH)) + 0.5 * rng.normal(size=(NUM, 2, WIDTH))
    other = 1.0 if is_linear else np.where(np.arange(NUM) % 2 == 0, 1.0, -1.0)[:, None]
    h[:, :, 0] = 3.0 * other * np.array([-1.0, 1.0]) + 0.5 * rng.normal(size=(NUM, 2))
    return h


def value_of(h: np.ndarray) -> np.ndarray:
    return h[:, 0]


@pytest.mark.parametrize("is_linear", [True, False])
def test_an_erasure_takes_a_linear_code_and_leaves_a_curved_one(is_linear: bool) -> None:
    h = planted(is_linear=is_linear)
    fitted = halves(np.arange(NUM) // 4, seed=1)
    assert 0 < fitted.sum() < NUM and (fitted.reshape(-1, 4).min(axis=1) == fitted.reshape(-1, 4).max(axis=1)).all()
    erase, held = fit_on_pairs(projection, h[fitted]), h[~fitted]
    erased = erase(held.reshape(-1, WIDTH)).reshape(held.shape)
    found = mediation(held, erased, value_of=value_of, groups=np.arange(len(held)), seed=0)
    null = random_change(held, num_dimensions=found.num_dimensions, size=found.size, seed=3)
    like = mediation(held, null, value_of=value_of, groups=np.arange(len(held)), seed=0)
    assert found.num_dimensions == 1 and like.size == pytest.approx(found.size) and like.num_dimensions == 1
    assert found.interval[0] <= found.mediated <= found.interval[1]
    if is_linear:
        assert found.mediated > 0.98 > like.mediated + 0.5
    else:
        assert found.mediated < 0.4


def test_the_mean_over_contexts_mediates_all_and_nothing_mediates_nothing() -> None:
    h = planted(is_linear=False)
    groups = np.arange(NUM)
    whole = mediation(h, without_context(h), value_of=value_of, groups=groups, seed=0)
    none = mediation(h, h.copy(), value_of=value_of, groups=groups, seed=0)
    assert whole.mediated == pytest.approx(1.0) and whole.interval == pytest.approx((1.0, 1.0))
    assert (none.mediated, none.size, none.values_moved, none.num_dimensions) == (pytest.approx(0.0), 0.0, 0.0, 0)


def test_a_v_that_is_blind_has_nothing_to_mediate() -> None:
    h = planted(is_linear=True)
    found = mediation(h, without_context(h), value_of=lambda rows: 0.0 * rows[:, 2], groups=np.arange(NUM), seed=0)
    assert np.isnan(found.mediated) and np.isnan(found.interval).all()


def test_one_level_cannot_be_halved() -> None:
    with pytest.raises(UserError, match="there are 1 levels"):
        halves(np.zeros(5, dtype=np.int64), seed=0)
