"""The learning curve of one run as a figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agents.run_folder import CURVE
from analysis.plots import LearningCurve, learning_curves, save_figure
from envs.storage import parse_json


def draw_curve(folder: Path, *, title: str, best: float | None) -> Path | None:
    """Write curve.png with the mean undiscounted return of the episodes that ended in each update.

    Args:
        folder: Of a run.
        title: Of the figure.
        best: The optimum's undiscounted return, None where it is not known.

    Returns:
        The figure's path; None where the run did not reinforce or no episode ended.
    """
    path = folder / CURVE
    rows = [parse_json(line) for line in path.read_bytes().splitlines()] if path.is_file() else []
    points = [
        (row["step"], row["mean_return"])
        for row in rows
        if row["stage"] == "reinforce" and row.get("mean_return") is not None
    ]
    if not points:
        return None
    steps, returns = np.array(points, np.float64).T
    curve = LearningCurve("D, sampled", steps, returns[None])
    references = {} if best is None else {"optimum": best}
    return save_figure(learning_curves([curve], title=title, references=references), folder / "curve.png")
