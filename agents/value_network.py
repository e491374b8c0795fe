"""V's head from an agent's settings: its number of parts, its width, its weights."""

from __future__ import annotations

from dataclasses import replace

from agents.config import AgentConfig
from agents.seeding import torch_generator
from envs.errors import UserError
from shards.credit import RoutedCredit
from shards.head_spec import HeadSpec
from shards.matching import match_parameters
from shards.registry import build_head, head_entry
from shards.value_head import ValueHead


def build_value_head(config: AgentConfig, *, num_features: int, seed: int) -> ValueHead:
    """Build the head that ``config.head`` names, as large, within 2 %, as a MONO of ``config.hidden_size``.

    Args:
        config: its fields from head to head_layers, num_parts to gate_leak are read.
        num_features: D of the encoder under it.
        seed: its weights come from the stream "value head" of this seed.

    Raises:
        UserError: an unknown head, no contexts, events or components where it needs them, an option that it does not
            have, or no width that matches.
    """
    try:
        spec = HeadSpec(
            num_features=num_features,
            hidden_size=config.hidden_size,
            num_parts=_num_parts(config),
            num_contexts=config.num_contexts,
            num_events=config.num_events,
            num_layers=config.head_layers,
            component_weights=tuple(weight for weight in config.component_weights if weight != 0.0),
            routing=_routing(config),
            mixer=config.mixer,
            num_active=config.num_active,
            reflection=config.reflection,
            gate_leak=config.gate_leak,
        )
        width = match_parameters(config.head, spec).hidden_size
        generator = torch_generator(seed, "value head")
        return build_head(config.head, replace(spec, hidden_size=width), generator=generator)
    except ValueError as error:
        raise UserError(str(error)) from error


def num_features_of(config: AgentConfig) -> int:
    """Return D, the number of features of the encoder that ``config`` describes."""
    return config.memory_size if config.encoder == "gru" else config.encoder_sizes[-1]


def _routing(config: AgentConfig) -> RoutedCredit | None:
    """Return what routed credit routes, None for heads without it."""
    if head_entry(config.head).credit != "routed":
        return None
    return RoutedCredit(gate_routed=config.route_gate, encoder=config.route_encoder)


def _num_parts(config: AgentConfig) -> int | None:
    """Return K where the head leaves it open, else None (a monolith has one; oracles and routed heads imply theirs)."""
    if head_entry(config.head).parts_from != "num_parts":
        return None
    return config.num_parts or config.num_events or config.num_contexts or 4
