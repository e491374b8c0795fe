"""What one network holds and says on given states, and what it would say if something else passed at one of its sites.

Sites are those of `analysis.instruments.sites`, here as matrices [n, d], and one before all of them:

    observation                 what both encoders read (layer 0)
    policy_encoder...           D's encoder below its last layer; absent where D and V share one
    policy_head.features        its last layer
    value_encoder...            V's encoder below its last layer
    value_head.features         its last layer: the interface between E and V
    value_head.hidden...        hidden layers of V, all parts side by side
    value_head.part_k.hidden    the last one of part k, where there are several

An encoder with memory has no sites inside.

Shapes: n rows, m any number of rows, d units of a site, K parts, U units of V's last hidden layer, A actions.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from agents.agent import AlphaAgent, Encoded, build_agent
from analysis.instruments.activations import edited, read
from analysis.instruments.sites import sites_of
from analysis.probing.states import States
from envs.errors import UserError, nearest
from shards.credit import GlobalCredit
from shards.value_head import ValueEstimate

Floats = NDArray[np.float64]
Units = NDArray[np.float32]
OBSERVATION, POLICY_INTERFACE = "observation", "policy_head.features"
INTERFACE, HIDDEN = "value_head.features", "value_head.hidden"


@dataclass(frozen=True, eq=False)
class Activity:
    """A network on states, row by row.

    Attributes:
        network: The agent, or its untrained twin; instruments leave it as it is.
        states: n rows.
        activations: Site -> float32[n, d], in the order of the network; layer 0 first.
        values: float64[n], V with the memory that the network had there.
        part_values: float64[n, K], what each part says, before weighting and without the bias.
        part_weights: float64[n, K], how much each counts.
        unit_contributions: float64[n, U]; the sum over U plus the head's bias is V.
        logits: float64[n, A], D's.
    """

    network: AlphaAgent
    states: States
    activations: Mapping[str, Units]
    values: Floats
    part_values: Floats
    part_weights: Floats
    unit_contributions: Floats
    logits: Floats

    def site(self, name: str) -> Units:
        """Activations float32[n, d] at a site.

        Raises:
            UserError: There is no such site here; names the nearest one.
        """
        if name not in self.activations:
            raise UserError(
                f"There is no site {name!r} in this network; there are {', '.join(self.activations)}."
                f"{nearest(name, self.activations)}"
            )
        return self.activations[name]

    def take(self, index: NDArray[Any]) -> Activity:
        """The same on some of the rows: int64 indices or bool[n]."""
        arrays = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        taken = {name: array[index] for name, array in arrays.items() if isinstance(array, np.ndarray)}
        activations = {name: units[index] for name, units in self.activations.items()}
        return dataclasses.replace(self, states=self.states.take(index), activations=activations, **taken)

    def value_of(self, site: str, activation: ArrayLike) -> Floats:
        """V, float64[n], where float[n, d] passes at a site in place of what does there; see `value_map`."""
        with torch.no_grad():
            return as_floats(self.value_map(site)(self._tensor(activation)))

    def logits_of(self, site: str, activation: ArrayLike) -> Floats:
        """D's logits, float64[n, A], in the same way; see `logits_map`."""
        with torch.no_grad():
            return as_floats(self.logits_map(site)(self._tensor(activation)))

    def value_map(self, site: str) -> Callable[[Tensor], Tensor]:
        """V as a function of what passes at a site, from tensor [n, d] to tensor [n], with a gradient.

        Row i is still state i: what V reads besides the site stays what it is there. At `observation` and at the
        interface V reads nothing else, so any number m of rows will do, unless an oracle head is told the context.

        Raises:
            UserError: No such site, or V does not follow from what passes there (sites of D, observations where there
                is memory).
        """
        if site == INTERFACE:
            return self._value_of_features
        if site == OBSERVATION:
            return self._value_of_inputs
        stored = INTERFACE if site.startswith("value_head") else OBSERVATION
        run = self._value_of_features if stored == INTERFACE else self._value_of_inputs
        return self._changed(site, lambda: run(self._tensor(self.site(stored))))

    def logits_map(self, site: str) -> Callable[[Tensor], Tensor]:
        """D's logits as a function of what passes at a site, from tensor [n, d] to tensor [n, A]; as `value_map`."""
        if site == POLICY_INTERFACE:
            return self.network.policy_head
        if site == OBSERVATION:
            return self._logits_of_inputs
        return self._changed(site, lambda: self._logits_of_inputs(self._tensor(self.site(OBSERVATION))))

    def _changed(self, site: str, run: Callable[[], Tensor]) -> Callable[[Tensor], Tensor]:
        """What `run` gives while something else passes at a site."""
        self.site(site)

        def changed(given: Tensor) -> Tensor:
            # Sites may have more axes in the network than here.
            with edited(self.network, {site: lambda before: given.reshape(before.shape)}):
                return run()

        return changed

    def _value_of_features(self, features: Tensor) -> Tensor:
        # The same weights under a credit rule that lets gradients through to the features, as some do not.
        head = copy.copy(self.network.value_head)
        head.credit_rule = GlobalCredit()
        estimate: ValueEstimate = head(features, told_contexts(self.network, self.states))
        return estimate.value

    def _value_of_inputs(self, inputs: Tensor) -> Tensor:
        _refuse_memory(self.network.value_encoder.memory_size, "V", cure=INTERFACE)
        return self._value_of_features(self.network.features_of_value(Encoded(inputs))[0])

    def _logits_of_inputs(self, inputs: Tensor) -> Tensor:
        _refuse_memory(self.network.policy_encoder.memory_size, "D", cure=POLICY_INTERFACE)
        return self.network.policy_logits(Encoded(inputs))

    def _tensor(self, activation: ArrayLike) -> Tensor:
        return torch.as_tensor(np.asarray(activation, dtype=np.float32)).to(self.network.device)


