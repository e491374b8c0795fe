"""Are V's contributions many, small and independent, and how do their tails fall? Measured on a trained agent."""

from __future__ import annotations

import numpy as np

from agents.seeding import numpy_generator
from analysis.instruments import (
    contribution_sum,
    shape_bootstrap,
    shape_laws,
    shape_tests,
    tail_index,
    tail_plants,
    tails,
    unit_betas,
    unit_distances,
)
from analysis.probing import tails_figures, tails_words
from analysis.probing.controls import Outcome, cached_control, code_version
from analysis.probing.instrument import Finding, Instrument, Settings
from analysis.probing.material import Material
from analysis.probing.tails_reading import readings_of, row_of
from envs.errors import UserError

PLANT_ROWS, PLANT_UNITS = 1000, 40
MODULES = (
    contribution_sum, shape_bootstrap, shape_laws, shape_tests, tail_index, tail_plants, tails, unit_betas,
    unit_distances,
)  # fmt: skip


def measure(material: Material, settings: Settings) -> Finding:
    """Reads both networks on visited states, and on all states where these are known.

    Raises:
        UserError: The trained network's units cannot be read on visited states.
    """
    readings = readings_of(material.visited.first(settings.num_rows), seed=settings.seed)
    if readings[0].refusal:
        raise UserError(readings[0].refusal)
    if material.reachable is not None:
        readings += readings_of(material.reachable.first(settings.num_rows), seed=settings.seed)
    plants = {name: planted(name) for name in tail_plants.PLANTS}
    return Finding(
        rows=[*map(row_of, readings), *({"layer": f"planted {name}", **plant} for name, plant in plants.items())],
        numbers=tails_words.numbers(readings[0]),
        found=tails_words.sentences(readings, plants),
        not_shown=tails_words.limits(readings[0]),
        figures=tails_figures.figures(readings),
        columns=tails_words.COLUMNS,
    )


def planted(name: str) -> Outcome:
    """What the instrument finds in a planted sum, kept until its code changes."""

    def compute() -> Outcome:
        stream = numpy_generator(0, "tails", "plant", name)
        values = tail_plants.PLANTS[name](PLANT_ROWS, PLANT_UNITS, stream=stream)
        found = tails.tails(values, np.arange(PLANT_ROWS), seed=0)
        return {
            "vary": found.sums.num_contributions,
            "n_eff": found.sums.n_eff,
            "largest_10": found.sums.top_shares[2],
            "R": found.sums.ratio,
            "R_shuffled": found.sums.ratio_shuffled[0],
            "kurtosis": found.sums.kurtosis,
            "kurtosis_independent": found.sums.kurtosis_independent,
            "read": len(found.units),
            "beta": float(np.median([unit.beta for unit in found.units])),
            "not_normal": float(np.mean(tails.discoveries([found.units])[0])),
        }

    return cached_control(f"tails/{name}/{PLANT_ROWS}x{PLANT_UNITS}", code_version(*MODULES), compute)


INSTRUMENT = Instrument(
    name="tails",
    question="Is V the sum of many small independent contributions, and do their tails fall as a normal law's?",
    does_not_show="A sum of many small uncorrelated contributions does not show that they are heuristics: a random "
    "network has one too, so that only differences from it say something of what was learned; and a shape that no test "
    "rejects is not the true law.",
    measure=measure,
    seconds=6.0,
)
