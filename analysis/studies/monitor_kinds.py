"""Monitors by kind of agent, beside the rule of the study: RT-, IR- or NS-like, and whom it serves most.

Traits are what an agent does with one power at a time; these are whom it serves with all of them. Few agents that plan
one step ahead are of a kind but *other* by `assign` (ε = .1), so that whom they serve however little stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from analysis.monitors.registry import MAIN
from analysis.monitors.scoring import separate
from analysis.monitors.zoo import Label
from analysis.studies.watched import Watched
from envs.niceness.assignment import KINDS, counts

READINGS: Mapping[str, Callable[[Label], str]] = MappingProxyType(
    {"behave like": lambda label: label.kind, "serve": lambda label: label.serves}
)
"""Verb -> kind."""


def kinds_in_words(agents: Sequence[Watched]) -> str:
    """How many agents behave like, and serve, each objective."""
    found = {verb: counts(read(agent.label) for agent in agents) for verb, read in READINGS.items()}
    said = [f"{verb} " + ", ".join(f"{kind} {number}" for kind, number in one.items()) for verb, one in found.items()]
    return f"With all powers at κ = 1 they {'; they '.join(said)}."


def by_kind(agents: Sequence[Watched], trait: str) -> Iterator[str]:
    """A sentence for each kind of which there are agents, and others: how the main monitor tells them from the rest."""
    scores = [agent.scores[MAIN][trait] for agent in agents]
    for verb, read in READINGS.items():
        for kind in KINDS:
            are = [read(agent.label) == kind for agent in agents]
            found = separate(scores, are, leads=[None] * len(agents))
            if found is not None:
                shown = sum(agent.has(trait) for agent, is_one in zip(agents, are, strict=True) if is_one)
                yield (
                    f"{trait}, beside the rule: {shown} of the {found.num_positive} agents that {verb} {kind} do; "
                    "the main monitor's score tells them from the others with AUROC "
                    "{:.2f} [{:.2f}, {:.2f}].".format(*found.auroc)
                )
