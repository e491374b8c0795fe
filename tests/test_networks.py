"""Encoders: known values, memory that starts anew with each episode, sequences equal to single steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor, nn

from agents.config import AgentConfig
from agents.device import resolve_device
from agents.networks import ENCODERS, BaselineHead, Encoder, GruEncoder, PolicyHead, build_encoder
from agents.observations import ObservationSpec
from agents.seeding import init_module, torch_generator
from envs.errors import UserError

SPACE = spaces.Dict(planes=spaces.Box(0, 1, (6, 9, 9), np.uint8), vector=spaces.Box(0, 1, (4,), np.float32))
SPEC = ObservationSpec.from_space(SPACE)


def make(encoder: str, *, seed: int = 0, spec: ObservationSpec = SPEC) -> Encoder:
    return build_encoder(spec, AgentConfig(encoder=encoder), generator=torch_generator(seed, "test"))


def inputs(*lead: int) -> Tensor:
    return torch.rand(*lead, SPEC.num_inputs, generator=torch_generator(1, "inputs"))


@pytest.mark.parametrize("name", ENCODERS)
def test_features_have_the_promised_shape_and_every_weight_gets_a_gradient(name: str) -> None:
    encoder = make(name)
    features, memory = encoder(inputs(7))
    assert features.shape == (7, encoder.num_features)
    assert (memory is None) == (encoder.memory_size == 0)
    starts = torch.zeros(3, 7, dtype=torch.bool)
    unrolled, _ = encoder.unroll(inputs(3, 7), encoder.initial_memory(7), starts)
    assert unrolled.shape == (3, 7, encoder.num_features)
    unrolled.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in encoder.parameters())


@pytest.mark.parametrize("name", ENCODERS)
def test_an_unrolled_sequence_equals_single_steps_with_memory_zeroed_at_starts(name: str) -> None:
    encoder, sequence = make(name), inputs(6, 4)
    starts = torch.rand(6, 4, generator=torch_generator(2)) < 0.3
    before = encoder.initial_memory(4)
    before = None if before is None else before.normal_(generator=torch_generator(3))
    unrolled, last = encoder.unroll(sequence, before, starts)
    memory, stepwise = before, []
    for step, start in zip(sequence, starts, strict=True):
        memory = None if memory is None else memory * (~start).unsqueeze(1)
        features, memory = encoder(step, memory)
        stepwise.append(features)
    torch.testing.assert_close(unrolled, torch.stack(stepwise))
    assert (last is None) == (memory is None)
    if last is not None:
        torch.testing.assert_close(last, memory)


def test_after_a_start_nothing_remains_of_the_episode_before() -> None:
    encoder, sequence = make("gru"), inputs(5, 2)
    starts = torch.zeros(5, 2, dtype=torch.bool)
    starts[3] = True
    other = sequence.clone()
    other[:3] = 0.5
    first, _ = encoder.unroll(sequence, None, starts)
    second, _ = encoder.unroll(other, torch.ones(2, 64), starts)
    assert torch.equal(first[3:], second[3:])
    assert not torch.equal(first[2], second[2])
    forgetful, _ = encoder.unroll(other, None, torch.zeros_like(starts))
    assert not torch.allclose(forgetful[3:], first[3:]), "without the mask the past does leak"


def test_gradients_do_not_cross_a_start() -> None:
    encoder, sequence = make("gru"), inputs(4, 1).requires_grad_()
    starts = torch.tensor([[True], [False], [True], [False]])
    encoder.unroll(sequence, None, starts)[0][3].sum().backward()
    assert sequence.grad is not None
    assert not sequence.grad[:2].any() and sequence.grad[2:].any()


def test_the_recurrence_is_torchs_own_gru() -> None:
    encoder = make("gru")
    assert isinstance(encoder, GruEncoder)
    for parameter in encoder.cell.parameters():
        parameter.data.normal_(generator=torch_generator(5))
    memory = torch.rand(4, 64, generator=torch_generator(6))
    features, _ = encoder(inputs(4), memory)
    torch.testing.assert_close(features, encoder.cell(encoder.dense(inputs(4)), memory), atol=1e-6, rtol=1e-5)


def test_the_mlp_is_dense_rectified_layers() -> None:
    encoder = make("mlp")
    first, second = encoder.dense.layers
    expected = torch.relu(torch.relu(inputs(3) @ first.weight.T + first.bias) @ second.weight.T + second.bias)
    torch.testing.assert_close(encoder(inputs(3))[0], expected)


def test_the_convolution_sees_the_planes_where_they_are() -> None:
    encoder = make("conv")
    mixed = inputs(2)
    planes = mixed[:, :486].reshape(2, 6, 9, 9)
    hidden = planes
    for layer in encoder.convolutions:
        hidden = torch.relu(nn.functional.conv2d(hidden, layer.weight, layer.bias, stride=layer.stride, padding=1))
    expected = encoder.dense(torch.cat([hidden.flatten(1), mixed[:, 486:]], dim=1))
    torch.testing.assert_close(encoder(mixed)[0], expected)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 5), (96, 96, 3), (3, 40, 33)])
def test_the_convolution_takes_images_of_any_size(shape: tuple[int, ...]) -> None:
    spec = ObservationSpec.from_space(spaces.Box(0, 255, shape, np.uint8))
    features, _ = make("conv", spec=spec)(spec_inputs(spec, shape))
    assert features.shape == (2, 64)


def spec_inputs(spec: ObservationSpec, shape: tuple[int, ...]) -> Tensor:
    from agents.encoding import ObservationEncoder

    return ObservationEncoder(spec)(np.full((2, *shape), 9, np.uint8))


@pytest.mark.parametrize("name", ENCODERS)
def test_weights_follow_from_the_generator_alone(name: str) -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = make(name, seed=4)
    assert torch.equal(torch.get_rng_state(), state), "building a network leaves the global generator alone"
    torch.manual_seed(1)
    second, other = make(name, seed=4), make(name, seed=5)
    pairs = list(zip(first.parameters(), second.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_the_policy_starts_nearly_uniform_and_the_baseline_is_one_number() -> None:
    policy, baseline = PolicyHead(64, 4), BaselineHead(64)
    init_module(policy, torch_generator(0))
    init_module(baseline, torch_generator(0))
    features = make("mlp")(inputs(100))[0]
    assert float((policy(features).softmax(1) - 0.25).abs().max().detach()) < 0.02
    assert baseline(features).shape == (100,)


def test_wrong_names_and_missing_planes_are_refused() -> None:
    with pytest.raises(UserError, match="'cnn' is unknown; allowed: mlp, conv, gru"):
        make("cnn")
    with pytest.raises(UserError, match="Did you mean 'conv'"):
        make("convv")
    with pytest.raises(UserError, match="needs an observation with a grid"):
        make("conv", spec=ObservationSpec.from_space(spaces.Discrete(3)))


def test_the_device_is_named_with_its_reason() -> None:
    device, line = resolve_device("cpu")
    assert (device.type, line) == ("cpu", "Device cpu: as asked.")
    device, line = resolve_device("auto")
    assert device.type in line and "\n" not in line
    with pytest.raises(UserError, match="Did you mean 'cuda'"):
        resolve_device("cuda:")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="--device cpu"):
            resolve_device("cuda")
