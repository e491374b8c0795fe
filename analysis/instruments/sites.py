"""Named places in a network at which activations are read and changed.

Sites of an `AlphaAgent` (x stands for "policy" and "value"; B batch, K parts, H hidden units of a part):

    x_encoder.conv_i          [B, C, H, W]   channels after convolution i (encoder "conv")
    x_encoder.i               [B, width_i]   units after dense layer i
    x_encoder.memory          [B, M]         features and memory of a recurrent encoder (encoder "gru")
    policy_head.features      [B, D]         what D's head reads
    policy_head.logits        [B, A]
    value_head.features       [B, D]         what V's head reads
    value_head.hidden         [B, K, H]      last hidden layer of all parts; hidden_l for the ones before
    value_head.part_k.hidden  [B, H]         the same of one part
    value_head.parts          [B, K]         what each part says, before weighting and without the bias
    value_head.part_k         [B, 1]         the same of one part
    value_head.gate           [B, K]         scores of a gate, before the mixer

All units are rectified ones, after rectification. Under a shared E the sites of both encoders are the same places, so a
change at one reaches D and V; `value_head.features` reaches V alone.

Any other `nn.Module`, such as a policy of Stable-Baselines3, has a site for every submodule without submodules of its
own, called by its path ("mlp_extractor.value_net.0", "value_net"): the tensor that it returns. An agent inside of one,
as in `agents.sb3.ValueLabPolicy`, has its own sites behind the path ("agent.value_head.hidden").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from agents.agent import AlphaAgent
from agents.networks import ConvEncoder, Dense, Encoder, GruEncoder
from envs.errors import UserError, nearest
from shards.ensemble import StackedParts
from shards.gates import Gate
from shards.value_head import ValueHead

Get = Callable[[Any], Any]
Put = Callable[[Any, Tensor], Any]


def _whole(passed: Any) -> Any:
    return passed


def _replace(passed: Any, activation: Tensor) -> Any:
    return activation


@dataclass(frozen=True, eq=False)
class Site:
    """A place where a tensor passes.

    Attributes:
        name: What it is called.
        module: The module at whose border it passes.
        enters: Whether it is the module's first argument; else it is in what the module returns.
        get: Finds the activation [B, ...] in what passes.
        put: (what passes, activation) -> what passes on in its place.
    """

    name: str
    module: nn.Module
    enters: bool = False
    get: Get = _whole
    put: Put = _replace


def sites_of(network: nn.Module) -> Mapping[str, Site]:
    """All sites of a network by name, in the order of its modules (see the module's head).

    Raises:
        UserError: It is no network, or has no site.
    """
    if not isinstance(network, nn.Module):
        raise UserError(f"{type(network).__name__} is no network; give an agent, or `model.policy` of a model.")
    found = {site.name: site for site in _sites("", network)}
    if not found:
        raise UserError(f"{type(network).__name__} has no site: it holds no submodule.")
    return MappingProxyType(found)


def find_site(network: nn.Module, name: str) -> Site:
    """The site called `name`.

    Raises:
        UserError: There is none; names the nearest one.
    """
    found = sites_of(network)
    if name not in found:
        shown = ", ".join(list(found)[:40])
        raise UserError(f"There is no site {name!r}; the sites are {shown}.{nearest(name, found)}")
    return found[name]


def _sites(path: str, module: nn.Module) -> Iterator[Site]:
    """The sites of a module whose own path, with a dot behind it where there is one, is `path`."""
    if isinstance(module, AlphaAgent):
        yield from _agent_sites(path, module)
        return
    for name, child in module.named_children():
        if any(True for _ in child.children()):
            yield from _sites(f"{path}{name}.", child)
        else:
            yield Site(path + name, child)


def _agent_sites(path: str, agent: AlphaAgent) -> Iterator[Site]:
    yield from _encoder_sites(f"{path}policy_encoder", agent.policy_encoder)
    yield Site(f"{path}policy_head.features", agent.policy_head, enters=True)
    yield Site(f"{path}policy_head.logits", agent.policy_head)
    yield from _encoder_sites(f"{path}value_encoder", agent.value_encoder)
    yield from _head_sites(f"{path}value_head", agent.value_head)


def _encoder_sites(path: str, encoder: Encoder) -> Iterator[Site]:
    if isinstance(encoder, ConvEncoder):
        last = len(encoder.convolutions) - 1
        # A convolution is rectified after it returns, so its channels are read where they enter what follows.
        for index, following in enumerate(list(encoder.convolutions)[1:]):
            yield Site(f"{path}.conv_{index}", following, enters=True)
        yield Site(f"{path}.conv_{last}", encoder.dense, True, *_maps(encoder.map_shape))
    if isinstance(dense := getattr(encoder, "dense", None), Dense):
        layers = list(dense.layers)
        for index, following in enumerate(layers[1:]):
            yield Site(f"{path}.{index}", following, enters=True)
        yield Site(f"{path}.{len(layers) - 1}", dense)
    if isinstance(encoder, GruEncoder):
        yield Site(f"{path}.memory", encoder, get=lambda passed: passed[0], put=lambda passed, new: (new, new))


def _head_sites(path: str, head: ValueHead) -> Iterator[Site]:
    yield Site(f"{path}.features", head, enters=True)
    stacks = [child for child in head.children() if isinstance(child, StackedParts)]
    for stack in stacks:
        last = stack.last_site
        for index, module in enumerate(stack.earlier_sites):
            yield Site(f"{path}.hidden_{index}", module)
        yield Site(f"{path}.hidden", last)
        for part in range(head.num_parts):
            yield Site(f"{path}.part_{part}.hidden", last, False, *_column(part))
        yield Site(f"{path}.parts", stack, get=lambda passed: passed[0], put=lambda passed, new: (new, *passed[1:]))
        for part in range(head.num_parts):
            yield Site(f"{path}.part_{part}", stack, False, *_part_value(part))
    for child in head.children():
        if isinstance(child, Gate):
            yield Site(f"{path}.gate", child)


def _column(part: int) -> tuple[Get, Put]:
    """Entry `part` of the second axis."""

    def put(passed: Tensor, new: Tensor) -> Tensor:
        changed = passed.clone()
        changed[:, part] = new
        return changed

    return lambda passed: passed[:, part], put


def _part_value(part: int) -> tuple[Get, Put]:
    """Column `part`, kept as one, of the first of the tensors that pass."""
    place = slice(part, part + 1)
    _, put = _column(part)
    return lambda passed: passed[0][:, place], lambda passed, new: (put(passed[0], new[:, 0]), *passed[1:])


def _maps(shape: tuple[int, int, int]) -> tuple[Get, Put]:
    """The first columns of a matrix as channels [C, H, W]."""
    size = shape[0] * shape[1] * shape[2]

    def put(passed: Tensor, new: Tensor) -> Tensor:
        changed = passed.clone()
        changed[:, :size] = new.flatten(1)
        return changed

    return lambda passed: passed[:, :size].unflatten(1, shape), put
