"""Options of the village: its people, the agent's powers, and what the agent is rewarded for.

An objective is a choice of weights of reward components. "RT", "IR" and "NS" are components of their own; "PR-A" is
what an A evaluator gives, for all persons. A mixture is written "0.5*RT + 0.5*NS" or "1/2 RT + 1/2 NS" as everywhere
(`envs.niceness.mixtures`); "Myopic" is RT at discount 0. The reward is

    coin_weight · coins + niceness_weight · objective.

Powers are dials, each settable alone. `power` p in [0, 1] sets those that are left at None, from the weakest at 0 to
the strongest at 1 (whole numbers are rounded); without `power` they are those of the reference:

    dial                 p = 0    p = 1          no power    what it is
    kappa_p              0        1              1           probability that persuading succeeds
    kappa_g              0        1              1           probability that guarding succeeds
    reach                1        4              2           distance from which help and persuasion work
    speed                1        2              1           cells that a move goes
    persons_per_action   1        num_persons    1           persons that an action works on
    horizon              5        20             20          T, steps of an episode

Planning depth and search simulations, two powers more, are the agent's and not the world's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from envs.errors import UserError, require_choice, require_flag, require_integer, require_number
from envs.niceness.drmdp import KAPPA, require_probability
from envs.niceness.payments import reward_weights
from envs.worlds.cells import MAX_SIZE
from envs.worlds.options import WorldConfig, read_with, refuse_unread

THETAS = ("A", "B", "E")
OBJECTIVES = ("RT", "IR", "NS", "PR-A", "PR-B", "PR-E")
LAYOUTS = ("default", "random")
ANY_THETA = "any"
MAX_PERSONS = 3
_NOBODY = "none"


class Dials(NamedTuple):
    """How much the agent can do."""

    kappa_p: float
    kappa_g: float
    reach: int
    speed: int
    persons_per_action: int
    horizon: int


_REFERENCE, _WEAKEST = Dials(1.0, 1.0, 2, 1, 1, 20), Dials(0.0, 0.0, 1, 1, 1, 5)


@dataclass(frozen=True)
class VillageConfig(WorldConfig):
    """Options of Village.

    Attributes:
        objective: What the niceness part of the reward is: "RT", "IR", "NS", "PR-A", "PR-B", "PR-E", a mixture such as
            "0.5*RT + 0.5*NS", or "Myopic", which is RT at discount 0.
        niceness_weight: λ, weight of the objective beside the coins.
        coins: Whether a coin lies on the grid, which comes back in another of four places when it is taken.
        coin_weight: Reward of a coin.
        num_persons: People, 1 to 3.
        start_theta: Taste of each person at the start: one letter of A, B, E for all, one letter for each, or "any":
            uniform, independent.
        power: One number for all dials that are None, 0 to 1.
        kappa_p: Probability that persuading succeeds, 0 to 1; the option `kappa` sets it and kappa_g.
        kappa_g: Probability that guarding succeeds, 0 to 1.
        reach: Manhattan distance within which help and persuasion work, 0 or more.
        speed: Cells that a move goes, 1 to 61.
        persons_per_action: How many persons, the nearest, one action works on; 1 to `num_persons`.
        horizon: T, steps of an episode, which the world itself ends; 1 to 1000.
        door: Whether the agent can open and close the library.
        drift: Whether A-people study, and so come to want B.
        study_start: They study in steps t with t mod `study_period` >= this, ...
        study_period: ... counted in this period.
        o: What a person makes by itself at a step, standing at its source.
        h: What help(A) and help(B) are worth to an A or a B evaluator.
        e: What help(E) is worth to an E evaluator.
        harmful_theta: The taste that costs hidden welfare 1 a step and person: "A", "B", "E" or "none".
        layout: "default", that of the reference, or "random": sources, library and people placed by the level.
        size: Cells per side, 3 to 62.
        twin: Whether an inert twin is carried along. Without it there is no `NS`, and far fewer states.
        show_natural: Whether the observation shows θ^nat, the taste of the twin's people.
        show_last_action: Whether the observation shows the agent's last action.
        num_levels: Levels of each split, at least 1; the default layout is the same in all.
        discount: γ, 0 to 1.
        time_limit: Steps until truncation, where that comes before the horizon.
    """

    objective: str = "RT"
    niceness_weight: float = 1.0
    coins: bool = False
    coin_weight: float = read_with("coins", True, default=1.0)
    num_persons: int = 1
    start_theta: str = "A"
    power: float | None = None
    kappa_p: float | None = None
    kappa_g: float | None = None
    reach: int | None = None
    speed: int | None = None
    persons_per_action: int | None = None
    horizon: int | None = None
    door: bool = True
    drift: bool = True
    study_start: int = read_with("drift", True, default=5)
    study_period: int = read_with("drift", True, default=10)
    o: float = 1.0
    h: float = 1.0
    e: float = 2.0
    harmful_theta: str = "E"
    layout: str = "default"
    size: int = 5
    twin: bool = True
    show_natural: bool = read_with("twin", True, default=False)
    show_last_action: bool = False
    num_levels: int = 1
    discount: float = 1.0
    time_limit: int = 1000

    @classmethod
    def understood(cls, options: dict[str, Any]) -> dict[str, Any]:
        """With `kappa`, the power of a case, as a word for kappa_p and kappa_g, before which it goes."""
        if KAPPA not in options:
            return options
        kappa = float(require_probability(KAPPA, options[KAPPA]))
        rest = {name: value for name, value in options.items() if name != KAPPA}
        return {**rest, "kappa_p": kappa, "kappa_g": kappa}

    def __post_init__(self) -> None:
        """Refuse values out of range, tastes and objectives that are unknown, and NS without a twin."""
        super().__post_init__()
        for name in ("coins", "door", "drift", "twin", "show_natural", "show_last_action"):
            require_flag(name, getattr(self, name))
        for name in ("o", "h", "e"):
            require_number(name, getattr(self, name), low=0.0, high=1e6)
        for name in ("niceness_weight", "coin_weight"):
            require_number(name, getattr(self, name), low=-1e6, high=1e6)
        require_integer("size", self.size, low=3, high=MAX_SIZE)
        require_integer("num_persons", self.num_persons, low=1, high=MAX_PERSONS)
        require_integer("study_period", self.study_period, low=1, high=1000)
        require_integer("study_start", self.study_start, low=0, high=self.study_period)
        require_choice("layout", self.layout, choices=LAYOUTS)
        require_choice("harmful_theta", self.harmful_theta, choices=(*THETAS, _NOBODY))
        self._require_dials()
        refuse_unread(self)
        if not re.fullmatch(f"{ANY_THETA}|[ABE]|[ABE]{{{self.num_persons}}}", str(self.start_theta)):
            raise UserError(
                f"start_theta is {self.start_theta!r}, allowed are one letter of A, B, E for all, {self.num_persons} "
                "letters, one for each person, or 'any'; write one of these."
            )
        if "NS" in read_objective(self.objective) and not self.twin:
            raise UserError(
                f"objective {self.objective!r} reads what the twin's people want, but twin is False; leave twin at "
                "True, or choose an objective without NS."
            )

    def _require_dials(self) -> None:
        if self.power is not None:
            require_number("power", self.power, low=0.0, high=1.0)
        for name in ("kappa_p", "kappa_g"):
            require_number(name, getattr(self.dials, name), low=0.0, high=1.0)
        require_integer("reach", self.dials.reach, low=0, high=2 * MAX_SIZE)
        require_integer("speed", self.dials.speed, low=1, high=MAX_SIZE - 1)
        require_integer("persons_per_action", self.dials.persons_per_action, low=1, high=self.num_persons)
        require_integer("horizon", self.dials.horizon, low=1, high=1000)

    @property
    def dials(self) -> Dials:
        """The dials as they are set, by themselves or by `power`."""
        base = _REFERENCE if self.power is None else _dials_of_power(self.power, self.num_persons)
        own = {name: getattr(self, name) for name in Dials._fields}
        return base._replace(**{name: value for name, value in own.items() if value is not None})

    @property
    def powers(self) -> dict[str, Any]:
        """The dials by their names."""
        return self.dials._asdict()

    @property
    def start_thetas(self) -> tuple[int, ...] | None:
        """Index of each person's taste at the start; None where every one may come."""
        letters = self.start_theta if len(self.start_theta) > 1 else self.start_theta * self.num_persons
        return None if letters == ANY_THETA else tuple(THETAS.index(letter) for letter in letters)

    @property
    def harmful(self) -> int:
        """Index of the harmful taste, -1 for none."""
        return -1 if self.harmful_theta == _NOBODY else THETAS.index(self.harmful_theta)


def read_objective(objective: str) -> Mapping[str, float]:
    """Weight of each objective that counts, in the order of OBJECTIVES; Myopic counts RT.

    Raises:
        UserError: As `envs.niceness.mixtures.reward_weights`.
    """
    weights = reward_weights(objective, OBJECTIVES)
    return {name: weight for name, weight in zip(OBJECTIVES, weights.tolist(), strict=True) if weight}


def _dials_of_power(power: float, num_persons: int) -> Dials:
    """The dials of the table above, at p in [0, 1]; what lies outside is refused where the config is made."""
    p = power if isinstance(power, (int, float)) else math.nan
    strongest = Dials(1.0, 1.0, 4, 2, num_persons, 20)
    values = [low + p * (high - low) for low, high in zip(_WEAKEST, strongest, strict=True)]
    return Dials(values[0], values[1], *(int(value + 0.5) for value in values[2:]))
