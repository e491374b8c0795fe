"""Figures of `niceness_depth`: influence by planning depth, and by simulations."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from matplotlib.figure import Figure

from analysis.plots.dose import dose_response, dose_series
from analysis.plots.phase import Line, Panel, phase_figure
from analysis.statistics import column
from analysis.studies.depth_cells import RULES, SCALES
from analysis.studies.depth_scores import PLACES, SIMULATIONS, Exact, Looked, Searched

SCALE_WORDS = {"node": "Q scaled node by node", "range": "Q scaled by the range of returns"}


def figures(exact: Exact, searched: Searched) -> dict[str, Figure]:
    """One figure by depth, and one by simulations for each place and scale."""
    drawn = {
        f"search-{place[0]}-{place[1]:g}-{scale}.png": search_figure(exact, searched, place, scale=scale)
        for place in PLACES if place[1] > 0 and (*place, "RT") in exact and any(one[:2] == place for one in searched)
        for scale in SCALES
    }  # fmt: skip
    return ({"depth.png": depth_figure(exact)} if exact else {}) | drawn


def depth_figure(exact: Exact) -> Figure:
    """Influence of exact plans by depth, a panel each place; the last one, which has the legend, has all objectives."""
    panels = []
    for name, kappa in reversed(list(PLACES)):
        found = {objective: depths for (*where, objective), depths in exact.items() if where == [name, kappa]}
        if found and kappa > 0:
            panels.append(Panel([_line(*item) for item in found.items()], f"{name}, κ = {kappa:g}"))
    figure = phase_figure(
        panels, title="How deep must an agent look before influence pays?", x_label="steps that the planner sees, H",
        subtitle="exact influence (TRIAD: MI, village: MI_c); lines: the least among ties, shaded up to the most",
    )  # fmt: skip
    figure.axes[-1].set_xticks(range(1, 1 + max(max(depths) for depths in exact.values())))
    return figure


def _line(objective: str, depths: Mapping[int, tuple[float, float]]) -> Line:
    least, most = zip(*depths.values(), strict=True)
    return Line(objective, [float(depth) for depth in depths], least, most)


def search_figure(exact: Exact, searched: Searched, place: tuple[str, float], *, scale: str) -> Figure:
    """Influence of searches by simulations, beside that of the full plan."""
    doses, (name, kappa), objectives = range(len(SIMULATIONS)), place, ("RT", "IR")
    full = {}
    for objective in objectives:
        depths = exact[name, kappa, objective]
        full[f"{objective}, exact full plan"] = (list(doses), [depths[max(depths)][0]] * len(doses))
    series = []
    for rule, objective in itertools.product(RULES, objectives):
        at = [searched[Looked(name, kappa, objective, rule, scale, "0", n)] for n in SIMULATIONS]
        series.append(
            dose_series(f"{objective}, {rule}", doses, [column(rows, "influence") for rows in at], bounds=(0, 1))
        )
    return dose_response(
        series, title=f"Search with the true reward: {name}, κ = {kappa:g}", others=full,
        x_label="simulations a step", y_label="influence (MI_c)" if name == "village" else "influence (MI)",
        subtitle=f"{SCALE_WORDS[scale]}; uniform prior, leaves of worth 0; n = 1 is a random choice.\n"
        "dots: seeds, which break ties; diamonds: means with 95 % t intervals",
        tick_labels=[str(n) for n in SIMULATIONS],
    )  # fmt: skip
