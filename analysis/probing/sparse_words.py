"""Rows, numbers and sentences of what was found about sparse features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.instruments.sparse_agreement import MARGIN
from analysis.instruments.sparse_features import Baseline, SparseReport
from analysis.instruments.sparse_fits import Fit
from analysis.probing.instrument import Row
from analysis.probing.sparse_places import TRAINED, UNTRAINED

Reports = Mapping[str, SparseReport]
COLUMNS = ("place", "coder", "K", "FVU train", "FVU", "L0", "alive", "between seeds", "baseline", "V kept", "D kept")


@dataclass(frozen=True)
class ControlOutcome:
    """A planted control as it came out.

    Attributes:
        name: What it is.
        must: What must come out, in words.
        holds: Whether it did.
        numbers: By name.
    """

    name: str
    must: str
    holds: bool
    numbers: Mapping[str, float]


def rows(reports: Reports, controls: Sequence[ControlOutcome]) -> list[Row]:
    """One row for every fit, baseline and control."""
    found: list[Row] = []
    for place, report in reports.items():
        found += [_fit_row(place, fit) for fit in (*report.compared, *report.others)]
        found += [_baseline_row(place, baseline) for baseline in report.baselines]
    for control in controls:
        told = {"place": f"control: {control.name}", "coder": "as it must be" if control.holds else "NOT as it must be"}
        # In the order of names, which is what a cache keeps.
        outcome = dict(sorted(control.numbers.items()))
        found.append({**told, **_control_columns(outcome), "must": control.must, **outcome})
    return found


def numbers(reports: Reports) -> dict[str, float]:
    """What stands for the run where several are compared."""
    trained, untrained = reports[TRAINED], reports[UNTRAINED]
    table, shown = trained.features, trained.shown
    return {
        "agreement of seeds beyond its largest baseline, E of V": shown.agreement.excess,
        "the same, E of V minus its untrained twin": shown.agreement.excess - untrained.shown.agreement.excess,
        "unexplained variance, E of V": shown.reconstruction.unexplained,
        "share of V recovered, E of V": shown.reconstruction.value,
        "share of features that tell a context": table.context_share,
        "features of context": float(table.is_context_feature.sum()),
    }


def sentences(reports: Reports, controls: Sequence[ControlOutcome]) -> list[str]:
    """What was found, each beside its null."""
    trained = reports[TRAINED]
    return [
        _agreement_sentence(trained),
        _difference_sentence(reports),
        _reconstruction_sentence(trained),
        *_context_sentences(reports),
        _control_sentence(controls),
    ]


def limits(reports: Reports) -> list[str]:
    """What this run does not show beyond what the instrument never does."""
    trained = reports[TRAINED]
    shown = trained.shown
    found = [
        f"K / #states is {shown.agreement.features_per_state:.2g} ({shown.settings.num_features} features, "
        f"{trained.num_train_states} states trained on, {trained.num_test_states} held out); near 1 a dictionary is a "
        "lookup table.",
        "Seeds are those of autoencoders on one network; another training of the agent is another network.",
    ]
    if shown.loss_test > 1.25 * shown.loss_train:
        found.append(
            f"The loss is {shown.loss_train:.3f} on the rows trained on and {shown.loss_test:.3f} on states held out: "
            "part of what was learned are these rows."
        )
    return found


def _fit_row(place: str, fit: Fit) -> Row:
    agreement, kept = fit.agreement, fit.reconstruction
    return {
        "place": place, "coder": fit.settings.name, "K": fit.settings.num_features,
        "FVU train": fit.unexplained_train, "FVU": kept.unexplained, "FVU, each state once": kept.unexplained_uniform,
        "L0": kept.num_active, "alive": fit.num_alive, "distinct": fit.num_distinct,
        "loss train": fit.loss_train, "loss": fit.loss_test,
        "between seeds": agreement.cross_seed, "baseline": agreement.baseline,
        "random directions, uniform": agreement.random_uniform,
        "random directions, with the covariance": agreement.random_shaped, "trained on noise": agreement.noise,
        "K / states": agreement.features_per_state, "verdict": agreement.verdict,
        "V kept": kept.value, "V's parts kept": kept.parts, "D kept": kept.policy,
    }  # fmt: skip


def _baseline_row(place: str, baseline: Baseline) -> Row:
    kept = baseline.reconstruction
    return {
        "place": place, "coder": f"{baseline.name}, {baseline.setting}", "FVU": kept.unexplained,
        "FVU, each state once": kept.unexplained_uniform, "L0": kept.num_active, "V kept": kept.value,
        "V's parts kept": kept.parts, "D kept": kept.policy,
    }  # fmt: skip


def _control_columns(found: Mapping[str, float]) -> Row:
    return {
        "FVU train": found["unexplained, trained on"], "FVU": found["unexplained"], "L0": found["active"],
        "alive": found["alive"], "between seeds": found["cosine between seeds"],
        "baseline": found["cosine between seeds"] - found["excess"],
    }  # fmt: skip


def _agreement_sentence(report: SparseReport) -> str:
    fits = "; ".join(f"{fit.settings.name}: {fit.agreement.verdict}" for fit in report.compared)
    width = report.shown.settings.num_features
    return f"At the interface of E and V, {width} features on {report.num_units} units. {fits}."


def _difference_sentence(reports: Reports) -> str:
    """Claims a difference alone."""
    own = reports[TRAINED].shown.agreement.excess
    others = {name: report.shown.agreement.excess for name, report in reports.items() if name != TRAINED}
    told = ", ".join(f"{name} {excess:+.2f}" for name, excess in others.items())
    known = [excess for excess in others.values() if not np.isnan(excess)]
    if np.isnan(own) or not known:
        return f"There is no excess to compare (elsewhere: {told})."
    gain = own - max(known)
    verdict = (
        "more than everywhere else, which is what V's training adds on this network"
        if gain >= MARGIN
        else "which is not more than elsewhere, so nothing is claimed of V's training"
    )
    return f"Seeds agree by {own:+.2f} more than the largest baseline; elsewhere: {told}; {verdict} (margin {MARGIN})."


def _reconstruction_sentence(report: SparseReport) -> str:
    """The best baseline at as many active codes or fewer stands beside the reconstruction."""
    shown = report.shown.reconstruction
    rivals = [each for each in report.baselines if each.reconstruction.num_active <= shown.num_active + 0.5]
    best = min(rivals, key=lambda each: each.reconstruction.unexplained, default=None)
    value = "" if np.isnan(shown.value) else f" and recover {shown.value:.2f} of V"
    own = (
        f"{report.shown.settings.name}: {shown.num_active:.1f} active codes leave {shown.unexplained:.3f} of the "
        f"variance of held-out states unexplained ({report.shown.unexplained_train:.3f} of those trained on){value}"
    )
    if best is None:
        return f"{own}."
    kept = "" if np.isnan(shown.value) else f", V {best.reconstruction.value:.2f}"
    return (
        f"{own}; the best baseline with no more of them ({best.name}, {best.setting}): "
        f"{best.reconstruction.unexplained:.3f}{kept}. To beat PCA is no evidence of features: noise does it too."
    )


def _context_sentences(reports: Reports) -> list[str]:
    """What features have to do with the context, against random directions and other places."""
    table = reports[TRAINED].features
    if np.isnan(table.context_share):
        return []
    elsewhere = ", ".join(
        f"{name} {report.features.context_share:.0%}" for name, report in reports.items() if name != TRAINED
    )
    told = (
        f"{table.tells_context.sum()} of {table.is_alive.sum()} alive features ({table.context_share:.0%}) tell a "
        f"context by an AUROC above {table.rule.auroc} on held-out states; random directions: "
        f"{table.random_context_share:.0%}; {elsewhere}."
    )
    if not table.tells_context.any():
        return [told]
    both = table.tells_context & table.recurs
    num_ablated = int(np.isfinite(table.effect).sum())
    counted = (
        f"Of these {both.sum()} recur over seeds, {num_ablated} were ablated, and {table.is_context_feature.sum()} "
        f"move V more than {table.rule.num_draws} random directions of the same size and by at least "
        f"{table.rule.least_effect} standard deviations: so many are features of context."
    )
    return [told, counted]


def _control_sentence(controls: Sequence[ControlOutcome]) -> str:
    failed = [control.name for control in controls if not control.holds]
    if failed:
        return f"Planted controls that did NOT come out as they must: {', '.join(failed)}; trust nothing above."
    return f"All {len(controls)} planted controls came out as they must ({', '.join(c.name for c in controls)})."
