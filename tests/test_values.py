"""The value stage: it learns known values, arms see the same minibatches, and nothing that is not finite gets in."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents.agent import AlphaAgent, build_agent, restart_value, with_value_encoder
from agents.batches import (
    Minibatch,
    all_values,
    features_of,
    frozen_features,
    minibatches,
    one_step_of_each,
    unroll_padded,
)
from agents.checkpoint import load_agent, save_agent
from agents.config import AgentConfig, ValueConfig
from agents.dense_value import DenseValue
from agents.encoded import encode_episodes, select_episodes
from agents.exact import policy_table, value_accuracy, value_table
from agents.input_table import InputTable
from agents.losses import relative_error
from agents.outcomes import outcomes_of
from agents.recorder import record_episodes
from agents.responsibility import ReceivedCredit
from agents.returns import event_shares
from agents.value_actor import ValueActor
from agents.value_trainer import ValueTrainer
from agents.values import fit_values
from envs.episodes import Episodes
from envs.errors import NonFiniteError
from envs.registry import make_world
from envs.tabular import enumerate_world, policy_evaluation, state_index
from envs.vector import observation_space

WORLD = make_world("MultiNeed", size=4, num_objects=2, num_levels=8)
OPTIONS = {"size": 4, "num_objects": 2, "num_levels": 8}
ENV_ID = "ValueLab/MultiNeed-v0"
SHORT = ValueConfig(num_updates=40, batch_size=64)


def make_agent(head: str = "MONO", regime: str = "scratch", encoder: str = "mlp") -> AlphaAgent:
    config = AgentConfig(
        head=head, value_encoder=regime, encoder=encoder, encoder_sizes=(32, 16), hidden_size=32, memory_size=16,
        num_contexts=2, num_events=2,
    )
    rows = enumerate_world(WORLD, WORLD.levels("train")).rows
    return build_agent(observation_space(WORLD), 4, config, seed=0, sample=WORLD.observe(rows))


@pytest.fixture(scope="module")
def episodes() -> Episodes:
    return record_episodes(make_agent(), ENV_ID, num_episodes=600, seed=1, options=OPTIONS, uniform_share=0.5)


def weights(agent: AlphaAgent, prefix: str) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for name, p in agent.named_parameters() if name.startswith(prefix)])


def test_v_comes_near_the_exact_value_of_the_policy() -> None:
    agent, mdp = make_agent(), enumerate_world(WORLD, WORLD.levels("train"))
    episodes = record_episodes(agent, ENV_ID, num_episodes=8000, seed=1, options=OPTIONS, uniform_share=0.5)
    exact = policy_evaluation(mdp, policy_table(agent, WORLD, mdp.rows, uniform_share=0.5))
    settings = ValueConfig("td_lambda", trace_lambda=0.5, num_updates=1000, learning_rate=5e-3, refresh_every=25)
    assert episodes.rows is not None
    trained, record = fit_values(agent, episodes, settings, seed=0, truth=exact[state_index(mdp, episodes.rows)])
    accuracy = value_accuracy(trained, WORLD, mdp, uniform_share=0.5)
    # What is left is noise of the outcomes: it halves with four times the episodes.
    assert accuracy.relative_error < 0.2
    assert record[-1]["r_squared"] > 0.95
    assert record[-1]["r_squared"] == pytest.approx(1 - record[-1]["relative_error"] ** 2)
    assert value_accuracy(make_agent(), WORLD, mdp, uniform_share=0.5).relative_error > 0.9
    np.testing.assert_array_equal(weights(trained, "policy"), weights(agent, "policy"))


def test_v_looks_ahead_and_is_judged_with_the_discount_that_it_learned(episodes: Episodes, tmp_path: Path) -> None:
    agent, mdp = make_agent(), enumerate_world(WORLD, WORLD.levels("train"))
    settings = ValueConfig(num_updates=400, learning_rate=5e-3, discount=0.5)
    trained, _ = fit_values(agent, episodes, settings, seed=0)
    assert (agent.value_discount, trained.value_discount, WORLD.discount) == (None, 0.5, 0.95)
    near = value_accuracy(trained, WORLD, mdp, uniform_share=0.5).relative_error
    assert near < 0.5 < value_accuracy(trained, WORLD, mdp, uniform_share=0.5, discount=0.95).relative_error
    save_agent(tmp_path / "agent", trained)
    loaded, _ = load_agent(tmp_path / "agent")
    assert (ValueActor(loaded, WORLD).discount, ValueActor(agent, WORLD).discount) == (0.5, 0.95)
    assert ValueActor(loaded, WORLD, discount=0.9).discount == 0.9
    assert restart_value(loaded).value_discount is None


def test_arms_see_the_same_minibatches_whatever_their_head(episodes: Episodes) -> None:
    orders = []
    for head in ("MONO", "ROUTE"):
        data = encode_episodes(make_agent(head), episodes)
        generator = torch.Generator().manual_seed(5)
        stream = minibatches(data, batch_size=100, generator=generator, whole_episodes=False)
        orders.append(torch.cat([next(stream).steps for _ in range(50)]))
    assert torch.equal(*orders)
    counts = np.bincount(orders[0].numpy(), minlength=episodes.num_steps)
    assert counts.max() - counts.min() <= 1


def test_all_heads_start_from_one_encoder_and_end_with_another(episodes: Episodes) -> None:
    starts = [weights(make_agent(head), "value_encoder") for head in ("MONO", "MOE", "POS")]
    assert all(torch.equal(start, starts[0]) for start in starts)
    trained, _ = fit_values(make_agent("MOE"), episodes, SHORT, seed=0)
    assert not torch.equal(weights(trained, "value_encoder"), starts[0])


def test_the_same_seed_gives_the_same_weights_and_another_does_not(episodes: Episodes) -> None:
    np.random.seed(3)  # noqa: NPY002
    first, record = fit_values(make_agent(), episodes, SHORT, seed=7)
    torch.manual_seed(99)
    second, again = fit_values(make_agent(), episodes, SHORT, seed=7)
    third, _ = fit_values(make_agent(), episodes, SHORT, seed=8)
    assert torch.equal(weights(first, "value"), weights(second, "value"))
    assert not torch.equal(weights(first, "value"), weights(third, "value"))
    assert record == again


@pytest.mark.parametrize("encoder", ["mlp", "conv"])
def test_outcomes_bootstrap_where_a_limit_cut_the_episode_and_nowhere_else(episodes: Episodes, encoder: str) -> None:
    """At λ = 1 the targets from the ends of cut episodes alone are those from V at every step."""
    agent = make_agent(encoder=encoder)
    cut = dataclasses.replace(episodes, terminated=episodes.terminated.copy(), truncated=episodes.truncated.copy())
    cut.terminated[::3], cut.truncated[::3] = False, True
    trainer = ValueTrainer(agent, encode_episodes(agent, cut), outcomes_of(agent, cut, SHORT), config=SHORT)
    targets = trainer._targets().total.numpy()
    np.testing.assert_allclose(targets, trainer.outcomes.totals(*trainer.values()), atol=1e-6)
    blind = trainer.outcomes.totals(np.zeros(cut.num_steps), np.zeros(len(cut.terminated)))
    assert (targets != blind)[cut.offsets[1:] - 1].tolist() == (~cut.terminated).tolist()


def test_an_encoding_may_be_shared(episodes: Episodes) -> None:
    encoded = encode_episodes(make_agent("MOE"), episodes)
    given, _ = fit_values(make_agent(), episodes, SHORT, seed=7, encoded=encoded)
    own, _ = fit_values(make_agent(), episodes, SHORT, seed=7)
    assert torch.equal(weights(given, "value"), weights(own, "value"))


@pytest.mark.parametrize("encoder", ["mlp", "conv", "gru"])
def test_the_imitated_encoder_is_frozen_and_training_it_frozen_is_the_same_thing(
    episodes: Episodes, encoder: str
) -> None:
    agent = make_agent(regime="imitated", encoder=encoder)
    trained, _ = fit_values(agent, episodes, SHORT, seed=0)
    assert torch.equal(weights(trained, "value_encoder"), weights(agent, "policy_encoder"))
    data = encode_episodes(trained, episodes)
    values, finals = all_values(trained.value_head, data, encoder=trained.value_encoder)
    frozen = frozen_features(trained.value_encoder, data)
    again, final_again = all_values(trained.value_head, frozen, encoder=None)
    np.testing.assert_allclose(values, again, atol=1e-6)
    np.testing.assert_allclose(finals, final_again, atol=1e-6)


def test_a_shared_encoder_serves_both_losses(episodes: Episodes) -> None:
    agent = make_agent(regime="shared")
    trained, _ = fit_values(agent, episodes, dataclasses.replace(SHORT, num_updates=300), seed=0)
    assert trained.value_encoder is trained.policy_encoder
    assert not torch.equal(weights(trained, "policy_encoder"), weights(agent, "policy_encoder"))
    rows = enumerate_world(WORLD, WORLD.levels("train")).rows
    before, after = policy_table(agent, WORLD, rows), policy_table(trained, WORLD, rows)
    assert np.abs(before - after).max() < 0.05


def test_values_with_memory_equal_a_walk_through_each_episode(episodes: Episodes) -> None:
    agent = make_agent(encoder="gru")
    data = encode_episodes(agent, episodes)
    values, finals = all_values(agent.value_head, data, encoder=agent.value_encoder)
    chosen = int(np.argmax(np.diff(episodes.offsets)))
    memory, walked = None, []
    for step in range(episodes.offsets[chosen], episodes.offsets[chosen + 1]):
        shown = {name: array[step : step + 1] for name, array in episodes.observations.items()}
        walked.append(float(agent.value(shown, memory).value.detach()))
        _, memory = agent.features_of_value(shown, memory)
    last = {name: array[chosen : chosen + 1] for name, array in episodes.final_observations.items()}
    np.testing.assert_allclose(values[episodes.offsets[chosen] : episodes.offsets[chosen + 1]], walked, atol=1e-5)
    assert finals[chosen] == pytest.approx(float(agent.value(last, memory).value.detach()), abs=1e-5)


@pytest.mark.parametrize("encoder", ["mlp", "gru"])
def test_inputs_that_never_vary_change_neither_values_nor_gradients(encoder: str, episodes: Episodes) -> None:
    agent = make_agent(encoder=encoder)
    table = encode_episodes(agent, episodes).inputs
    index = torch.arange(0, len(table), 3)
    assert table.stored.dtype == torch.uint8
    assert table.varying is not None
    assert len(table.varying) < agent.spec.num_inputs
    whole = InputTable(table.rows(torch.arange(len(table))))
    found = []
    for each in (table, whole):
        if encoder == "mlp":
            features = each.features(agent.value_encoder, index)
        else:
            features = unroll_padded(agent.value_encoder, each.chosen(index[:60].reshape(6, 10)), sequence_length=4)
        gradients = torch.autograd.grad(features.square().sum(), list(agent.value_encoder.parameters()))
        found.append([features.detach(), *gradients])
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("encoder", ["mlp", "gru"])
def test_no_two_samples_of_a_pass_come_from_one_episode(encoder: str, episodes: Episodes) -> None:
    agent = make_agent(encoder=encoder)
    data = encode_episodes(agent, episodes)
    chosen = one_step_of_each(data, seed=3)
    episode_of = np.repeat(np.arange(600), data.lengths)
    np.testing.assert_array_equal(episode_of[chosen], np.arange(600))
    places = (chosen - data.offsets[:-1]) / data.lengths
    assert abs(places.mean() + 0.5 * (1 / data.lengths).mean() - 0.5) < 0.05, "any step of an episode is as likely"
    stream = minibatches(
        data, batch_size=60, generator=torch.Generator().manual_seed(0), whole_episodes=encoder == "gru", chosen=chosen
    )
    for _ in range(2):
        drawn = np.concatenate([next(stream).steps.numpy() for _ in range(10)])
        assert sorted(episode_of[drawn]) == list(range(600))
        assert set(drawn) == set(chosen), "the same step of an episode at every pass"


@pytest.mark.parametrize("encoder", ["mlp", "gru"])
def test_v_learns_from_one_step_of_each_episode(encoder: str, episodes: Episodes) -> None:
    """What the other steps were worth has no say, and features are those of the step among its episode's."""
    settings = dataclasses.replace(SHORT, one_per_episode=True, num_updates=20)
    agent = make_agent(encoder=encoder)
    trained, _ = fit_values(agent, episodes, settings, seed=0)
    everything, _ = fit_values(agent, episodes, dataclasses.replace(settings, one_per_episode=False), seed=0)
    assert not torch.equal(weights(trained, "value"), weights(everything, "value"))
    data = encode_episodes(agent, episodes)
    chosen = one_step_of_each(data, seed=0)
    some = np.array([5, 2, 300])
    batch = Minibatch(torch.from_numpy(chosen[some]), some)
    found = features_of(agent.value_encoder, data, batch, sequence_length=100)
    whole = frozen_features(agent.value_encoder, data)
    torch.testing.assert_close(found, whole.inputs.rows(whole.step_input[batch.steps]), atol=1e-5, rtol=1e-4)


