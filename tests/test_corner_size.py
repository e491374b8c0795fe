"""The corner-size study end to end with a tiny agent, its words on planted rows, and its figure."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from analysis.cli import main
from analysis.plots.dose import DoseSeries, dose_response
from analysis.plots.style import save_figure
from analysis.studies import corner_size, registry
from analysis.studies.corner_size import PUBLISHED, SIZES, TRAIN, Setup
from analysis.studies.question import Question, answer
from analysis.study import CellRecord, digest, run_study
from envs.errors import UserError

TINY = Setup(
    num_levels=50, num_demonstrations=20, imitation_updates=5, batch_size=32, num_episodes=10,
    conv_channels=(4,), num_features=8,
)  # fmt: skip


def planted(off: dict[int, float], *, num_seeds: int = 10) -> list[CellRecord]:
    """Finished cells whose off-distribution return is as told, with a little noise between seeds."""
    rng = np.random.default_rng(0)
    records = []
    for size, mean in off.items():
        for seed in range(num_seeds):
            score = {"return": mean, "optimum": 0.9, "corner_visited": 0.5}
            score["discounted_return"] = mean + rng.normal(0, 0.02)
            rows = tuple({"kind": kind, **score} for kind in ("on", "off", "untrained"))
            config = {"corner_size": size, "seed": seed}
            records.append(CellRecord(f"{size}-{seed}", TRAIN, 1, config, (), "finished", rows))
    return records


def test_the_rule_tells_a_planted_effect_from_a_planted_null() -> None:
    effect = corner_size.report(planted({1: 0.1, 3: 0.3, 5: 0.4, 11: 0.6}))
    assert "above 0: more places" in effect.found[0] and "over 10 seeds" in effect.found[0]
    null = corner_size.report(planted({1: 0.4, 3: 0.4, 5: 0.4, 11: 0.4}))
    assert "not above 0" in null.found[0]
    assert [row["corner size"] for row in effect.table] == [str(size) for size in SIZES]


def test_too_few_seeds_give_no_contrast() -> None:
    few = corner_size.report(planted({1: 0.1, 11: 0.6}, num_seeds=3)).found[0]
    assert "too few for a word" in few and "above 0" not in few
    assert "Too few" in corner_size.report(planted({1: 0.1, 11: 0.6}, num_seeds=1)).found[0]


def test_the_study_runs_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corner_size, "SIZES", (1, 11))
    question = Question(
        name="tiny", asks="?", rule="r", does_not_show="n", num_seeds=2,
        cells=functools.partial(corner_size.cells, setup=TINY), report=corner_size.report,
    )  # fmt: skip
    found = answer(question, tmp_path / "a", seeds=[0, 1], workers=0)
    assert found.study.exit_code == 0 and len(found.study.computed) == 4
    assert found.figures[0].is_file() and "WHAT WAS NOT SHOWN" in (tmp_path / "a" / "summary.txt").read_text()
    for row in found.report.table:
        assert float(row["untrained, off"].split()[0]) < 0.6
    again = answer(question, tmp_path / "a", seeds=[0, 1], workers=0)
    assert not again.study.computed and again.report.table == found.report.table


@pytest.mark.slow
def test_the_same_seed_gives_the_same_rows_and_reinforcement_is_possible(tmp_path: Path) -> None:
    cells = corner_size.cells([0], dataclasses.replace(TINY, reinforce_steps=2048))[:1]
    for name in ("a", "b"):
        run_study(cells, tmp_path / name, workers=0)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_held_out_levels_differ_only_in_the_place_of_the_cheese() -> None:
    """The contrast is within levels: walls and starts are the same at every corner size."""
    from envs import make_world

    worlds = [make_world(corner_size.ENV_ID, corner_size=size) for size in (1, 11)]
    near, far = (world.begin(world.levels("test").ids()[:50], 0) for world in worlds)
    same = near == far
    assert same[:, 0].all() and same[:, 2:].all() and not same[:, 1].all()


def test_the_figure_shows_seeds_and_published_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    series = [
        DoseSeries(name, np.array([1.0, 5.0, 11.0]), [rng.random(4) for _ in range(3)], [(0.2, 0.6)] * 3)
        for name in ("off", "on")
    ]
    bare = dose_response(series, title="t", x_label="x", y_label="y")
    full = dose_response(series, title="t", x_label="x", y_label="y", others=PUBLISHED)
    assert len(full.axes[0].lines) == len(bare.axes[0].lines) + 2
    drawn = [line for line in bare.axes[0].lines if len(line.get_xdata()) == 4]
    assert len(drawn) == 6, "each dose shows its four seeds"
    assert imread(save_figure(full, tmp_path / "f.png")).std() > 0.05
    with pytest.raises(UserError, match="nothing to draw"):
        dose_response([], title="t", x_label="x", y_label="y")


def test_the_command_names_the_nearest_study(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["study", "corner-sizes"])
    assert stop.value.code == 2 and "Did you mean 'corner-size'?" in capsys.readouterr().err
    parts = "calibration", "depth", "dilemmas", "monitor", "power", "reward", "strengthen", "village"
    assert set(registry.QUESTIONS) == {"alphago", "corner-size", "niceness", *(f"niceness-{part}" for part in parts)}
