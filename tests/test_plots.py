"""Figures say what they show, equal data give equal bytes, and nothing global is touched."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.plots import (
    LearningCurve,
    ProbeBar,
    SeedScores,
    arms_dots,
    heat_maps,
    learning_curves,
    policy_field,
    predictor_bars,
    probe_bars,
    save_figure,
    value_scatter,
    vector_fields,
)
from envs.errors import UserError

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))


def scores(name: str, mean: float, note: str = "") -> SeedScores:
    values = mean + 0.1 * np.random.default_rng(0).normal(size=20)
    return SeedScores(name, values, (mean - 0.05, mean + 0.05), note)


def curves() -> Figure:
    steps = np.linspace(0, 1e5, 20)
    rng = np.random.default_rng(0)
    return learning_curves(
        [LearningCurve(name, steps, steps / 1e5 + rng.normal(0, 0.05, (4, 20))) for name in ("MONO", "MOE")],
        title="Return while learning",
        references={"exact optimum": 0.97},
    )


def scatter() -> Figure:
    x = np.linspace(0.5, 1.0, 30)
    return value_scatter({"cue 0": {"matched": (x, x), "crossed": (x, 0.5 * x)}}, title="V against V*")


def field() -> Figure:
    probs = np.full((4, 4, 4), 0.25)
    walls = np.eye(4, dtype=bool)
    return policy_field(
        probs, MOVES, title="D", walls=walls, objects={"0": (0, 1)}, values=np.arange(16.0).reshape(4, 4)
    )


def fields() -> Figure:
    return vector_fields(always(2), always(1), MOVES, title="Patched", edited_name="patch of t", objects={"t": (1, 1)})


def always(action: int) -> np.ndarray:
    """A policy that takes one action in every cell of a 3 x 3 grid."""
    return np.eye(4)[np.full((3, 3), action)]


def maps() -> Figure:
    reached = np.linspace(0.0, 1.0, 9).reshape(3, 3)
    reached[0, 0] = np.nan
    panels = {"unedited": reached, "shown": np.ones((3, 3))}
    return heat_maps(panels, title="Retargeting", label="path probability", objects={"A": (0, 0)})


def arms() -> Figure:
    lines = [scores("MONO", 0.1, "inconclusive"), scores("POS", 0.8)]
    bands = {"NEG-F": (0.0, 0.1), "POS": (0.7, 0.9)}
    return arms_dots(
        lines, title="T3", x_label="locality (0..1)", bands=bands, null=0.0, margin=0.1, subtitle="20 seeds"
    )


def probes() -> Figure:
    bars = [ProbeBar("E of V", 0.9, (0.85, 0.95), 0.6), ProbeBar("raw", 1.0, (1.0, 1.0), 0.5, is_baseline=True)]
    return probe_bars(bars, chance=0.5, title="Context")


def predictors() -> Figure:
    return predictor_bars([scores("(a) V*", 1.0), scores("(c) shard law", 1.2)], title="T0", ceiling=("(e)", 1.9))


FIGURES = {build.__name__: build for build in (curves, scatter, field, fields, maps, arms, probes, predictors)}


def words(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


@pytest.mark.parametrize("name", FIGURES)
def test_equal_data_give_equal_bytes(name: str, tmp_path: Path) -> None:
    first = save_figure(FIGURES[name](), tmp_path / "first.png").read_bytes()
    assert first == save_figure(FIGURES[name](), tmp_path / "second.png").read_bytes()
    assert first.startswith(b"\x89PNG")
    assert b"Matplotlib" not in first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.png", "second.png"]


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (curves, ["Return while learning", "environment steps", "return per episode", "exact optimum", "4 seeds"]),
        (scatter, ["V against V*", "slope 1.00", "slope 0.50", "V* (discounted reward)"]),
        (field, ["D", "arrow", "V (discounted reward)"]),
        (fields, ["Patched", "original", "patch of t", "difference", "arrow", "half that scale"]),
        (maps, ["Retargeting", "unedited\nmean 0.56", "shown\nmean 1.00", "path probability"]),
        (arms, ["T3", "locality (0..1)", "NEG-F band", "POS band", "inconclusive", "margin ±0.1", "one seed"]),
        (probes, ["Context", "control task", "chance (0.50)", "control 0.60"]),
        (predictors, ["T0", "nats per state", "(e)", "(c) shard law"]),
    ],
)
def test_figures_name_quantities_units_and_nulls(build: Callable[[], Figure], expected: list[str]) -> None:
    shown = words(build())
    assert [phrase for phrase in expected if phrase not in shown] == []


def test_every_seed_is_a_dot() -> None:
    dots = [line for line in arms().axes[0].lines if len(line.get_xdata()) == 20]
    assert len(dots) == 2
    assert sorted(dots[0].get_xdata()) == sorted(scores("MONO", 0.1).scores)


def test_arrows_point_where_the_policy_goes() -> None:
    probs = np.zeros((3, 3, 4))
    probs[..., 2] = 1.0
    (quiver,) = policy_field(probs, MOVES, title="down").axes[0].findobj(matplotlib.quiver.Quiver)
    assert np.all(quiver.U == 0)
    # Rows count downwards and the axis is inverted, so an arrow down the page has a negative second component.
    assert np.all(quiver.V == -1)
    assert quiver.N == 9


def test_walls_objects_and_unknown_cells_have_no_arrow() -> None:
    probs = np.full((3, 3, 4), 0.25)
    probs[2, 2] = np.nan
    walls = np.zeros((3, 3), dtype=bool)
    walls[0] = True
    figure = policy_field(probs, MOVES, title="D", walls=walls, objects={"0": (1, 1)})
    (quiver,) = figure.axes[0].findobj(matplotlib.quiver.Quiver)
    assert quiver.N == 9 - 3 - 1 - 1
    assert not walls[1:].any()


def test_a_difference_of_fields_is_that_of_their_vectors_at_half_scale() -> None:
    original, edited, difference = (axes.findobj(matplotlib.quiver.Quiver)[0] for axes in fields().axes)
    assert original.N == edited.N == difference.N == 8, "the object's cell has no arrow"
    assert set(zip(original.U, original.V, strict=True)) == {(0.0, -1.0)}
    assert set(zip(edited.U, edited.V, strict=True)) == {(1.0, 0.0)}
    assert set(zip(difference.U, difference.V, strict=True)) == {(0.5, 0.5)}


def test_heat_maps_share_one_scale_and_leave_unknown_cells_white() -> None:
    first, second, bar = maps().axes
    images = [axes.images[0] for axes in (first, second)]
    assert [image.get_clim() for image in images] == [(0.0, 1.0)] * 2 and bar.get_ylabel() == "path probability"
    assert np.ma.getmaskarray(images[0].get_array()).sum() == 1


def test_slope_is_undefined_where_v_star_does_not_vary() -> None:
    assert "slope undefined" in words(value_scatter({"": {"a": (np.ones(4), np.arange(4.0))}}, title="t"))


def test_global_state_of_matplotlib_is_left_alone() -> None:
    code = (
        "import sys, matplotlib; before = matplotlib.rcParams.copy(); import analysis.plots; "
        "assert before == matplotlib.rcParams.copy(); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, cwd=Path(__file__).parents[1])


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give both on one grid"):
        vector_fields(always(0), always(0)[:2], MOVES, title="t")
    with pytest.raises(UserError, match="4 actions, but 2 directions"):
        policy_field(always(0), MOVES[:2], title="t")
    with pytest.raises(UserError, match="heat_maps was given nothing"):
        heat_maps({}, title="t", label="p")
    with pytest.raises(UserError, match=r"written as \.png, but the file is named 'a\.svg'"):
        save_figure(arms(), tmp_path / "a.svg")
    with pytest.raises(UserError, match="nothing to draw"):
        arms_dots([], title="", x_label="")
    with pytest.raises(UserError, match="7 curves in one figure"):
        learning_curves([LearningCurve(str(i), np.arange(2.0), np.ones((1, 2))) for i in range(7)], title="")
    with pytest.raises(UserError, match=r"scores must be \[seeds, steps\]"):
        learning_curves([LearningCurve("a", np.arange(3.0), np.ones((1, 2)))], title="")
    with pytest.raises(UserError, match="4 actions, but 3 directions"):
        policy_field(np.ones((2, 2, 4)), MOVES[:3], title="")


def test_planted_agents_do_not_stretch_the_axis_and_keep_their_number() -> None:
    lines = [scores("MONO", 0.1), scores("MOE", 0.2), scores("LAW", 7.0), scores("ANTI", -5.0), scores("NONE", 0.0)]
    figure = arms_dots(lines, title="T0", x_label="gain", null=0.0, margin=0.05, planted=("LAW", "ANTI", "NONE"))
    low, high = figure.axes[0].get_xlim()
    assert low > -0.5 and high < 1.0
    means = {line.name: line.scores.mean() for line in lines}
    assert f"{means['LAW']:.2f} →" in words(figure) and f"← {means['ANTI']:.2f}" in words(figure)
    assert words(figure).count("→") == words(figure).count("←") == 1
    plain = arms_dots(lines, title="T0", x_label="gain")
    assert plain.axes[0].get_xlim()[1] > 7.0
