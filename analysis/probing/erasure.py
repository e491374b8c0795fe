"""The erasure instrument: take the context out of activations, and see what is left of it and what V loses."""

from __future__ import annotations

import math

from analysis.probing.erasure_controls import control_rows
from analysis.probing.erasure_pairs import SwapRow, swap_rows
from analysis.probing.erasure_returns import erased_returns
from analysis.probing.erasure_sites import SiteErasure, erased_sites
from analysis.probing.erasure_words import (
    control_sentence,
    named,
    return_row,
    return_sentence,
    site_figures,
    site_rows,
    site_sentences,
    swap_row,
    swap_sentence,
)
from analysis.probing.instrument import Finding, Instrument, Settings
from analysis.probing.material import Material
from envs.errors import UserError

COLUMNS = (
    "network", "site", "states", "eraser", "dimensions", "linear", "clip", "stump", "ramp", "mlp", "gain", "gap",
    "change", "dV", "dV random", "order", "order random", "greedy", "greedy random", "actor", "return", "return whole",
    "return random", "patch", "patch, space read", "patch, outside", "in the space read", "agreement", "refused",
)  # fmt: skip


def measure(material: Material, settings: Settings) -> Finding:
    """Erases the context at the interface between E and V, at baselines, and swaps it along directions.

    Raises:
        NotApplicable: There are no two contexts.
        UserError: The data do not suffice at the interface on any kind of states.
    """
    material.require_contexts()
    sites = erased_sites(material, settings)
    mains = [one for one in sites if one.site == sites[0].site and one.network == "trained"]
    measured = [one for one in mains if one.report is not None]
    if not measured:
        raise UserError(mains[0].refusal)
    returns = erased_returns(material, sites, seed=settings.seed)
    swaps, no_swaps = swap_rows(material, settings)
    found = [sentence for main in measured for sentence in site_sentences(main, sites)]
    found += [return_sentence(one) for one in returns] + ([swap_sentence(swaps)] if swaps else [])
    controls = control_rows()
    largest = max(measured, key=lambda one: 0 if one.report is None else one.report.num_rows[0])
    flags = [flag for main in measured if main.report for flag in main.report.flags]
    refusals = [f"{one.network} {one.site}, states {one.source}: {one.refusal}" for one in sites if one.refusal]
    return Finding(
        rows=[
            *(row for site in sites for row in site_rows(site)),
            *map(return_row, returns), *map(swap_row, swaps), *controls,
        ],
        numbers=_numbers(measured[0], swaps),
        found=[*found, control_sentence(controls)],
        not_shown=[*dict.fromkeys(flags), *refusals, *([no_swaps] if no_swaps else [])],
        figures=site_figures(largest, dict(enumerate(material.context_names_seen()))),
        columns=COLUMNS,
    )  # fmt: skip


def _numbers(main: SiteErasure, swaps: tuple[SwapRow, ...]) -> dict[str, float]:
    """LEACE at the interface on the first kind of states that could be measured, and CDE."""
    assert main.report is not None
    leace = named(main.report, "LEACE")
    own, random = leace.cost, leace.random_cost
    effect = next((row.effect for row in swaps if (row.network, row.directions) == ("trained", "CDE")), None)
    return {
        "best probe after LEACE, above chance": max(leace.accuracies.values()) - main.report.chance,
        "V moved by LEACE beyond random subspaces, sd V": _difference(own.value_change, random.value_change),
        "order of V within contexts under LEACE, above random": _difference(own.value_order, random.value_order),
        "swap along CDE moves V by": math.nan if effect is None else effect.patch,
        "share of CDE's directions in the space V reads": math.nan if effect is None else effect.fraction_read,
    }


def _difference(own: float | None, random: float | None) -> float:
    return math.nan if own is None or random is None else own - random


INSTRUMENT = Instrument(
    name="erasure",
    question="What is left of the context once it is erased from what V reads, and what does V lose?",
    does_not_show=(
        "That V stays the same under an erasure does not show that it makes no use of the context: as long as some "
        "probe still reads it, so may V. That V changes does not show that it used the context: what goes with the "
        "context is taken away too. A swap that succeeds does not show where V's code of the context lies."
    ),
    measure=measure,
    seconds=12.0,
)
