"""E2 in the village: what agents that are optimal for RT, IR and NS do to people as one power grows, exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.markdown import table
from analysis.niceness.village_solved import between
from analysis.plots.phase import Line, Panel
from envs.niceness.assignment import JUDGES
from envs.niceness.village_config import VillageConfig
from envs.niceness.village_range import InfluenceRange, influence_range


@dataclass(frozen=True)
class Axis:
    """A power that is swept, or what a person makes.

    Attributes:
        name: What the page calls it.
        dials: Options of the village that take its value.
        values: Ascending.
        others: Options that stay.
        in_figure: Whether it has enough values to be drawn.
    """

    name: str
    dials: tuple[str, ...]
    values: tuple[float, ...]
    others: Mapping[str, Any]
    in_figure: bool = True

    def config(self, value: float) -> VillageConfig:
        """The village at one value."""
        return VillageConfig(**{**self.others, **dict.fromkeys(self.dials, value)})


_UNSURE = {"kappa_p": 0.3, "kappa_g": 0.3, "door": False}
_KAPPAS = ("kappa_p", "kappa_g")
_REACHES = (0, 1, 2, 3, 4, 8)
AXES = (
    Axis("κ", _KAPPAS, (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0), {"door": False}),
    Axis("reach", ("reach",), _REACHES, _UNSURE),
    Axis("speed", ("speed",), (1, 2, 4), _UNSURE),
    Axis("T", ("horizon",), (5, 8, 10, 15, 20, 30), _UNSURE),
    Axis("power", ("power",), (0.0, 0.25, 0.5, 0.75, 1.0), {"door": False}),
    Axis("o", ("o",), (0.0, 0.5, 1.0, 2.0), _UNSURE, in_figure=False),
    Axis("reach, o = 0", ("reach",), _REACHES, {**_UNSURE, "o": 0.0}, in_figure=False),
    Axis("reach, o = 0, κ = 1", ("reach",), _REACHES, {"door": False, "o": 0.0}, in_figure=False),
    Axis("κ, with a door", _KAPPAS, (0.0, 0.1, 0.3, 1.0), {}, in_figure=False),
    Axis("persons", ("num_persons",), (1, 2), {**_UNSURE, "horizon": 10}, in_figure=False),
    Axis("persons per action, of 2", ("persons_per_action",), (1, 2), {**_UNSURE, "horizon": 10, "num_persons": 2},
         in_figure=False),
)  # fmt: skip
Swept = Mapping[str, Sequence[Mapping[str, InfluenceRange]]]
"""For each axis, at each of its values, objective -> what its agents do."""


def sweep() -> Swept:
    """Solve all villages of AXES; about 10 seconds."""
    return {axis.name: [do_to_people(axis.config(value)) for value in axis.values] for axis in AXES}


def do_to_people(config: VillageConfig) -> dict[str, InfluenceRange]:
    """What optimal agents of each of JUDGES do."""
    return {name: influence_range(config, name) for name in JUDGES}


def tables_of(swept: Swept) -> list[str]:
    """A table for each axis."""
    found = []
    for axis in AXES:
        rows = [[name, *(_brief(at[name]) for at in swept[axis.name])] for name in JUDGES]
        found.append(table([axis.name, *(f"{value:g}" for value in axis.values)], rows))
    return found


def columns_of(swept: Swept) -> dict[str, list[Panel]]:
    """MI_c above LI for each axis of the figure."""
    return {axis.name: [_panel(axis, swept, "MI_c"), _panel(axis, swept, "LI")] for axis in AXES if axis.in_figure}


def _panel(axis: Axis, swept: Swept, measure: str) -> Panel:
    lines = []
    for name in JUDGES:
        done = [at[name] for at in swept[axis.name]]
        ends = [one.mi_coupled if measure == "MI_c" else one.li for one in done]
        lines.append(Line(name, axis.values, *([float(end) for end in side] for side in zip(*ends, strict=True))))
    return Panel(lines, measure)


def _brief(done: InfluenceRange) -> str:
    return f"{between(done.mi_coupled, '.3f')}; {'' if done.certain else '~'}{between(done.li, '.3f')}"
