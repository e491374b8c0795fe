"""Instrument `context`: does V move as V* does when nothing but the context changes, and what is its table made of?

Beside V stand V before training, the exact value of D, a linear fit of V* on the observation (layer 0), V* itself
(planted positive), and V* without its context (planted null).

Shapes: M situations, C contexts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from agents.agent import AlphaAgent
from agents.exact import policy_table
from analysis.instruments.context import SwapEffect, swap_effect
from analysis.instruments.interaction import ContextAnova, TableSpectrum, context_anova, table_spectrum
from analysis.probing import context_figures, context_words
from analysis.probing.context_words import LAYER_0
from analysis.probing.instrument import Finding, Instrument, Settings
from analysis.probing.material import Material
from analysis.probing.tables import ContextTable
from envs.tabular import occupancy, policy_evaluation

Floats = NDArray[np.float64]
COLUMNS = (
    "function", "weighting", "slope", "slope_interval", "correlation", "explained", "rms", "rms_optimal",
    "interaction_share", "interaction_share_optimal", "effective_rank", "effective_rank_optimal",
)  # fmt: skip

# The ANOVA has a `context_share` of its own.
_SHARES_OF_SWAPS = {
    "context_share": "share_within_situations", "context_share_optimal": "share_within_situations_optimal",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class ContextSwap:
    """What a swap of the context does to one value function, and what its table is made of.

    Attributes:
        function: "V, trained", "V, untrained", "value of D, exact", or a planted control.
        weighting: "all states alike", or "visits of D".
        effect: Against V*.
        anova: Of the function's own table.
        anova_optimal: Of V*'s.
        spectrum: Of the function's own table.
        spectrum_optimal: Of V*'s.
    """

    function: str
    weighting: str
    effect: SwapEffect
    anova: ContextAnova
    anova_optimal: ContextAnova
    spectrum: TableSpectrum
    spectrum_optimal: TableSpectrum

    def row(self) -> dict[str, object]:
        """Every number."""
        row: dict[str, object] = {"function": self.function, "weighting": self.weighting}
        row |= {_SHARES_OF_SWAPS.get(name, name): value for name, value in dataclasses.asdict(self.effect).items()}
        tables = (("", self.anova, self.spectrum), ("_optimal", self.anova_optimal, self.spectrum_optimal))
        for end, anova, spectrum in tables:
            row |= {f"{name}_share{end}": value for name, value in dataclasses.asdict(anova).items()}
            row |= {f"effective_rank{end}": spectrum.effective_rank, f"spectrum{end}": spectrum.shares}
        return row


def swaps_of(
    values: Mapping[str, Floats], table: ContextTable, *, visits: Floats | None, seed: int
) -> tuple[ContextSwap, ...]:
    """Swap effects and shares of each value function, uniformly and under D's visits where they are known.

    Where V* depends on the context, two planted controls stand beside them: V* itself (slope 1), and V* averaged over
    contexts (slope 0).
    """
    functions, optimal = dict(values), table.optimal
    if np.ptp(optimal, axis=1).max() > 1e-9:
        blind = np.repeat(optimal.mean(axis=1, keepdims=True), optimal.shape[1], axis=1)
        functions |= {"V* itself (planted positive)": optimal, "V* without its context (planted null)": blind}
    weightings = {"all states alike": None} | ({} if visits is None else {"visits of D": visits})
    return tuple(
        ContextSwap(
            function=name,
            weighting=weighting,
            effect=swap_effect(own, optimal, seed=seed, weights=weights, groups=table.groups),
            anova=context_anova(own, weights=weights),
            anova_optimal=context_anova(optimal, weights=weights),
            spectrum=table_spectrum(own, weights=weights),
            spectrum_optimal=table_spectrum(optimal, weights=weights),
        )
        for weighting, weights in weightings.items()
        for name, own in functions.items()
    )


def exact_policy(table: ContextTable, agent: AlphaAgent) -> tuple[Floats, Floats]:
    """D (sampled) as it is on every state of the table; for agents whose D has no memory.

    Returns:
        Its exact value of each situation under each context, float64[M, C], which is what V is trained to be (but for
        the uniform share of actions in its data); and its expected visits of each situation, averaged over contexts,
        float64[M].
    """
    probs = policy_table(agent, table.world, table.mdp.rows)
    visits = occupancy(table.mdp, probs, horizon=table.world.time_limit)
    return policy_evaluation(table.mdp, probs)[table.index], np.asarray(visits[table.index].mean(axis=1))


def linear_in_observation(table: ContextTable, agent: AlphaAgent) -> Floats:
    """V* as a linear readout of the observation has it, float64[M, C], fitted on this table itself.

    Where the observation is one-hot, it moves with the context by the same amount in every situation.
    """
    seen = agent.encode(table.world.observe(table.mdp.rows[table.index.reshape(-1)])).matrix.cpu().numpy()
    fit = Ridge(alpha=1.0).fit(seen, table.optimal.reshape(-1))
    return np.asarray(fit.predict(seen), dtype=np.float64).reshape(table.index.shape)


def measure(material: Material, settings: Settings) -> Finding:
    """Swap the context in all situations of held-out levels."""
    table, agent = material.require_table(), material.agent
    values = {"V, trained": table.values_of(agent), "V, untrained": table.values_of(material.twin)}
    visits = None
    if not agent.policy_encoder.memory_size:
        values["value of D, exact"], visits = exact_policy(table, agent)
    layer_0 = {LAYER_0: linear_in_observation(table, agent)}
    swaps = swaps_of(values | layer_0, table, visits=visits, seed=settings.seed)
    figures = {
        "values": context_figures.values_by_context(values, table.optimal, table.context_names),
        "swaps": context_figures.swaps(values, table.optimal),
        "context_rank": context_figures.ranks(swaps[: len(values)]),
        **context_figures.policies(agent, table.world, level=table.world.levels("test").first),
    }
    return Finding(
        rows=[swap.row() for swap in swaps],
        numbers=_numbers(swaps),
        found=context_words.sentences(swaps),
        not_shown=["In the swaps V is read with an empty memory, as at the start of an episode."]
        if agent.value_encoder.memory_size
        else [],
        figures={name: figure for name, figure in figures.items() if figure is not None},
        columns=COLUMNS,
    )


def _numbers(swaps: Sequence[ContextSwap]) -> dict[str, float]:
    """What V does by itself and in excess of V*, all states alike."""
    own = swaps[0]
    return {
        "slope of V's swaps on V*'s": own.effect.slope,
        "V*'s swaps explained": own.effect.explained,
        "V's swaps, RMS": own.effect.rms,
        "interaction share in excess of V*'s": own.anova.interaction - own.anova_optimal.interaction,
        "effective rank in excess of V*'s": own.spectrum.effective_rank - own.spectrum_optimal.effective_rank,
    }


INSTRUMENT = Instrument(
    name="context",
    question="Does V use the context as V* does?",
    does_not_show=(
        "That V moves with the context does not show shards: a single network that fits V* moves as V* does. "
        "`valuelab compare` holds value heads against known shards and a known monolith."
    ),
    measure=measure,
    seconds=3.0,
)