def _refuse_memory(memory_size: int, what: str, *, cure: str) -> None:
    if memory_size:
        raise UserError(
            f"{what} has a memory of {memory_size} numbers, so what it says does not follow from one observation; "
            f"choose {cure!r} or a site behind it."
        )


def as_floats(tensor: Tensor) -> Floats:
    """A tensor as float64 on the CPU."""
    return np.asarray(tensor.detach().double().cpu().numpy())


def told_contexts(network: AlphaAgent, states: States) -> Tensor | None:
    """The contexts int64[n] that an oracle head is told, None for all other heads."""
    if not network.value_head.needs_context:
        return None
    return torch.from_numpy(states.own_contexts).to(network.device)


def untrained_twin(agent: AlphaAgent) -> AlphaAgent:
    """This agent as it was before training: the same initial weights behind the same encoding and centre."""
    twin = build_agent(agent.spec, agent.num_actions, agent.config, seed=agent.seed)
    twin.observation_encoder.load_state_dict(agent.observation_encoder.state_dict())
    return twin.to(agent.device).eval()


@torch.no_grad()
def activity_of(network: AlphaAgent, states: States) -> Activity:
    """Run a network along states in order of time, with its memory zeroed where an episode starts."""
    encoded = network.encode(states.observations)
    starts = torch.from_numpy(states.starts)[:, None].to(network.device)
    said: list[Any] = []

    def run_policy() -> None:
        said.append(network.unroll_policy(encoded[:, None], None, starts).logits[:, 0])

    def run_value() -> None:
        features = network.unroll_features_of_value(encoded[:, None], None, starts)[0][:, 0]
        said.append(network.value_head(features, told_contexts(network, states)))

    sites = _sites_read(network)
    # One after the other, as what D and V share would be read twice.
    seen = dict(read(network, [name for name in sites if name.startswith("policy")], run_policy))
    seen |= read(network, [name for name in sites if name.startswith("value")], run_value)
    logits, estimate = said
    units = {name: np.asarray(each.flatten(1).cpu().numpy()) for name, each in seen.items()}
    return Activity(
        network, states, {OBSERVATION: np.asarray(encoded.matrix.cpu().numpy()), **units},
        values=as_floats(estimate.value), part_values=as_floats(estimate.part_values),
        part_weights=as_floats(estimate.weights), unit_contributions=as_floats(estimate.unit_contributions),
        logits=as_floats(logits),
    )  # fmt: skip


@torch.no_grad()
def values_along(network: AlphaAgent, states: States) -> Floats:
    """V of states in order of time, with the memory that the network had there, float64[n]."""
    starts = torch.from_numpy(states.starts)[:, None].to(network.device)
    encoded = network.encode(states.observations)[:, None]
    features = network.unroll_features_of_value(encoded, None, starts)[0][:, 0]
    return as_floats(network.value_head(features, told_contexts(network, states)).value)


def _sites_read(network: AlphaAgent) -> list[str]:
    """The sites of `Activity`, in the order of the network."""
    last = f".{len(network.config.encoder_sizes) - 1}"
    return [name for name in sites_of(network) if _is_read(name, network, last=last)]


def _is_read(name: str, network: AlphaAgent, *, last: str) -> bool:
    module, _, place = name.partition(".")
    if module in ("policy_encoder", "value_encoder"):
        # The last layer stands under its reader's name.
        is_inner = network.config.encoder != "gru" and not name.endswith(last)
        return is_inner and not (network.shared and module == "policy_encoder")
    is_of_part = place.startswith("part_") and place.endswith(".hidden")
    return place == "features" or place.startswith("hidden") or (is_of_part and network.value_head.num_parts > 1)
