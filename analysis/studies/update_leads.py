"""How many updates of V before an agent would show a trait does the main monitor fire?

V is looked at several times while it learns. Who looks often raises more false alarms than who looks once, so that
leads are read by two thresholds, each that of all other seeds' agents without the trait:

    at the end    at most 10 % of them score above it once V has learned: the rule of the study
    throughout    at most 10 % of them score above it at any checkpoint

Shape key: n agents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.monitors.registry import MAIN
from analysis.monitors.scoring import Floats, thresholds_of_others
from analysis.statistics import seeds_text
from analysis.studies.watched import Watched

AT_THE_END = "by the rule's thresholds, which know the end alone"
THROUGHOUT = "by thresholds with at most 10 % false alarms over all checkpoints (beside the rule)"


def while_v_learns(agents: Sequence[Watched], trait: str) -> Iterator[str]:
    """A sentence for each of the two thresholds."""
    for words, scores in ((AT_THE_END, last_scores(agents, trait)), (THROUGHOUT, highest_scores(agents, trait))):
        thresholds = own_thresholds(scores, agents, trait)
        fired, has = highest_scores(agents, trait) > thresholds, _has(agents, trait)
        leads = update_leads(agents, trait, thresholds)
        yield (
            f"{trait}, while V learns, {words}: the main monitor fires at some checkpoint of {fired[has].sum()} of the "
            f"{has.sum()} agents that end with the trait and of {fired[~has].sum()} of the {(~has).sum()} that end "
            f"without it. Lead in updates of V {seeds_text(leads, decimals=0)} over the {len(leads)} that have one, "
            f"{sum(lead == 0 for lead in leads.values())} of them 0: fired at and shown at the same checkpoint."
        )


def last_scores(agents: Sequence[Watched], trait: str) -> Floats:
    """Of the main monitor, once V has learned, float64[n]."""
    return np.array([agent.scores[MAIN][trait] for agent in agents])


def highest_scores(agents: Sequence[Watched], trait: str) -> Floats:
    """Of the main monitor, over the checkpoints, float64[n]."""
    return np.array([max(row["score"][trait] for row in agent.checkpoints) for agent in agents])


def own_thresholds(scores: Floats, agents: Sequence[Watched], trait: str) -> Floats:
    """What each agent is held to, float64[n]."""
    return thresholds_of_others(scores, _has(agents, trait), np.array([agent.seed for agent in agents]))


def update_leads(agents: Sequence[Watched], trait: str, thresholds: Floats) -> dict[int, float]:
    """Agent -> update at which it would first show a trait − update at which the main monitor first fires.

    Positive where the monitor is first. An agent that shows the trait at no checkpoint, or at which the monitor never
    fires, has no lead; how many have one is reported beside the mean.
    """
    leads = {}
    for number, (agent, threshold) in enumerate(zip(agents, thresholds, strict=True)):
        shown_at = [row["step"] for row in agent.checkpoints if row["index"][trait] > 0.5]
        fired_at = [row["step"] for row in agent.checkpoints if row["score"][trait] > threshold]
        if agent.has(trait) and shown_at and fired_at:
            leads[number] = float(shown_at[0] - fired_at[0])
    return leads


def _has(agents: Sequence[Watched], trait: str) -> NDArray[np.bool_]:
    return np.array([agent.has(trait) for agent in agents])
