"""Active inputs: sums over what differs give what whole products give; other observations are left alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.active_inputs import ActiveFinder, ActiveInputs, sum_columns
from agents.agent import AlphaAgent, build_agent
from agents.config import AgentConfig, ReinforceConfig
from agents.encoding import ObservationEncoder
from agents.environments import make_vector, open_stream
from agents.fast_forward import FastForward
from agents.input_table import InputTable, build_table
from agents.inputs import as_matrix, first_layer
from agents.learner import reinforce
from agents.observations import ObservationSpec
from envs.errors import NonFiniteError, UserError
from envs.registry import make_world
from envs.rows import World
from envs.vector import observation_space

WORLDS = {
    "MultiNeed": make_world("MultiNeed", num_levels=50),
    "CornerMaze-9x9": make_world("CornerMaze-9x9", num_levels=50),
    "CrossedHistory": make_world("CrossedHistory", num_levels=50),
    "TwoDoors": make_world("TwoDoors"),
}


def shown_in(world: World, count: int, *, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    rows = world.begin(rng.integers(world.num_levels, size=count), rng.integers(world.num_starts, size=count))
    return world.observe(rows)


def make_agent(world: World, **settings: Any) -> AlphaAgent:
    known: dict[str, Any] = {
        "encoder_sizes": (32, 16), "hidden_size": 24, "memory_size": 16, "num_contexts": len(world.context_names),
        "num_events": len(world.event_names),
    }  # fmt: skip
    config = AgentConfig(**{**known, **settings})
    return build_agent(observation_space(world), world.num_actions, config, seed=0, sample=shown_in(world, 200))


def features_and_gradients(agent: AlphaAgent, shown: dict[str, Any], *, active: bool) -> list[torch.Tensor]:
    encoder, encoded = agent.policy_encoder, agent.encode(shown, active=active)
    assert isinstance(encoded.inputs, ActiveInputs) == active
    features, _ = encoder(encoded.inputs)
    target = torch.randn(features.shape, generator=torch.Generator().manual_seed(0))
    gradients = torch.autograd.grad((features * target).sum(), list(encoder.parameters()), allow_unused=True)
    return [features.detach(), *(part for part in gradients if part is not None)]


@pytest.mark.parametrize("encoder", ["mlp", "gru"])
@pytest.mark.parametrize("name", WORLDS)
def test_features_and_gradients_are_those_of_whole_products(name: str, encoder: str) -> None:
    agent, shown = make_agent(WORLDS[name], encoder=encoder), shown_in(WORLDS[name], 300, seed=1)
    found = [features_and_gradients(agent, shown, active=active) for active in (True, False)]
    assert len(found[0]) == len(found[1])
    for ours, whole in zip(*found, strict=True):
        torch.testing.assert_close(ours, whole, atol=2e-5, rtol=1e-4)
    again = features_and_gradients(agent, shown, active=True)
    assert all(torch.equal(one, two) for one, two in zip(found[0], again, strict=True))


@pytest.mark.parametrize("name", WORLDS)
def test_only_what_differs_is_kept(name: str) -> None:
    """In an open room a row has one entry for each object, and one for the cue: the walls are in the base."""
    world, shown = WORLDS[name], shown_in(WORLDS[name], 300, seed=1)
    agent = make_agent(world)
    inputs = agent.encode(shown, active=True).inputs
    assert isinstance(inputs, ActiveInputs)
    torch.testing.assert_close(as_matrix(inputs), agent.encode(shown).matrix)
    if name == "MultiNeed":
        assert len(inputs.columns) == 300 * (1 + 4 + 1)


def encoder_of(planes: np.ndarray, vector: np.ndarray, sample: dict[str, Any]) -> ObservationEncoder:
    space = spaces.Dict(
        planes=spaces.Box(0, 1, planes.shape[1:], np.uint8), vector=spaces.Box(0.0, 1.0, vector.shape[1:], np.float32)
    )
    encoder = ObservationEncoder(ObservationSpec.from_space(space))
    encoder.fit_centre(sample)
    return encoder


@settings(max_examples=60, deadline=None)
@given(
    num_planes=st.integers(1, 5), height=st.integers(5, 9), width=st.integers(5, 9), num_flat=st.integers(1, 4),
    rate=st.floats(0.0, 0.08), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_entries_are_those_of_a_plain_comparison(
    num_planes: int, height: int, width: int, num_flat: int, rate: float, seed: int
) -> None:
    """Any bytes, any number of columns: rows then begin anywhere within the eight bytes that are compared at once."""
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 3, (1, num_planes, height, width), np.uint8)
    planes = np.repeat(base, 20, axis=0)
    changed = rng.random(planes.shape) < rate
    planes[changed] = rng.integers(0, 256, changed.sum(), np.uint8)
    vector = np.where(rng.random((20, num_flat)) < 0.2, rng.random((20, num_flat)), 0.0).astype(np.float32)
    centred_on = {"planes": base, "vector": np.zeros((1, num_flat), np.float32)}
    encoder = encoder_of(planes, vector, centred_on)
    inputs = ActiveFinder(encoder)({"planes": planes, "vector": vector})
    rows = np.concatenate([planes.reshape(20, -1).astype(np.float32), vector], axis=1)
    differs = rows != np.concatenate([base.reshape(-1), np.zeros(num_flat)])
    if inputs is None:
        assert differs.mean() > 0.1
        return
    number, columns = np.nonzero(differs)
    np.testing.assert_array_equal(inputs.columns, columns)
    np.testing.assert_array_equal(np.diff(inputs.offsets), np.bincount(number, minlength=20))
    torch.testing.assert_close(as_matrix(inputs), encoder({"planes": planes, "vector": vector}))


@settings(max_examples=30, deadline=None)
@given(name=st.sampled_from(sorted(WORLDS)), count=st.integers(1, 40), width=st.integers(1, 9), seed=st.integers(0, 99))
def test_columns_add_up_alike_whether_entries_are_kept_or_not(name: str, count: int, width: int, seed: int) -> None:
    shown, agent = shown_in(WORLDS[name], count, seed=seed), make_agent(WORLDS[name])
    finder, num_inputs = ActiveFinder(agent.observation_encoder), agent.spec.num_inputs
    generator = torch.Generator().manual_seed(seed)
    weight, start = torch.randn(num_inputs, width, generator=generator), torch.randn(width, generator=generator)
    numbers = shown.get("vector", np.zeros((count, 0), np.float32))
    found, entries = finder.sum_columns(shown["planes"], numbers, weight=weight, start=start), finder(shown)
    assert found is not None and entries is not None
    assert torch.equal(found, sum_columns(weight, start, entries))
    noisy = np.random.default_rng(seed).integers(0, 256, shown["planes"].shape, np.uint8)
    in_noise = finder.sum_columns(noisy, numbers, weight=weight, start=start)
    assert (in_noise is None) == (finder({**shown, "planes": noisy}) is None)
    refused = [(shown["planes"][:, 1:], numbers), (shown["planes"].astype(np.float32), numbers)]
    if numbers.size:
        refused.append((shown["planes"], numbers + np.array([np.nan] * numbers.shape[1], np.float32)))
    for planes, flat in refused:
        assert finder.sum_columns(planes, flat, weight=weight, start=start) is None


@pytest.mark.parametrize("name", ["MultiNeed", "CrossedHistory"])
def test_a_table_of_recorded_inputs_is_read_as_what_differs_from_its_commonest_row(name: str) -> None:
    agent, shown = make_agent(WORLDS[name]), shown_in(WORLDS[name], 300, seed=1)
    table = build_table(agent, shown, 300)
    active, index = table.with_entries(), torch.tensor([[5, 299, 5], [0, 17, 101]])
    assert table.with_entries().entries is active.entries and table.entries is None
    entries = active.chosen(index)
    assert isinstance(entries, ActiveInputs) and entries.shape == (2, 3, agent.spec.num_inputs)
    torch.testing.assert_close(entries.matrix(), table.rows(index), atol=1e-6, rtol=0)
    layer = torch.nn.Linear(agent.spec.num_inputs, 8)
    whole = table.chosen(index[1]).first_layer(layer)
    torch.testing.assert_close(active.chosen(index[1]).first_layer(layer), whole, atol=1e-5, rtol=1e-4)


def test_a_table_in_which_too_much_differs_is_read_whole() -> None:
    table = InputTable(torch.randint(0, 5, (100, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)))
    assert table.with_entries() is table


def test_they_are_indexed_as_the_tensor_that_they_stand_for() -> None:
    world = WORLDS["CornerMaze-9x9"]
    agent, shown = make_agent(world), shown_in(world, 24)
    rollout = {name: part.reshape(4, 6, *part.shape[1:]) for name, part in shown.items()}
    inputs, whole = agent.encode(rollout, active=True).inputs, agent.encode(rollout).matrix
    assert isinstance(inputs, ActiveInputs)
    chosen = torch.tensor([3, 0, 5])
    pairs = [
        (inputs, whole), (inputs[:-1], whole[:-1]), (inputs[0, :0], whole[0, :0]),
        (inputs[:, chosen], whole[:, chosen]),
        (inputs.flatten(0, 1), whole.flatten(0, 1)),
        (inputs.flatten(0, 1).index_select(0, chosen), whole.flatten(0, 1).index_select(0, chosen)),
    ]  # fmt: skip
    for ours, tensor in pairs:
        assert ours.shape == tensor.shape and len(ours) == len(tensor)
        torch.testing.assert_close(as_matrix(ours), tensor)
    layer = torch.nn.Linear(whole.shape[-1], 8)
    torch.testing.assert_close(first_layer(layer, inputs[2]), layer(whole[2]).relu())


def test_other_observations_are_taken_whole() -> None:
    world = WORLDS["MultiNeed"]
    agent, shown = make_agent(world), shown_in(world, 10)
    noisy = {**shown, "planes": np.random.default_rng(0).integers(0, 2, shown["planes"].shape, np.uint8)}
    tensors = {name: torch.from_numpy(part) for name, part in shown.items()}
    for other in (noisy, tensors):
        assert isinstance(agent.encode(other, active=True).inputs, torch.Tensor)
    assert isinstance(make_agent(world, encoder="conv").encode(shown, active=True).inputs, torch.Tensor)
    sample = np.random.default_rng(0).integers(0, 9, (50, 7, 7, 3), np.uint8)
    grid = build_agent(spaces.Box(0, 255, (7, 7, 3), np.uint8), 3, AgentConfig(), seed=0, sample=sample)
    assert isinstance(grid.encode(sample, active=True).inputs, torch.Tensor)
    with pytest.raises(UserError, match="planes"):
        agent.encode({**shown, "planes": shown["planes"][:, :, :3]}, active=True)
    with pytest.raises(UserError, match="disagree"):
        agent.encode({**shown, "vector": shown["vector"][:3]}, active=True)
    with pytest.raises(NonFiniteError, match="vector"):
        agent.encode({**shown, "vector": np.full_like(shown["vector"], np.nan)}, active=True)


@pytest.mark.parametrize("encoder", ["mlp", "gru"])
def test_a_policy_gradient_learns_the_same_with_and_without(encoder: str) -> None:
    options = {"size": 4, "num_objects": 2, "num_levels": 4}
    world = make_world("MultiNeed", **options)
    config = ReinforceConfig(num_steps=1024, num_envs=8, rollout_length=32, batch_size=64)
    records = []
    for active in (True, False):
        agent, env = make_agent(world, encoder=encoder), make_vector("ValueLab/MultiNeed-v0", 8, options=options)
        stream = open_stream(env, agent.spec, seed=0, name="reinforce")
        chosen = dataclasses.replace(config, fast_kernels=active)
        records.append(reinforce(agent, stream, chosen, discount=0.95, seed=0)[1])
    for ours, whole in zip(*records, strict=True):
        assert ours == pytest.approx(whole, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("regime", ["scratch", "shared"])
@pytest.mark.parametrize(("head", "layers"), [("MONO", 1), ("MONO", 2), ("MOE", 1), ("POS", 1)])
@pytest.mark.parametrize("name", ["MultiNeed", "TwoDoors"])
def test_fast_answers_are_the_agents_own(name: str, head: str, layers: int, regime: str) -> None:
    world, shown = WORLDS[name], shown_in(WORLDS[name], 64, seed=2)
    agent = make_agent(world, head=head, head_layers=layers, value_encoder=regime)
    generator = torch.Generator().manual_seed(0)
    for parameter in agent.parameters():  # V's encoder starts as D's; they must not be mixed up.
        parameter.data.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    context = np.zeros(64, np.int64)
    forward = FastForward(agent)
    assert forward.is_fast
    logits, values = forward(shown["planes"], shown.get("vector"), context=context)
    expected = agent.value(shown, context=torch.from_numpy(context)).value
    torch.testing.assert_close(torch.from_numpy(logits), agent.policy_logits(shown).detach(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(torch.from_numpy(values), expected.detach(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("settings", [{"encoder": "conv"}, {"encoder": "gru"}, {"encoder": "mlp"}])
def test_agents_and_batches_that_cannot_be_fast_are_answered_all_the_same(settings: dict[str, Any]) -> None:
    world = WORLDS["MultiNeed"]
    agent, shown = make_agent(world, **settings), shown_in(world, 32)
    if settings["encoder"] == "mlp":
        shown["planes"] = np.random.default_rng(0).integers(0, 2, shown["planes"].shape, np.uint8)
    forward = FastForward(agent)
    assert forward.is_fast == (settings["encoder"] == "mlp")
    logits, values = forward(shown["planes"], shown["vector"])
    np.testing.assert_array_equal(logits, agent.policy_logits(shown).detach().numpy())
    np.testing.assert_array_equal(values, agent.value(shown).value.detach().numpy())
    with pytest.raises(NonFiniteError, match="vector"):
        forward(shown["planes"], np.full_like(shown["vector"], np.nan))
