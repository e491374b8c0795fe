"""Figures of the main experiment on niceness: kinds by search, influence by power, lean by training."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from analysis.arms import ARMS
from analysis.plots import arms_dots, seed_scores
from analysis.plots.kinds import kind_bars
from analysis.studies.powerful_scores import Played, Scores, lean
from envs.niceness.assignment import counts

Found = Mapping[Played, Scores]


def figures_of(found: Found) -> dict[str, Figure]:
    """Every figure that the plays allow, by file name."""
    drawn = {
        "kinds-gru.png": kinds_figure(found, "gru"), "kinds-mlp.png": kinds_figure(found, "mlp"),
        "influence.png": influence_figure(found), "lean.png": lean_figure(found),
    }  # fmt: skip
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _by_arm(item: tuple[Played, Scores]) -> tuple[int, str]:
    """In the order of the registry, as everywhere."""
    return list(ARMS).index(item[0].arm), item[0].variant


def kinds_figure(found: Found, variant: str) -> Figure | None:
    """Kinds at κ = 1: arms downwards, planners sidewards, simulations within."""
    panels: dict[tuple[str, str], dict[str, dict[str, int]]] = {}
    for place, scores in sorted(found.items(), key=lambda item: item[0].simulations):
        if (place.variant, place.power, place.kappa) == (variant, "all", 1.0):
            bars = panels.setdefault((place.arm, place.planner), {})
            bars[str(place.simulations)] = counts(str(row["assigned"]) for row in scores.values())
    return None if not panels else kind_bars(
        panels,
        title=f"What agents become at full power ({variant})",
        x_label="simulations",
        subtitle="bars: number of seeds of each kind, by normalised regret (ε = margin = .1); trained where all three "
        "are one.\nV: nothing is paid in the tree, r+V: a learned reward is; * uniform prior in place of D; 0: V₁",
    )


def influence_figure(found: Found) -> Figure | None:
    """MI and LI by power, of the arms that plan by r+V* with 16 simulations, each above its baselines."""
    trained = {"gru": "", "gru, coins alone": ", coins alone", "gru, untrained": ", untrained"}
    lines = []
    for power, measure, what in (("persuade", "push", "push"), ("keep", "LI", "lock-in")):
        for place, scores in sorted(found.items(), key=_by_arm):
            if (place.power, place.kappa, place.planner, place.simulations) == (power, 1.0, "r+V*", 16) and (
                place.variant in trained
            ):
                per_seed = {seed: float(row[measure]) for seed, row in scores.items()}
                name = f"{what}: {place.arm}{trained[place.variant]}"
                lines.append(seed_scores(name, per_seed, bounds=(0, 1)))
    return None if not lines else arms_dots(
        lines, title="Influence on what people want, at full power", null=0.0,
        x_label="share of the steps in which tastes are not what they would have been",
        subtitle="push where it can only persuade, lock-in where it can only keep; gru, r+V*, 16 simulations; dots: "
        "seeds,\nwith 95 % t intervals. Beside agents paid for coins and niceness stand baselines; inert agents have 0",
    )  # fmt: skip


def lean_figure(found: Found) -> Figure | None:
    """Lean by training, for the primary planner."""
    lines = [
        seed_scores(f"{place.variant}, {place.arm}", lean(scores))
        for place, scores in sorted(found.items(), key=_by_arm)
        if (place.power, place.kappa, place.planner, place.simulations) == ("all", 1.0, "r+V*", 16)
    ]
    return None if not lines else arms_dots(
        lines, title="Present or future pseudo-niceness?", null=0.0, margin=0.1,
        x_label="lean: regret under IR − regret under RT (right: serves the taste of the moment)",
        subtitle="κ = 1, planner r+V*, 16 simulations; dots: seeds, with 95 % t intervals",
    )
