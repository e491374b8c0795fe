"""Sizes of a comparison by world and recording."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

from analysis.studies.yoked import Setup

_NEEDS = Setup(value_updates=2000, learning_rate=5e-3, route_encoder="global")
_DISH = Setup(
    num_demonstrations=5000, imitation_updates=1000, reinforce_steps=24_576, num_episodes=10_000,
    value_updates=4000, learning_rate=3e-3, route_encoder="global", num_checked_levels=100,
)  # fmt: skip

_DOORS = Setup(
    num_demonstrations=0, imitation_updates=0, reinforce_steps=614_400, num_episodes=10_000, value_updates=1000,
    learning_rate=3e-3, route_encoder="global", num_checked_levels=100,
)  # fmt: skip

_CROSSED = Setup(num_demonstrations=10_000, imitation_updates=1500, value_updates=1000, learning_rate=3e-3)

SETUPS = MappingProxyType(
    {
        "CrossedHistory": _CROSSED,
        "CrossedHistory@dose10": _CROSSED,
        "CrossedHistory@dose25": _CROSSED,
        "CrossedHistory@dose50": _CROSSED,
        "MultiNeed": _NEEDS,
        "MultiNeed-Objects2": _NEEDS,
        "MultiNeed-Objects8": _NEEDS,
        "DiamondGhost": Setup(
            num_demonstrations=5000, imitation_updates=1000, reinforce_steps=24_576, num_episodes=10_000,
            value_updates=1000, learning_rate=3e-3, route_encoder="global", num_checked_levels=100,
        ),
        "DishMaze": _DISH,
        "DishMaze@dose10": _DISH,
        "TwoDoors": _DOORS,
        "TwoDoors@normalised": _DOORS,
        "TwoDoors@explored": dataclasses.replace(_DOORS, uniform_share=1.0),
        "Triad": Setup(
            num_demonstrations=2000, imitation_updates=400, reinforce_steps=24_576, num_episodes=10_000,
            uniform_share=0.3, value_updates=1000, learning_rate=3e-3, route_encoder="global", num_checked_levels=1,
        ),
    }
)  # fmt: skip
"""Sizes by world and recording. Routed credit reaches E on CrossedHistory; where that does not fit, E's is global."""
