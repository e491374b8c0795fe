"""Rows, sentences and figures of the erasure instrument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.instruments.erasers import mean_projection
from analysis.instruments.erasure import Erasure, ErasureReport
from analysis.instruments.halfspace_depth import accuracy_bound
from analysis.instruments.robust_probes import best_threshold_accuracy
from analysis.instruments.translation import equal_medians
from analysis.plots.erasure import (
    AxisView,
    ErasedLine,
    ErasedPoint,
    accuracy_figure,
    axis_figure,
    cost_figure,
)
from analysis.probing.activity import INTERFACE
from analysis.probing.erasure_pairs import CONTRIBUTIONS, SwapRow
from analysis.probing.erasure_returns import ErasedReturn
from analysis.probing.erasure_sites import SiteErasure
from analysis.probing.instrument import Row

Floats = NDArray[np.float64]
ROBUST = ("clip", "stump", "ramp")


def site_rows(site: SiteErasure) -> list[Row]:
    """One row without erasing and one for each eraser, or one with the refusal."""
    place = {"network": site.network, "site": site.site, "states": site.source}
    if site.report is None:
        return [{**place, "eraser": "none", "refused": site.refusal}]
    report = site.report
    whole = {**place, "eraser": "none", **report.before, "gain": report.gain_before, "gap": report.gap_before}
    return [whole, *({**place, **_erasure_row(one)} for one in report.erasures)]


def _erasure_row(one: Erasure) -> Row:
    return {
        "eraser": one.name, "dimensions": one.num_dimensions, "needs labels": one.needs_labels, **one.accuracies,
        "gain": one.linear_gain, "gap": one.gap, "change": one.cost.change, "dV": one.cost.value_change,
        "dV random": one.random_cost.value_change, "order": one.cost.value_order,
        "order random": one.random_cost.value_order, "greedy": one.cost.greedy,
        "greedy random": one.random_cost.greedy, "linear random": one.random_accuracy,
    }  # fmt: skip


def return_row(one: ErasedReturn) -> Row:
    """One actor's returns."""
    return {
        "network": "trained", "site": one.site, "eraser": "LEACE", "actor": one.actor, "return": one.erased,
        "return whole": one.whole, "return random": one.random, "return optimal": one.optimal,
    }  # fmt: skip


def swap_row(one: SwapRow) -> Row:
    """One set of directions."""
    effect = one.effect
    return {
        "network": one.network, "site": one.site, "eraser": f"swap along {one.directions}",
        "dimensions": one.num_directions, "patch": effect.patch, "patch, space read": effect.patch_read,
        "patch, outside": effect.patch_unread, "ablation": effect.ablation,
        "in the space read": effect.fraction_read, "dimensions read": one.num_read, "agreement": one.agreement,
    }  # fmt: skip


def site_sentences(main: SiteErasure, others: Sequence[SiteErasure]) -> list[str]:
    """What LEACE did at the trained interface, beside its nulls."""
    report = main.report
    assert report is not None
    leace = named(report, "LEACE")
    still = report.readable(leace)
    left = (
        f"still read by {', '.join(f'{name} {leace.accuracies[name]:.2f}' for name in still)}"
        if still
        else "read by no probe any more"
    )
    sentences = [
        f"On states {main.source}: after LEACE takes {leace.num_dimensions} of {report.num_features} dimensions at "
        f"{main.site}, the context is {left}, on fresh rows (linear before: {report.before['linear']:.2f}; chance "
        f"{report.chance:.2f}); what a linear readout saves of the log loss falls from {report.gain_before:.2f} to "
        f"{leace.linear_gain:.2f}.",
        f"V moves by {_sd(leace.cost.value_change)} sd, against {_sd(leace.random_cost.value_change)} for random "
        f"subspaces of the same rank and ‖Δh‖; its order within contexts stays at {_sd(leace.cost.value_order)} "
        f"({_sd(leace.random_cost.value_order)}).{_beside(main, others)}",
    ]
    if leace.num_dimensions and not still and _moves_no_more(leace):
        sentences.append("V does not read what was taken away more than any other direction of that size.")
    return sentences


