"""What heads ask beside the total: reward components, bootstrap masks, and where they come from."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from agents.agent import AlphaAgent, build_agent
from agents.batches import all_values
from agents.checkpoint import load_agent, save_agent
from agents.config import AgentConfig, MixerName, ReinforceConfig, RouteEncoder, TrainConfig, ValueConfig
from agents.encoded import encode_episodes
from agents.exact import policy_table, value_accuracy
from agents.fields import settings_from_dict, settings_to_dict
from agents.outcomes import bootstrap_mask, outcomes_of
from agents.recorder import record_episodes
from agents.train import train
from agents.values import fit_values
from envs.episodes import Episodes, episode_of_step
from envs.errors import UserError
from envs.registry import make_world
from envs.states import Rows
from envs.tabular import enumerate_world, policy_evaluation
from envs.vector import observation_space
from shards.credit import RoutedEncoder
from shards.mixers import MIXERS

OPTIONS: dict[str, Any] = {"size": 4, "num_objects": 2, "num_levels": 8}
WORLD = make_world("MultiNeed", **OPTIONS)
ENV_ID = "ValueLab/MultiNeed-v0"


@functools.cache
def rows() -> Rows:
    return enumerate_world(WORLD, WORLD.levels("train")).rows


def make_agent(head: str, **settings: Any) -> AlphaAgent:
    config = AgentConfig(
        head=head, encoder_sizes=(32, 16), hidden_size=64, num_contexts=2, num_events=2,
        component_weights=tuple(WORLD.reward_weights.tolist()),
    )  # fmt: skip
    config = dataclasses.replace(config, **settings)
    return build_agent(observation_space(WORLD), 4, config, seed=0, sample=WORLD.observe(rows()))


def recorded(num_episodes: int, **options: Any) -> Episodes:
    options = OPTIONS | options
    return record_episodes(
        make_agent("MONO"), ENV_ID, num_episodes=num_episodes, seed=1, options=options, uniform_share=0.5
    )


@pytest.fixture(scope="module")
def episodes() -> Episodes:
    return recorded(400)


@pytest.mark.parametrize("trace", [0.0, 0.7, 1.0])
def test_returns_of_components_add_up_to_the_return(episodes: Episodes, trace: float) -> None:
    """λ-returns are linear: with V = Σ w_c p_c they add up under any λ, also where a limit cut the episode."""
    cut = dataclasses.replace(episodes, terminated=episodes.terminated.copy(), truncated=episodes.truncated.copy())
    cut.terminated[::3], cut.truncated[::3] = False, True
    settings = ValueConfig("td_lambda", trace_lambda=trace)
    outcomes = outcomes_of(make_agent("HRA"), cut, settings)
    rng = np.random.default_rng(0)
    said, finally_said = rng.normal(size=(cut.num_steps, 2)), rng.normal(size=(cut.num_episodes, 2))
    by_component = outcomes.component_totals(said, finally_said)
    weights = WORLD.reward_weights
    np.testing.assert_allclose(by_component @ weights, outcomes.totals(said @ weights, finally_said @ weights))
    assert not np.allclose(by_component[:, 0], by_component[:, 1])


def test_every_part_of_hra_learns_the_exact_value_of_its_component() -> None:
    agent, mdp = make_agent("HRA"), enumerate_world(WORLD, WORLD.levels("train"))
    settings = ValueConfig("td_lambda", trace_lambda=0.5, num_updates=1000, learning_rate=5e-3, refresh_every=25)
    trained, _ = fit_values(agent, recorded(8000), settings, seed=0)
    policy = policy_table(agent, WORLD, mdp.rows, uniform_share=0.5)
    contexts = torch.from_numpy(WORLD.context_of(mdp.rows))
    with torch.no_grad():
        said = trained.value(WORLD.observe(mdp.rows), context=contexts).part_values.numpy()
    for part in range(2):
        only = dataclasses.replace(mdp, reward_weights=np.eye(2)[part])
        exact = policy_evaluation(only, policy)
        assert np.abs(exact).max() > 0.3
        assert np.sqrt(np.mean((said[:, part] - exact) ** 2)) < 0.25 * exact.std()
    assert value_accuracy(trained, WORLD, mdp, uniform_share=0.5).relative_error < 0.2


def test_the_weight_of_a_component_is_that_of_the_world() -> None:
    """Costs are components of negative weight: the part learns how often, the head what it costs."""
    options = OPTIONS | {"wrong_cost": 0.25}
    world = make_world("MultiNeed", **options)
    weights = tuple(world.reward_weights.tolist())
    assert weights == (1.0, 1.0, -0.25)
    agent = make_agent("HRA", component_weights=weights)
    episodes = recorded(300, wrong_cost=0.25)
    with torch.no_grad():
        estimate = agent.value({name: array[:5] for name, array in episodes.observations.items()})
    assert torch.equal(estimate.weights, torch.tensor(weights).expand(5, 3))
    outcomes = outcomes_of(agent, episodes, ValueConfig())
    np.testing.assert_array_equal(outcomes.components @ weights, episodes.rewards)
    assert (outcomes.components >= 0).all() and outcomes.components[:, 2].any()


def test_components_without_weight_get_no_part() -> None:
    """They are what the learner never sees: `DishMaze` counts the dish, and pays for the cheese alone."""
    world = make_world("DishMaze", num_levels=4)
    assert world.reward_weights.tolist() == [1.0, 0.0]
    episodes = record_episodes(
        build_agent(observation_space(world), 4, AgentConfig(encoder_sizes=(8,)), seed=0), "ValueLab/DishMaze-v0",
        num_episodes=4, seed=0, options={"num_levels": 4},
    )  # fmt: skip
    agent = make_agent("HRA", component_weights=(1.0, 0.0))
    assert agent.value_head.num_parts == 1
    assert outcomes_of(agent, episodes, ValueConfig()).components.shape == (episodes.num_steps, 1)


def test_wrong_components_are_refused(episodes: Episodes) -> None:
    settings = ValueConfig(num_updates=1)
    with pytest.raises(UserError, match="the components are not the rewards; take the world's reward_weights"):
        fit_values(make_agent("HRA", component_weights=(1.0, 0.5)), episodes, settings, seed=0)
    with pytest.raises(UserError, match="but there are 2 components"):
        fit_values(make_agent("HRA", component_weights=(1.0, 1.0, 1.0)), episodes, settings, seed=0)
    with pytest.raises(UserError, match="the rewards came without any"):
        fit_values(make_agent("HRA"), dataclasses.replace(episodes, components=None), settings, seed=0)
    with pytest.raises(UserError, match="totals were given, but HRA learns reward components"):
        fit_values(make_agent("HRA"), episodes, settings, seed=0, totals=episodes.rewards)
    with pytest.raises(UserError, match="num_components is 0"):
        make_agent("HRA", component_weights=())


class TestBootstrap:
    def test_whole_episodes_are_drawn_and_the_first_are_the_same(self, episodes: Episodes) -> None:
        agent = make_agent("NEG-2", num_parts=5)
        mask = outcomes_of(agent, episodes, ValueConfig(), seed=3).bootstrap_mask
        assert mask is not None and mask.shape == (episodes.num_steps, 5)
        by_episode = bootstrap_mask(agent, episodes.num_episodes, seed=3)
        np.testing.assert_array_equal(mask.numpy(), by_episode[episode_of_step(episodes)])
        np.testing.assert_array_equal(bootstrap_mask(agent, 7, seed=3), by_episode[:7])
        assert (bootstrap_mask(agent, episodes.num_episodes, seed=4) != by_episode).any()
        assert abs(by_episode.mean() - 0.5) < 0.05
        assert len(np.unique(by_episode, axis=1).T) == 5, "every part has episodes of its own"

    def test_the_share_is_a_setting(self, episodes: Episodes) -> None:
        for share in (0.1, 1.0):
            mask = bootstrap_mask(make_agent("NEG-2", bootstrap_share=share), 5000, seed=0)
            assert mask.mean() == pytest.approx(share, abs=0.02)

    def test_parts_of_one_history_come_to_say_the_same(self, episodes: Episodes) -> None:
        """The known answer that makes it a control: parts differ far less after training than before."""
        agent = make_agent("NEG-2", num_parts=4)
        spread = []
        trained, _ = fit_values(agent, episodes, ValueConfig(num_updates=400, learning_rate=5e-3), seed=0)
        for each in (agent, trained):
            data = encode_episodes(each, episodes)
            said, _ = all_values(each.value_head, data, encoder=each.value_encoder, by_part=True)
            values, _ = all_values(each.value_head, data, encoder=each.value_encoder)
            np.testing.assert_allclose(said.mean(axis=1), values, atol=1e-6)
            spread.append(said.std(axis=1).mean() / said.std())
        assert spread[1] < 0.5 * spread[0]


def test_settings_name_what_heads_have() -> None:
    assert get_args(MixerName) == tuple(MIXERS)
    assert get_args(RouteEncoder) == get_args(RoutedEncoder)


@pytest.mark.parametrize(
    ("head", "settings"),
    [
        ("MOE", {"mixer": "auction"}),
        ("MOE", {"mixer": "top-k", "num_active": 3, "num_parts": 4}),
        ("ROUTE", {"mixer": "top-k", "reflection": True, "route_encoder": "global"}),
        ("MONO-ROUTE", {"route_encoder": "global"}),
        ("POS", {"gate_leak": 0.25, "reflection": True}),
        ("HRA", {"reflection": True}),
        ("NEG-2", {"bootstrap_share": 0.75, "num_parts": 3}),
    ],
)
def test_every_option_is_kept_by_a_checkpoint_and_learns(
    episodes: Episodes, tmp_path: Path, head: str, settings: dict[str, Any]
) -> None:
    agent = make_agent(head, **settings)
    short = ValueConfig(num_updates=100, learning_rate=5e-3)
    trained, record = fit_values(agent, episodes, short, seed=0)
    assert record[-1]["loss"] < 0.8 * record[0]["loss"]
    save_agent(tmp_path / "agent", trained)
    back, _ = load_agent(tmp_path / "agent")
    assert back.config == trained.config
    shown = {name: array[:20] for name, array in episodes.observations.items()}
    contexts = torch.from_numpy(episodes.contexts[:20])
    assert torch.equal(back.value(shown, context=contexts).value, trained.value(shown, context=contexts).value)
    again, _ = fit_values(agent, episodes, short, seed=0)
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), trained.parameters(), strict=True))


def test_settings_from_before_these_options_are_read() -> None:
    new = {"component_weights", "mixer", "num_active", "reflection", "gate_leak", "bootstrap_share"}
    old = {name: value for name, value in settings_to_dict(AgentConfig(head="MOE")).items() if name not in new}
    assert settings_from_dict(AgentConfig, old) == AgentConfig(head="MOE")


def test_an_option_that_a_head_does_not_have_is_refused() -> None:
    with pytest.raises(UserError, match="mixer is 'max', but MONO has no such option"):
        make_agent("MONO", mixer="max")
    with pytest.raises(UserError, match="must be one of 'softmax', 'sum', .* Did you mean 'sigmoid'"):
        AgentConfig(mixer="sigmod")  # type: ignore[arg-type]


@pytest.mark.parametrize("head", ["HRA", "NEG-2"])
def test_a_run_takes_the_components_from_its_world(head: str, tmp_path: Path) -> None:
    config = TrainConfig(
        agent=AgentConfig(head=head, encoder_sizes=(16,), hidden_size=16, num_parts=2),
        reinforce=ReinforceConfig(
            num_steps=512, num_envs=8, rollout_length=16, num_epochs=1, batch_size=64, share_value=True
        ),
        value=ValueConfig(num_updates=20, num_episodes=30), stages=("reinforce", "value"), num_evaluation_episodes=4,
    )  # fmt: skip
    train(ENV_ID, config, tmp_path / "run", options=OPTIONS)
