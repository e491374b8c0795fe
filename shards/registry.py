"""Value heads by name, and their size.

To add a head, write it and name it in `HEADS`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch

from shards.credit import FlatCredit, GlobalCredit, RoutedCredit
from shards.ensemble import Ensemble, StackedParts
from shards.gates import LinearGate, OracleGate
from shards.mixers import oracle_mixer, softmax_mixer
from shards.monolith import Monolith
from shards.value_head import ValueHead


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
        routing: what routed credit routes; None for its default. For routed heads alone.
    """

    num_features: int
    hidden_size: int
    num_parts: int | None = None
    num_contexts: int = 0
    num_events: int = 0
    num_layers: int = 1
    routing: RoutedCredit | None = None

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ValueError: a number is below its least value.
        """
        least = {"num_features": 1, "hidden_size": 1, "num_contexts": 0, "num_events": 0, "num_layers": 1}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ValueError(f"{name} is {getattr(self, name)}, but must be at least {bound}")
        if self.num_parts is not None and self.num_parts < 1:
            raise ValueError(f"num_parts is {self.num_parts}, but must be at least 1")

    def parts(self) -> int:
        """Return the number of parts, which `HeadEntry.resolve` has filled in."""
        if self.num_parts is None:
            raise ValueError("num_parts is None, but this head has no number of parts of its own; give num_parts")
        return self.num_parts

    def stack(self) -> StackedParts:
        """Return the parts, without weights."""
        size = self.hidden_size
        return StackedParts(self.num_features, num_parts=self.parts(), hidden_size=size, num_layers=self.num_layers)


@dataclass(frozen=True)
class HeadEntry:
    """A head as the registry knows it.

    Attributes:
        summary: one line for lists.
        build: makes the head, without weights, from a spec whose number of parts is filled in.
        credit: "global", "routed", "local" or "flat".
        parts_from: where the number of parts comes from: "one" (it is 1), "num_events", "num_contexts", or "num_parts"
            (it must be given).
        needs: what must be known of every sample besides features and total: "context", "event_share" or neither.
    """

    summary: str
    build: Callable[[HeadSpec], ValueHead]
    credit: str
    parts_from: str
    needs: frozenset[str] = frozenset()

    @property
    def sb3_allowed(self) -> bool:
        """Whether Stable-Baselines3 can train the head.

        Its value loss is its own, so only a head with global credit and without needs would be the same arm there.
        """
        return self.credit == "global" and not self.needs

    def resolve(self, name: str, spec: HeadSpec) -> HeadSpec:
        """Fill in the number of parts, or check the one that was given.

        Raises:
            ValueError: the number of parts contradicts the head, or the head has contexts or events to tell apart and
                there are none; routing for a head without routed credit.
        """
        if spec.routing is not None and self.credit != "routed":
            raise ValueError(f"{name} has {self.credit} credit, but routing was given; leave routing out")
        if self.parts_from == "num_parts":
            if spec.num_parts is None:
                raise ValueError(f"{name} was given no num_parts; give it, for instance as the number of events")
            return spec
        implied = 1 if self.parts_from == "one" else getattr(spec, self.parts_from)
        if implied < 1:
            raise ValueError(f"{self.parts_from} is {implied}, but {name} has one part for each and needs at least 1")
        if spec.num_parts not in (None, implied):
            raise ValueError(
                f"num_parts is {spec.num_parts}, but {name} has {implied} ({self.parts_from}); leave num_parts out"
            )
        return replace(spec, num_parts=implied)


def _mono(spec: HeadSpec) -> ValueHead:
    return Monolith(spec.stack(), GlobalCredit())


def _flat(spec: HeadSpec) -> ValueHead:
    if spec.num_contexts < 1:
        raise ValueError(f"num_contexts is {spec.num_contexts}, but NEG-F flattens over contexts and needs at least 1")
    return Monolith(spec.stack(), FlatCredit(spec.num_contexts))


def _mixture(spec: HeadSpec) -> ValueHead:
    gate = LinearGate(spec.num_features, spec.parts())
    return Ensemble(spec.stack(), gate, softmax_mixer, credit_rule=GlobalCredit())


def _routed(spec: HeadSpec) -> ValueHead:
    gate = LinearGate(spec.num_features, spec.parts())
    return Ensemble(spec.stack(), gate, softmax_mixer, credit_rule=spec.routing or RoutedCredit())


def _oracle(spec: HeadSpec) -> ValueHead:
    # A trained bias would be a weight that the parts share.
    gate = OracleGate(spec.parts())
    return Ensemble(spec.stack(), gate, oracle_mixer, credit_rule=GlobalCredit(), train_bias=False)


HEADS = MappingProxyType(
    {
        "MONO": HeadEntry("one network", _mono, "global", "one"),
        "MOE": HeadEntry("parts under a learned gate", _mixture, "global", "num_parts"),
        "ROUTE": HeadEntry(
            "MOE with gradients routed by event", _routed, "routed", "num_events", frozenset({"event_share"})
        ),
        "POS": HeadEntry(
            "known sharded: one network for each context", _oracle, "local", "num_contexts", frozenset({"context"})
        ),
        "NEG-F": HeadEntry(
            "known unsharded: MONO, its units serving all contexts alike", _flat, "flat", "one", frozenset({"context"})
        ),
    }
)


def head_entry(name: str) -> HeadEntry:
    """Return the entry of a head.

    Raises:
        ValueError: no head has this name.
    """
    if name not in HEADS:
        near = difflib.get_close_matches(name.upper(), HEADS, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"there is no value head {name!r}; the heads are {', '.join(HEADS)}.{hint}")
    return HEADS[name]


def build_head(
    name: str,
    *,
    num_features: int,
    hidden_size: int,
    num_parts: int | None = None,
    num_contexts: int = 0,
    num_events: int = 0,
    num_layers: int = 1,
    routing: RoutedCredit | None = None,
    generator: torch.Generator | None = None,
) -> ValueHead:
    """Build a value head.

    Args:
        name: a key of `HEADS`.
        num_features: see `HeadSpec`, as for the others down to `routing`.
        hidden_size: units of each hidden layer of each part.
        num_parts: number of parts; may be left out for all heads but MOE.
        num_contexts: number of contexts.
        num_events: number of reinforcement events.
        num_layers: hidden layers of each part.
        routing: what ROUTE routes.
        generator: on the CPU, draws the weights. Without one, all weights are NaN until `head.reset_parameters` or
            `head.load_state_dict` gives them.

    Returns:
        The head, on the CPU, in float32.

    Raises:
        ValueError: unknown name; a number out of range; parts that contradict the head.
    """
    spec = HeadSpec(
        num_features=num_features,
        hidden_size=hidden_size,
        num_parts=num_parts,
        num_contexts=num_contexts,
        num_events=num_events,
        num_layers=num_layers,
        routing=routing,
    )
    entry = head_entry(name)
    head = entry.build(entry.resolve(name, spec))
    if generator is not None:
        head.reset_parameters(generator)
    return head