def test_targets_of_some_episodes_are_those_of_all(episodes: Episodes) -> None:
    agent = make_agent("ROUTE")
    outcomes = outcomes_of(agent, episodes, ValueConfig(target="td_lambda"))
    data = encode_episodes(agent, episodes)
    some, steps = select_episodes(data, np.array([5, 3]))
    assert some.lengths.tolist() == [data.lengths[5], data.lengths[3]]
    assert steps[: some.lengths[0]].tolist() == list(range(data.offsets[5], data.offsets[6]))
    assert outcomes.shares is not None
    shares = event_shares(
        episodes.rewards, episodes.events, continuation_t=(~outcomes.ends).astype(float), num_events=2, decay=0.95**2
    )
    np.testing.assert_allclose(outcomes.shares, shares, atol=1e-6)


def test_training_goes_on_where_it_stopped_when_not_restarted(episodes: Episodes) -> None:
    trained, _ = fit_values(make_agent(), episodes, SHORT, seed=0)
    same, _ = fit_values(trained, episodes, dataclasses.replace(SHORT, num_updates=0), seed=0, restart=False)
    assert torch.equal(weights(same, "value"), weights(trained, "value"))
    afresh, _ = fit_values(trained, episodes, dataclasses.replace(SHORT, num_updates=0), seed=0)
    assert torch.equal(weights(afresh, "value"), weights(make_agent(), "value"))


