"""Figures of tails: exact laws lie on their lines, every unit is one line, equal data give equal bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis.plots import save_figure
from analysis.plots.tails import Exponents, contribution_map, hill_plot, tail_shapes, unit_exponents
from envs.errors import UserError

SHARES = (np.arange(400) + 0.5) / 400
NORMAL, LAPLACE = stats.halfnorm.ppf(SHARES), stats.expon.ppf(SHARES)


def lines(axes, color: str) -> list[np.ndarray]:
    return [line.get_xydata() for line in axes.get_lines() if line.get_color() == color and len(line.get_xydata()) > 2]


def test_exact_laws_are_straight_in_their_own_panels() -> None:
    figure = tail_shapes({"normal": [NORMAL, 3 * NORMAL], "Laplace": [7 * LAPLACE]}, title="t")
    against_normal, against_laplace, straight, square = figure.axes
    (first, second), (heavy,) = lines(against_normal, "#0072B2"), lines(against_normal, "#D55E00")
    assert np.allclose(first, second)
    assert np.abs(first[:, 1] - first[:, 0]).max() < 0.02 < 0.5 < np.abs(heavy[:, 1] - heavy[:, 0]).max()
    (own,) = lines(against_laplace, "#D55E00")
    assert np.abs(own[:, 1] - own[:, 0]).max() < 0.03
    (survival,) = lines(straight, "#D55E00")
    assert np.corrcoef(survival.T)[0, 1] ** 2 > 0.9999
    tail = lines(square, "#0072B2")[0][-40:]
    assert np.corrcoef(tail.T)[0, 1] ** 2 > 0.999 > np.corrcoef(lines(straight, "#0072B2")[0].T)[0, 1] ** 2


def test_hill_plot_draws_every_unit_and_names_networks_once() -> None:
    curve = (np.array([0.01, 0.2]), np.array([9.0, 3.0]))
    figure = hill_plot({"trained": [curve] * 5, "untrained": [curve] * 3}, title="t")
    axes = figure.axes[0]
    assert len(axes.get_lines()) == 8
    assert sorted(text.get_text() for text in axes.get_legend().get_texts()) == ["trained", "untrained"]


def test_exponents_are_drawn_in_order_with_their_intervals() -> None:
    betas = np.array([3.0, 1.0, 99.0])
    layer = Exponents("V", betas, np.stack([betas / 2, betas * 2], axis=1), np.array([True, False, False]))
    axes = unit_exponents([layer, layer], title="t").axes[0]
    assert axes.collections[1].get_offsets()[:, 1].tolist() == [1.0, 3.0, 10.0]
    assert len(axes.collections[0].get_segments()) == 3


def test_the_map_shows_the_largest_units_over_states_in_order_of_v() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 4)) * [1.0, 5.0, 0.0, 3.0]
    figure = contribution_map(values, title="t", max_units=2, max_states=100)
    shown = figure.axes[0].images[0].get_array()
    assert shown.shape == (2, 100)
    assert shown[0].std() > shown[1].std()
    assert figure.axes[0].get_ylabel() == "units by variance (2 more)"
    assert np.corrcoef(shown[0], np.arange(100))[0, 1] > 0.5


def test_equal_data_give_equal_bytes(tmp_path: Path) -> None:
    for name in "ab":
        save_figure(tail_shapes({"x": [NORMAL]}, title="t"), tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_nothing_to_draw_is_refused() -> None:
    for draw, nothing in (
        (tail_shapes, {}),
        (hill_plot, {}),
        (unit_exponents, []),
        (contribution_map, np.zeros((5, 3))),
    ):
        with pytest.raises(UserError, match="nothing to draw"):
            draw(nothing, title="t")
