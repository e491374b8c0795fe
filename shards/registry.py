"""Value heads by name.

To add a head, write it and name it in `HEADS`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch

from shards.controls import BootstrapCredit, FlatCredit
from shards.credit import ComponentCredit, GlobalCredit, RoutedCredit
from shards.ensemble import Ensemble
from shards.gates import ConstantGate, Gate, LinearGate, OracleGate
from shards.head_spec import HeadSpec
from shards.mixers import MIXERS, given_mixer
from shards.monolith import GroupedMonolith, Monolith
from shards.value_head import CreditRule, ValueHead

OPTIONS = ("routing", "mixer", "num_active", "reflection", "gate_leak")
"""Fields of a `HeadSpec` that only some heads have."""


@dataclass(frozen=True)
class HeadEntry:
    """A head as the registry knows it.

    Attributes:
        summary: one line for lists.
        build: makes the head, without weights, from a spec whose number of parts is filled in.
        credit: "global", "routed", "local", "component", "bootstrap" or "flat".
        parts_from: where the number of parts comes from: "one" (it is 1), "num_events", "num_contexts",
            "num_components", or "num_parts" (it must be given).
        needs: what must be known of every sample besides features and total: "context", a field of `ValueTargets`, or
            nothing.
        options: which of `OPTIONS` the head has.
    """

    summary: str
    build: Callable[[HeadSpec], ValueHead]
    credit: str
    parts_from: str
    needs: frozenset[str] = frozenset()
    options: frozenset[str] = frozenset()

    @property
    def sb3_allowed(self) -> bool:
        """Whether Stable-Baselines3 can train the head.

        Its value loss is its own, so only a head with global credit and without needs would be the same arm there.
        """
        return self.credit == "global" and not self.needs

    def resolve(self, name: str, spec: HeadSpec) -> HeadSpec:
        """Fill in the number of parts, or check the one that was given; check the options.

        Raises:
            ValueError: the number of parts contradicts the head, or the head has contexts, events or components to tell
                apart and there are none; an option that the head does not have.
        """
        for option in OPTIONS:
            if option not in self.options and getattr(spec, option) != getattr(HeadSpec, option):
                having = ", ".join(other for other, entry in HEADS.items() if option in entry.options)
                raise ValueError(
                    f"{option} is {getattr(spec, option)!r}, but {name} has no such option; leave it out, or choose a "
                    f"head that has it ({having})"
                )
        return self._with_parts(name, spec)

    def trim(self, spec: HeadSpec) -> HeadSpec:
        """Return a spec without what other heads have and this one has not."""
        unknown = {option: getattr(HeadSpec, option) for option in OPTIONS if option not in self.options}
        return replace(spec, **unknown, num_parts=spec.num_parts if self.parts_from == "num_parts" else None)

    def _with_parts(self, name: str, spec: HeadSpec) -> HeadSpec:
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


def _mono_routed(spec: HeadSpec) -> ValueHead:
    routing = spec.routing or RoutedCredit()
    if routing.gate_routed:
        raise ValueError("routing has gate_routed, but MONO-ROUTE has no gate; leave it out, or choose ROUTE")
    whole = replace(spec, num_parts=1, hidden_size=spec.parts() * spec.hidden_size)
    return GroupedMonolith(whole.stack(), routing, num_groups=spec.parts())


def _flat(spec: HeadSpec) -> ValueHead:
    if spec.num_contexts < 1:
        raise ValueError(f"num_contexts is {spec.num_contexts}, but NEG-F flattens over contexts and needs at least 1")
    return Monolith(spec.stack(), FlatCredit(spec.num_contexts))


def _mixture(spec: HeadSpec, credit_rule: CreditRule) -> ValueHead:
    entry, num_parts = MIXERS[spec.mixer], spec.parts()
    if spec.mixer == "top-k" and not min(2, num_parts) <= spec.num_active <= num_parts:
        raise ValueError(
            f"num_active is {spec.num_active}, but top-k takes 2 to {num_parts} of {num_parts} parts (the gate learns "
            "nothing where one is taken; the mixer 'auction' is made for that)"
        )
    gate: Gate
    if entry.gate == "none":
        gate = ConstantGate([1.0] * num_parts)
    else:
        gate = LinearGate(spec.num_features, num_parts, uneven=entry.gate == "uneven")
    parts = spec.stack(num_added=num_parts if spec.mixer == "sum" else 1)
    return Ensemble(parts, gate, entry.build(spec.num_active), credit_rule=credit_rule)


def _added(spec: HeadSpec) -> ValueHead:
    return _mixture(replace(spec, mixer="sum"), GlobalCredit())


def _constant(spec: HeadSpec, weights: Sequence[float], credit_rule: CreditRule) -> ValueHead:
    # These rules send no gradient to the bias.
    return Ensemble(spec.stack(), ConstantGate(weights), given_mixer, credit_rule=credit_rule, train_bias=False)


def _bootstrapped(spec: HeadSpec) -> ValueHead:
    return _constant(spec, [1.0 / spec.parts()] * spec.parts(), BootstrapCredit())


def _oracle(spec: HeadSpec) -> ValueHead:
    # A trained bias would be a weight that the parts share.
    gate = OracleGate(spec.parts(), leak=spec.gate_leak)
    return Ensemble(spec.stack(), gate, given_mixer, credit_rule=GlobalCredit(), train_bias=False)


HEADS = MappingProxyType(
    {
        "MONO": HeadEntry("one network", _mono, "global", "one"),
        "MONO-ROUTE": HeadEntry(
            "MONO with the gradients of groups of its units routed by event", _mono_routed, "routed", "num_events",
            frozenset({"event_share"}), frozenset({"routing"}),
        ),
        "ADD": HeadEntry(
            "a plain sum of parts", _added, "global", "num_parts", options=frozenset({"reflection"})
        ),
        "MOE": HeadEntry(
            "parts under a learned gate", lambda spec: _mixture(spec, GlobalCredit()), "global", "num_parts",
            options=frozenset({"mixer", "num_active", "reflection"}),
        ),
        "ROUTE": HeadEntry(
            "MOE with gradients routed by event", lambda spec: _mixture(spec, spec.routing or RoutedCredit()),
            "routed", "num_events", frozenset({"event_share"}),
            frozenset({"routing", "mixer", "num_active", "reflection"}),
        ),
        "HRA": HeadEntry(
            "one part for each reward component, which it learns",
            lambda spec: _constant(spec, spec.component_weights, ComponentCredit()),
            "component", "num_components", frozenset({"components"}), frozenset({"reflection"}),
        ),
        "POS": HeadEntry(
            "known sharded: one network for each context", _oracle, "local", "num_contexts", frozenset({"context"}),
            frozenset({"reflection", "gate_leak"}),
        ),
        "NEG-F": HeadEntry(
            "known unsharded: MONO, its units serving all contexts alike", _flat, "flat", "one", frozenset({"context"})
        ),
        "NEG-2": HeadEntry(
            "many heads, one history: the mean of parts that learn the same from other samples", _bootstrapped,
            "bootstrap", "num_parts", frozenset({"bootstrap_mask"}), frozenset({"reflection"}),
        ),
    }
)  # fmt: skip


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


def build_head(name: str, spec: HeadSpec, *, generator: torch.Generator | None = None) -> ValueHead:
    """Build a value head.

    Args:
        name: a key of `HEADS`.
        spec: what it is built from.
        generator: on the CPU, draws the weights. Without one, all weights are NaN until `head.reset_parameters` or
            `head.load_state_dict` gives them.

    Returns:
        The head, on the CPU, in float32.

    Raises:
        ValueError: unknown name; parts or options that contradict the head.
    """
    entry = head_entry(name)
    head = entry.build(entry.resolve(name, spec))
    if generator is not None:
        head.reset_parameters(generator)
    return head
