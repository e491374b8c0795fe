"""The arms of the comparison: what differs between them is how V is built and credited, and nothing else.

To add an arm, name it in `ARMS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

from envs.errors import UserError, nearest


@dataclass(frozen=True)
class Arm:
    """One way to put V together.

    Attributes:
        name: Name in tables.
        head: Key in `shards.registry.HEADS`.
        role: What the arm is for, in a few words.
        shuffled_events: Every episode carries another episode's event labels (routing without history).
        matched: Whether parameters must equal MONO's within 2 %; controls that give no verdict are exempt.
    """

    name: str
    head: str
    role: str
    shuffled_events: bool = False
    matched: bool = True


ARMS = MappingProxyType(
    {
        arm.name: arm
        for arm in (
            Arm("MONO", "MONO", "one network, global credit: the main question"),
            Arm("MOE", "MOE", "parts under a learned gate, global credit: parts without history"),
            Arm("ROUTE", "ROUTE", "MOE with gradients routed by reinforcement event: parts with history"),
            Arm("ROUTE-RAND", "ROUTE", "ROUTE with shuffled labels: routing without history", shuffled_events=True),
            Arm("POS", "POS", "known sharded: disjoint experts behind an oracle gate", matched=False),
            Arm("NEG-F", "NEG-F", "known unsharded: the same function, every unit serves all contexts alike"),
        )
    }
)
"""All arms by name, in the order of tables."""

CONTRASTS = (("MOE", "MONO", "parts"), ("ROUTE", "MOE", "routing in parts"), ("ROUTE", "ROUTE-RAND", "history"))
"""The primary contrasts: (arm, minus arm, what the difference isolates)."""


def find_arms(names: Sequence[str]) -> list[Arm]:
    """The arms called `names`; UserError for an unknown or repeated name."""
    for name in names:
        if name not in ARMS:
            raise UserError(f"There is no arm {name!r}; the arms are {', '.join(ARMS)}.{nearest(name, ARMS)}")
    if len(set(names)) < len(names):
        raise UserError(f"Arms are {', '.join(names)}; name each arm once.")
    return [ARMS[name] for name in names]


def contrasts_among(names: Sequence[str]) -> list[tuple[str, str, str]]:
    """The primary contrasts whose two arms are both in `names`."""
    return [contrast for contrast in CONTRASTS if contrast[0] in names and contrast[1] in names]