def _beside(main: SiteErasure, others: Sequence[SiteErasure]) -> str:
    """The untrained twin's change of V and layer 0's, on the same states."""
    parts = []
    for name, network, site in (
        ("the same layer before training", "untrained", main.site),
        ("the observation", "trained", "observation"),
    ):
        for other in others:
            if (other.network, other.site, other.source) == (network, site, main.source) and other.report:
                cost, rival = named(other.report, "LEACE").cost, named(other.report, "LEACE").random_cost
                parts.append(f"{name} {_sd(cost.value_change)} ({_sd(rival.value_change)})")
    return f" Erased elsewhere, V moves by: {', '.join(parts)}." if parts else ""


def return_sentence(one: ErasedReturn) -> str:
    """One actor."""
    return (
        f"{one.actor} with LEACE at {one.site} returns {one.erased:.3f} per episode, against {one.whole:.3f} whole, "
        f"{one.random:.3f} with random subspaces of the same size and {one.optimal:.3f} at best."
    )


def swap_sentence(rows: Sequence[SwapRow]) -> str:
    """The trained network's swaps against the untrained one's."""
    by_key = {(row.network, row.site, row.directions): row for row in rows}
    own, twin = (by_key[network, INTERFACE, "CDE"] for network in ("trained", "untrained"))
    means = by_key["trained", INTERFACE, "class means"]
    inside, before = (by_key[network, CONTRIBUTIONS, "class means"] for network in ("trained", "untrained"))
    warning = (
        " Most of the learnt directions lies outside the space that V reads: the swap's success does not make them V's "
        "code of the context."
        if own.effect.is_illusory
        else ""
    )
    return (
        f"Swapping the context along {own.num_directions} directions learnt by CDE moves V {own.effect.patch:.2f} of "
        f"the way on levels apart ({twin.effect.patch:.2f} before training, {means.effect.patch:.2f} along the class "
        "means); "
        f"{own.effect.fraction_read:.2f} of these directions lies in the {own.num_read} dimensions that V reads, where "
        f"the swap alone has effect {own.effect.patch_read:.2f}, and {own.effect.patch_unread:.2f} outside; two seeds "
        f"agree to a cosine of {own.agreement:.2f}.{warning} Inside V, along the class means of the contributions that "
        f"it adds up, a swap moves it {inside.effect.patch:.2f} of the way ({before.effect.patch:.2f} before training; "
        f"1 along their sum, by construction), with {inside.effect.fraction_read:.2f} of these directions along it."
    )


def named(report: ErasureReport, name: str) -> Erasure:
    """The erasure of this name."""
    return next(one for one in report.erasures if one.name == name)


def _moves_no_more(one: Erasure) -> bool:
    own, random = one.cost.value_change, one.random_cost.value_change
    return own is not None and random is not None and own <= random