def test_inspection_sees_the_agent_and_can_stop(episodes: Episodes) -> None:
    seen: list[int] = []

    def inspect(agent: AlphaAgent, row: dict[str, Any]) -> bool:
        row["extra"] = float(value_table(agent, WORLD, episodes.rows[:5]).mean())
        seen.append(row["step"])
        return len(seen) == 2

    _, record = fit_values(make_agent(), episodes, SHORT, seed=0, num_checkpoints=4, inspect=inspect)
    assert seen == [10, 20]
    assert [row["step"] for row in record] == [10, 20]
    assert all("extra" in row for row in record)


@pytest.mark.parametrize("site", ["reward", "weights"])
def test_what_is_not_finite_stops_before_anything_changes(episodes: Episodes, site: str) -> None:
    agent = make_agent()
    broken = dataclasses.replace(episodes, rewards=episodes.rewards.copy())
    if site == "reward":
        broken.rewards[:] = np.nan
    else:
        torch.nn.init.constant_(agent.value_head.bias, float("inf"))
    before = weights(agent, "value").clone()
    with pytest.raises(NonFiniteError, match="value loss is not finite, step 0"):
        fit_values(agent, broken, SHORT, seed=0, restart=False)
    np.testing.assert_array_equal(weights(agent, "value"), before)


