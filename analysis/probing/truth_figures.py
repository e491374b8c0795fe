"""The figures of `analysis.probing.truth`: what directions say, their losses, how many there could be, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.instruments.truth_counts import count_labelings, cover_count, sample_labelings
from analysis.plots.truth import CountLine, Recursion, contrast_histograms, count_curves, recursion_curves
from analysis.probing.truth_reversals import Searched

Floats = NDArray[np.float64]
MOST_PANELS, MOST_LINES, NUM_SAMPLED = 4, 6, 20_000


def figures_of(places: Mapping[str, Sequence[Searched]]) -> dict[str, Figure]:
    """Figures of the first reversal at each place.

    Args:
        places: Name -> what was found under each reversal; layer 0 first.
    """
    first = {name: searched[0] for name, searched in places.items()}
    return {
        "truth_recursion": recursion_curves(
            [_line(name, one) for name, one in list(first.items())[:MOST_LINES]],
            tau=next(iter(first.values())).search.tau,
            title="Directions that flip when the context is reversed",
        ),
        "truth_answers": contrast_histograms(
            {name: one.search.probes[0].probs(one.held_out) for name, one in list(first.items())[:MOST_PANELS]},
            title="What the first direction says of a situation and its reversal",
        ),
        "truth_counts": _counts(list(first.values())[1]),
    }


def _line(name: str, one: Searched) -> Recursion:
    readings, search = one.search.readings, one.search
    return Recursion(
        name,
        np.array([reading.loss for reading in readings]),
        np.array([reading.accuracy for reading in readings]),
        search.random_losses,
        search.random_accuracies,
    )


def _counts(one: Searched) -> Figure:
    """How many labelings a direction could give to the first pairs, by number of pairs and of components."""

    def sampled(points: Floats) -> int:
        return sample_labelings(points, num_directions=NUM_SAMPLED, seed=0)

    centred = one.held_out.differences - one.held_out.differences.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2]
    panels = {}
    for width, most_exact in ((2, 16), (4, 10)):
        points = centred @ axes[:width].T
        sizes, few = np.arange(2, 17), np.arange(2, most_exact + 1)
        panels[f"{width} components of E's features"] = (
            "pairs n",
            [
                _counted(f"C(n, {width})", sizes, [cover_count(n, width) for n in sizes.tolist()], kind="law"),
                _counted("these pairs", few, [count_labelings(points[:n]) for n in few], kind="exact"),
                _counted(f"by {NUM_SAMPLED:,} directions", sizes, [sampled(points[:n]) for n in sizes], kind="sampled"),
            ],
        )
    return count_curves(panels, title="How many labelings of pairs some direction gives")


def _counted(name: str, sizes: NDArray[np.int64], counts: Sequence[int], *, kind: str) -> CountLine:
    return CountLine(name, sizes.astype(np.float64), np.array(counts, dtype=np.float64), kind)
