"""Intent: is influence what an objective plans for, or does it come along with something else?

The objective's plan is made again with the influence channel cut in the agent's model only. Where it then takes other
actions, the channel mattered to it: that is the test as it is usually put, `changes`. It calls a costly side effect
intended, since who avoids one changes the plan when it costs nothing any more. So beside it stands a narrower answer:
influence is *instrumental* if no optimal plan is left once every action that moves θ is forbidden, unless the cut plan
takes it too.

An action moves θ if, with the inert action ever after, the law of the θ to come differs from inertness throughout.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction

from envs.errors import UserError
from envs.niceness.backward import Solution
from envs.niceness.contrasts import utility_of
from envs.niceness.cut import Cut, cut
from envs.niceness.drmdp import DRMDP
from envs.niceness.influence import Path
from envs.niceness.utilities import NOTHING, Fixed, Mixed, Natural, Node, Present, Scheduled, Utility, branches


@dataclass(frozen=True)
class Intent:
    """Why an objective influences, if it does.

    Attributes:
        changes: Whether no optimal plan stays optimal for an agent that believes the channel cut.
        instrumental: Whether it moves θ for what that brings.
    """

    changes: bool
    instrumental: bool


def intent(case: DRMDP, name: str) -> Intent:
    """The intent test.

    Raises:
        UserError: Unkeyed noise, or an objective that is none of RT, IR, PR, NS, NS_lit and their mixtures.
    """
    utility, model = utility_of(name, case), cut(case)
    believed = Solution(in_the_cut(utility, model, name))
    copies = len(believed.memory.start()) - 2
    paths = InertPaths(case)
    # Members of a mixture all stand at the same node of the cut process.
    memory = Mixed(case, (utility, Natural(case)), (Fraction(1), NOTHING))

    def unmoved(time: int, node: Node) -> tuple[int, ...]:
        place = model.node(node[3])
        return believed.actions(time, (*place, *[place] * copies))

    def excused(time: int, node: Node) -> list[int]:
        believes, still = unmoved(time, node), paths.law(time, node[:2], case.noop)
        actions = range(len(case.actions))
        return [a for a in actions if a in believes or paths.law(time, node[:2], a) == still]

    best = Solution(utility).value
    return Intent(*(Solution(memory, allowed=allowed).value < best for allowed in (unmoved, excused)))


@dataclass(frozen=True, eq=False)
class InertPaths:
    """Laws of θ_t.. of one action and then the inert one to the end."""

    case: DRMDP
    _known: dict[tuple[int, Node, int], dict[Path, Fraction]] = field(default_factory=dict)

    def law(self, time: int, node: Node, action: int) -> dict[Path, Fraction]:
        """P(θ_{t+1}, ..., θ_H) after an action at (s, θ) of step t."""
        if (time, node, action) not in self._known:
            law: dict[Path, Fraction] = defaultdict(Fraction)
            for after, ways in branches(Present(self.case), node, action).items():
                ends = time + 1 == self.case.horizon
                ahead = {(): Fraction(1)} if ends else self.law(time + 1, after, self.case.noop)
                for path, probability in ahead.items():
                    law[after[1], *path] += probability * sum((p for p, _ in ways), NOTHING)
            self._known[time, node, action] = dict(law)
        return self._known[time, node, action]


def in_the_cut(utility: Utility, model: Cut, name: str) -> Utility:
    """A utility as an agent sees it that believes the channel cut; there θ is θ^nat, so NS is RT."""
    match utility:
        case Fixed(theta=theta):
            return Fixed(model.case, theta)
        case Scheduled(weights=weights):
            return Scheduled(model.case, weights)
        case Mixed(members=members, weights=shares):
            return Mixed(model.case, tuple(in_the_cut(member, model, name) for member in members), shares)
        case _ if type(utility) in (Present, Natural):
            return Present(model.case)
    raise UserError(f"the intent test cannot cut {name}; it takes RT, IR, PR, NS, NS_lit and mixtures of these.")