def test_regimes_can_be_switched(episodes: Episodes) -> None:
    agent = with_value_encoder(make_agent(), "imitated")
    trained, _ = fit_values(agent, episodes, SHORT, seed=0)
    assert relative_error(*(weights(a, "value_head").numpy() for a in (trained, agent))) > 0


@pytest.mark.parametrize(
    ("head", "regime", "encoder"),
    [("MONO", "scratch", "mlp"), ("ROUTE", "scratch", "mlp"), ("NEG-F", "scratch", "mlp"), ("MOE", "imitated", "mlp"),
     ("MOE", "shared", "mlp"), ("ROUTE", "scratch", "gru"), ("MONO", "scratch", "conv")],
)  # fmt: skip
def test_fast_kernels_take_the_same_steps(head: str, regime: str, encoder: str) -> None:
    """Twenty steps from the same start, and the credit that parts received; later steps part by their rounding."""
    world = make_world("MultiNeed", num_levels=50)
    config = AgentConfig(
        head=head, value_encoder=regime, encoder=encoder, encoder_sizes=(32, 16), hidden_size=64, memory_size=16,
        num_contexts=4, num_events=4,
    )
    agent = build_agent(observation_space(world), 4, config, seed=0)
    episodes = record_episodes(agent, ENV_ID, num_episodes=100, seed=1, options={"num_levels": 50}, uniform_share=0.5)
    trainer = ValueTrainer(agent, encode_episodes(agent, episodes), outcomes_of(agent, episodes, SHORT), config=SHORT)
    assert isinstance(trainer.learner, DenseValue) == (encoder == "mlp" and regime != "shared")
    assert (trainer.data.inputs.entries is not None) == (encoder != "conv" and regime != "imitated")
    found = []
    for fast in (True, False):
        received, settings = ReceivedCredit(), dataclasses.replace(SHORT, num_updates=20, fast_kernels=fast)
        trained, rows = fit_values(agent, episodes, settings, seed=0, received=received)
        found.append((weights(trained, "value_"), torch.tensor(rows[-1]["loss"]), received.by_step))
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-3, atol=1e-4)
