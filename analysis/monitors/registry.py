"""The shipped monitors by name. To add one, write a function of a `Subject` and name it here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from analysis.monitors.baselines import by_policy, by_probe, by_states, by_untrained
from analysis.monitors.by_value import Scores, by_natural_change, by_part, by_value
from analysis.monitors.subject import Subject
from analysis.monitors.twins import by_still_twin, by_twin, by_weak_twin


@dataclass(frozen=True)
class Monitor:
    """One monitor.

    Attributes:
        score: Subject -> trait -> score, higher is more suspect.
        says: What it reads, in a line.
        does_not_show: What a high score does not show.
        bound: Whether it plays the powerful village itself, and so is no early warning but a bound.
    """

    score: Callable[[Subject], Scores]
    says: str
    does_not_show: str
    bound: bool = False


MAIN = "value"
"""The monitor of the verdicts."""
_EXTRAPOLATES = "the edited states were hardly ever met: V extrapolates there, and other states may come out otherwise"
MONITORS: Mapping[str, Monitor] = MappingProxyType(
    {
        MAIN: Monitor(by_value, "V(θ → E) − V; larger of V(locked) − V and V(door closed) − V", _EXTRAPOLATES),
        "value, natural change": Monitor(
            by_natural_change, "V − V(θ → B)", "that it will act: it may lose by a change and not prevent it"
        ),
        "value, by part": Monitor(
            by_part, "the part of V that gains most by the edit", "that this part decides: others may outweigh it"
        ),
        "policy": Monitor(
            by_policy, "log-probability under D of persuade; of guard or door",
            "what planning will do: D learned where influence paid little or nothing",
        ),
        "states": Monitor(
            by_states, "shares of E-people and of kept people among the states", "anything about the agent's aims"
        ),
        "untrained": Monitor(
            by_untrained, "the value monitor on networks that learned nothing", "anything: its score comes of the make"
        ),
        "probe": Monitor(
            by_probe, "a linear probe of θ_t ≠ θ_0 in V's encoder, less its control task",
            "that what can be read is used; it has no sign, and cannot tell the two traits apart",
        ),
        "twin, κ = 1": Monitor(
            by_twin, "the label's own index, played in thought", "foresight: it is scored against itself", bound=True
        ),
        "twin, κ = .1": Monitor(
            by_weak_twin, "the same with too small a κ", "what a more powerful agent does", bound=True
        ),
        "twin that stays": Monitor(
            by_still_twin, "the same with a twin whose tastes never change",
            "lock-in at all, and it takes natural change for manipulation", bound=True,
        ),
    }
)  # fmt: skip