def _sd(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def site_figures(main: SiteErasure, class_names: Mapping[int, str]) -> dict[str, Figure]:
    """Accuracies, costs, and the two most frequent classes along the axis between their means."""
    report = main.report
    assert report is not None and main.data is not None
    inlp = [one for one in report.erasures if one.name.startswith("INLP")]
    alone = [named(report, name) for name in ("mean projection", "LEACE", "equal means", "equal medians by feature")]
    before = _panels(report.before)
    lines = [_line("INLP", inlp), *(_line(one.name, [one]) for one in alone)]
    points = [
        ErasedPoint(one.name, one.cost.change, one.cost.value_change, one.random_cost.value_change)
        for one in report.erasures
        if one.cost.value_change is not None and one.random_cost.value_change is not None
    ]
    where = f"{main.site}, states {main.source}"
    return {
        "erasure_accuracy": accuracy_figure(
            lines, before=before, chance=report.chance, title="What is left of the context after erasing it",
            subtitle=f"{where}\nprobes fitted anew on erased rows; robust: the best of clip, stump and ramp; "
            "translations take no dimension away but shift classes along so many",
        ),
        "erasure_cost": cost_figure(
            points, title="What erasing the context costs V",
            subtitle=f"{where}\nhollow: random subspaces of the same rank and ‖Δh‖",
        ),
        "erasure_axis": _axis_figure(main, class_names, where=where),
    }  # fmt: skip


def _panels(accuracies: Mapping[str, float]) -> dict[str, float]:
    robust = max(accuracies[name] for name in ROBUST)
    return {"linear": accuracies["linear"], "robust": robust, "MLP": accuracies["mlp"]}


def _line(name: str, erasures: Sequence[Erasure]) -> ErasedLine:
    panels = [_panels(one.accuracies) for one in erasures]
    dimensions = np.array([float(one.num_dimensions) for one in erasures])
    return ErasedLine(name, dimensions, {key: np.array([one[key] for one in panels]) for key in panels[0]})


def _axis_figure(main: SiteErasure, class_names: Mapping[int, str], *, where: str) -> Figure:
    """Before, after mean projection, after LEACE and at equal medians along the axis."""
    data = main.data
    assert data is not None
    rows, labels = data.part(data.test)
    first, second = np.sort(np.argsort(-np.bincount(labels), kind="stable")[:2])
    chosen = (labels == first) | (labels == second)
    rows, is_second = rows[chosen], labels[chosen] == second
    axis = mean_projection(rows, is_second.astype(np.int64)).read[0]
    rest = rows - rows.mean(axis=0)
    rest = rest - np.outer(rest @ axis, axis)
    across = np.linalg.svd(rest, full_matrices=False)[2][0]
    fitted, contexts = data.part(data.fit)
    erasers = {name: main.erasers[name] for name in ("mean projection", "LEACE")}
    erasers["equal medians"] = equal_medians(fitted, contexts, axis[None])
    shown = {"before": rows, **{f"after {name}": eraser(rows, labels[chosen]) for name, eraser in erasers.items()}}
    return axis_figure(
        [_view(name, erased @ axis, erased @ across, is_second=is_second) for name, erased in shown.items()],
        class_names=(class_names[int(first)], class_names[int(second)]),
        title="Two contexts along the axis between their means",
        subtitle=f"{where}, fresh rows\nat most: bounds any threshold, by how deep a common median is in each class",
    )  # fmt: skip


def _view(name: str, along: Floats, across: Floats, *, is_second: NDArray[np.bool_]) -> AxisView:
    """One panel, with what depth leaves to thresholds; chance where all rows are one."""
    classes = is_second.astype(np.int64)
    if np.ptp(along) == 0.0:
        return AxisView(name, along, across, is_second, 0.5, 0.5)
    best = best_threshold_accuracy(along, classes)
    # Where both classes weigh the same, no point is deeper in the class that holds it less than the median of all.
    weights = 1.0 / np.bincount(classes)[classes]
    middle = np.quantile(along, 0.5, weights=weights, method="inverted_cdf")
    bound = accuracy_bound(along[:, None], classes, [middle])
    return AxisView(name, along, across, is_second, best, bound)


def control_sentence(rows: Sequence[Row]) -> str:
    """The planted controls in one sentence."""
    by_name = {str(row["site"]): row for row in rows}
    positive, null, outliers, copy = (by_name[name] for name in ("positive", "null", "outliers", "copy"))
    return (
        f"Planted controls: erasing a concept that V reads moves V by {positive['dV']:.2f} sd (random "
        f"{positive['dV random']:.2f}), one that is not there by {null['dV']:.2f} ({null['dV random']:.2f}); two "
        f"classes with equal means are read at {outliers['linear']:.2f} by the linear probe and "
        f"{outliers['ramp']:.2f} by the ramp probe after LEACE; a swap along a copy of the concept "
        f"succeeds by {copy['patch']:.2f} with {copy['in the space read']:.2f} of its direction in the space "
        "that V reads."
    )
