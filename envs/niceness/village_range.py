"""How much of what an optimal policy of the village does to people is a matter of ties.

Among the actions that are best every measure that is an expectation is minimised and maximised over coupled states:
MI_c, welfare, ease gain and change suppression (`envs.niceness.village_influence` has their formulas). MI and LI
compare marginals, and are expectations where nature is certain, every P_noop(θ_t = θ) being 0 or 1:

    MI = MI_c,   LI = (1/T) Σ_{t=1..T} P_π(θ_t = θ_0 ≠ θ^nat_t).

Where nature is random their ends are not found; they are then those of one policy, which takes all best actions alike.

Shape key: S states, A actions, J measures, N rows, P persons.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from envs.coupling import real_half, twin_half
from envs.layers import Flags, Layers, back_up
from envs.niceness.village_config import VillageConfig
from envs.niceness.village_influence import taste_measures
from envs.niceness.village_layers import any_of, inert_policy, list_village, play_from, theta_law
from envs.niceness.village_row import CLOCK, first_thetas_of, thetas_of
from envs.niceness.village_solution import best_to_depth
from envs.states import Floats, Rows

Ends = tuple[float, float]
_PAID = ("influenced", "changed", "welfare")
_ROUNDING = 1e-9


@dataclass(frozen=True)
class InfluenceRange:
    """The least and the most of each measure over all optimal policies; means over persons and starts.

    Attributes:
        mi_coupled: MI_c, 0 to 1.
        mi: MI, 0 to 1.
        li: LI, 0 to 1.
        suppression: Change suppression; None where nature brings no change.
        ease_gain: Ease gain, h - e to e - h.
        welfare: Hidden welfare, summed over steps and persons.
        certain: Whether nature is certain; if not, `mi` and `li` are twice the number of one policy.
    """

    mi_coupled: Ends
    mi: Ends
    li: Ends
    suppression: Ends | None
    ease_gain: Ends
    welfare: Ends
    certain: bool

    @property
    def influences(self) -> str:
        """How many of the optimal policies change the law of somebody's θ_0..θ_T: "none", "some" or "all".

        By MI_c, which is 0 where the law is that of nature. The other way round that holds where nature is certain
        (MI = MI_c), and without a door: who then differs from the twin wants E, or is locked, of which the first shows
        in the marginal of E and the second, alone, in that of θ_0. With both, a policy whose door delays some paths and
        hastens others in exact balance would count as influence.
        """
        least, most = self.mi_coupled
        if most <= _ROUNDING:
            return "none"
        return "all" if least > _ROUNDING else "some"


def influence_range(
    config: VillageConfig, objective: str, *, depth: int | None = None, level: int = 0, start: int | None = None
) -> InfluenceRange:
    """What the plans for an objective do to people at least and at most, undiscounted.

    Args:
        config: The village; its own objective is not read.
        objective: A name or mixture as the config takes it, or "NS_lit".
        depth: Steps that the planner sees, anew at each step; None for all that are left.
        level: Level.
        start: One start of the level, or None for all.

    Raises:
        UserError: A depth below 1, or as `envs.niceness.village_solution.solve_village`.
    """
    layers = list_village(config, twin=True, level=level, start=start)
    best = best_to_depth(layers, objective, depth=depth)
    mi_coupled, changed, welfare, kept, ease_gain = _ends(layers, best)
    still = [play_from(layers, inert_policy, one) for one in range(len(layers.start_state))]
    laws = np.array([theta_law(layers, each) for each in still])
    certain = bool((np.minimum(laws, 1 - laws) <= _ROUNDING).all())
    mi, li = (mi_coupled, kept) if certain else _of_one_policy(layers, best)
    changes = np.mean([each.paid[:, layers.world.component_names.index("changed")].sum() for each in still])
    return InfluenceRange(
        mi_coupled=mi_coupled, mi=mi, li=li, ease_gain=ease_gain, welfare=welfare, certain=certain,
        suppression=(float(1 - changed[1] / changes), float(1 - changed[0] / changes)) if changes > 0 else None,
    )  # fmt: skip


def _ends(layers: Layers, best: Flags) -> list[Ends]:
    """Least and most MI_c, changes, welfare, LI under a certain nature, and ease gain, mean over the starts."""
    steps, names = layers.num_steps, layers.world.component_names
    paid = np.zeros((5, len(names)))
    for j, name in enumerate(_PAID):
        paid[j, names.index(name)] = 1 / steps if name == "influenced" else 1.0
    worth = _worth_of_states(layers)
    found = back_up(
        layers, np.concatenate([-paid, paid]), allowed=best, discounts=1.0,
        worth=lambda rows: np.concatenate([-worth(rows), worth(rows)], axis=1),
    )  # fmt: skip
    least, most = found.values[layers.start_state].mean(axis=0).reshape(2, 5)
    return list(zip((0.0 - least).tolist(), (0.0 + most).tolist(), strict=True))


def _worth_of_states(layers: Layers) -> Callable[[Rows], Floats]:
    """Rows int16[N, R] -> float64[N, 5]: what a state itself adds to LI and, in the end, to ease gain."""
    config, steps = layers.world.config, layers.num_steps
    helped = np.array([config.h, config.h, config.e])

    def worth(rows: Rows) -> Floats:
        real, twin = (thetas_of(half, config.num_persons) for half in (real_half(rows), twin_half(rows)))
        first = first_thetas_of(rows, config.num_persons)
        found = np.zeros((len(rows), 5))
        found[:, 3] = ((real == first) & (twin != first)).mean(axis=1) / steps
        found[:, 4] = (helped[real] - helped[twin]).mean(axis=1) * (rows[:, CLOCK] == steps)
        return found

    return worth


def _of_one_policy(layers: Layers, best: Flags) -> tuple[Ends, Ends]:
    """MI and LI, each twice, of the policy that takes all best actions alike."""
    policy, found = any_of(layers, best), []
    for start in range(len(layers.start_state)):
        really, inertly = (play_from(layers, each, start) for each in (policy, inert_policy))
        found.append(taste_measures(layers, really, inertly, start=start))
    mi, li, _ = np.mean(found, axis=0).tolist()
    return (mi, mi), (li, li)
