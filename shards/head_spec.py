"""What a head is built from."""

from __future__ import annotations

from dataclasses import dataclass

from shards.credit import RoutedCredit
from shards.ensemble import StackedParts
from shards.mixers import MIXERS


@dataclass(frozen=True, kw_only=True)
class HeadSpec:
    """What a head is built from.

    Attributes:
        num_features: D, at least 1.
        hidden_size: units of each hidden layer of *each part*, at least 1.
        num_parts: K; None for the number that the head itself implies (see `HeadEntry.parts_from`).
        num_contexts: C, 0 where the world has none.
        num_events: E, the number of reinforcement events that are told apart; 0 where the world has none.
        num_layers: hidden layers, at least 1.
        component_weights: weight of each reward component in the reward, none of them 0; () where there are none.

        The others are options, which only some heads have (`HeadEntry.options`):
        routing: what routed credit routes; None for its default.
        mixer: what turns gate and part values into weights, a key of `MIXERS`.
        num_active: parts that may decide at once under the mixer "top-k".
        reflection: parts also read what the other parts say (`StackedParts`).
        gate_leak: ε of an oracle gate (`OracleGate`).
    """

    num_features: int
    hidden_size: int
    num_parts: int | None = None
    num_contexts: int = 0
    num_events: int = 0
    num_layers: int = 1
    component_weights: tuple[float, ...] = ()
    routing: RoutedCredit | None = None
    mixer: str = "softmax"
    num_active: int = 2
    reflection: bool = False
    gate_leak: float = 0.0

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ValueError: a number is out of its range, or there is no such mixer.
        """
        ones = ("num_features", "hidden_size", "num_layers", "num_active", "num_parts")
        least = dict.fromkeys(ones, 1) | {"num_contexts": 0, "num_events": 0}
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise ValueError(f"{name} is {value}, but must be at least {bound}")
        if not 0.0 <= self.gate_leak <= 1.0:
            raise ValueError(f"gate_leak is {self.gate_leak}, but must lie in [0, 1]")
        if 0.0 in self.component_weights:
            raise ValueError(f"component_weights are {self.component_weights}; leave out components of weight 0")
        if self.mixer not in MIXERS:
            raise ValueError(f"there is no mixer {self.mixer!r}; the mixers are {', '.join(MIXERS)}")

    @property
    def num_components(self) -> int:
        """C, the number of reward components."""
        return len(self.component_weights)

    def parts(self) -> int:
        """Return the number of parts, which `HeadEntry.resolve` has filled in."""
        if self.num_parts is None:
            raise ValueError("num_parts is None, but this head has no number of parts of its own; give num_parts")
        return self.num_parts

    def stack(self, *, num_added: int = 1) -> StackedParts:
        """Return the parts, without weights; the arguments are those of `StackedParts`."""
        return StackedParts(
            self.num_features,
            num_parts=self.parts(),
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            reflection=self.reflection,
            num_added=num_added,
        )
