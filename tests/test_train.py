"""Training runs: what they write, what they refuse, and what an interruption leaves."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents import optimum
from agents.checkpoint import load_agent
from agents.config import AgentConfig, ImitationConfig, ReinforceConfig, TrainConfig, ValueConfig
from agents.environments import world_of
from agents.evaluation import evaluate
from agents.exact import policy_table, value_accuracy
from agents.experts import corrected, find_demonstrations
from agents.presets import MOST_BYTES, SHORT_EPISODES, recommended
from agents.train import train
from agents.value_actor import action_values
from envs import demonstrations
from envs.demonstrations import demonstrate, expert_policy
from envs.episodes import Episodes, episode_returns
from envs.errors import NonFiniteError, UserError
from envs.registry import WORLDS, make_world
from envs.search_demonstrations import search_demonstrations
from envs.tabular import enumerate_world, policy_evaluation, start_value, state_index, value_iteration

SMALL = TrainConfig(
    agent=AgentConfig(encoder_sizes=(16,), hidden_size=16),
    imitation=ImitationConfig(num_updates=50), reinforce=ReinforceConfig(num_steps=2048, num_envs=8, rollout_length=32),
    value=ValueConfig(num_updates=50, num_episodes=50), num_demonstrations=20, num_evaluation_episodes=20, device="cpu",
)  # fmt: skip
OPTIONS = {"size": 4, "num_objects": 2, "num_levels": 8}
ENV_ID = "ValueLab/MultiNeed-v0"


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]


def weights(agent: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in agent.parameters()])


def test_a_run_writes_what_it_says_and_can_be_repeated(tmp_path: Path) -> None:
    shares: list[float] = []
    result = train(ENV_ID, SMALL, tmp_path / "a", options=OPTIONS, progress=lambda share, line: shares.append(share))
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] <= 1
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    assert (config["env_id"], config["options"]) == (ENV_ID, OPTIONS)
    assert [row["stage"] for row in rows_of(tmp_path / "a")] == ["imitate"] * 10 + ["reinforce"] * 8 + ["value"] * 10
    metrics = json.loads((tmp_path / "a" / "metrics.json").read_text())
    played = {(row["actor"], row["split"]) for row in metrics["evaluations"]}
    assert played == {("D", "train"), ("D", "test"), ("V1", "train"), ("V1", "test")}
    loaded, extra = load_agent(tmp_path / "a" / "checkpoint")
    assert extra["env_id"] == ENV_ID
    assert torch.equal(weights(loaded), weights(result.agent))
    again = train(ENV_ID, SMALL, tmp_path / "b", options=OPTIONS)
    assert torch.equal(weights(again.agent), weights(result.agent))
    for name in ("curve.jsonl", "metrics.json", "config.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_stages_can_be_left_out_and_an_env_without_expert_skips_one(tmp_path: Path) -> None:
    only = TrainConfig(**{**vars(SMALL), "stages": ("imitate", "reinforce")})
    result = train("CartPole-v1", only, tmp_path / "cart")
    assert {row["stage"] for row in rows_of(tmp_path / "cart")} == {"reinforce"}
    assert any("imitate is left out" in note and "pays before the end" in note for note in result.notes)


@pytest.mark.parametrize(
    ("options", "cause"),
    [({"drift": 0.1, "num_levels": 1}, "more than 20000 states"), ({"num_objects": 6, "drift": 0.2}, "64 outcomes")],
)
def test_a_world_that_cannot_be_solved_is_trained_without_imitation(
    options: dict[str, Any], cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The real limits take ten seconds to reach.
    monkeypatch.setattr(demonstrations, "enumerate_world", functools.partial(enumerate_world, max_states=20_000))
    monkeypatch.setattr(optimum, "MAX_STATES", 20_000)
    only = TrainConfig(**{**vars(SMALL), "stages": ("imitate", "reinforce")})
    result = train(ENV_ID, only, tmp_path / "run", options=options)
    assert {row["stage"] for row in rows_of(tmp_path / "run")} == {"reinforce"}
    (note,) = [note for note in result.notes if "imitate is left out" in note]
    assert cause in note and "max_states" not in note
    words = result.measured.lines[0].optimum.words
    assert words.startswith("not known: ") and "max_states" not in words and not words.endswith(".")
    assert any("V1 is left out" in note for note in result.notes) == (cause == "64 outcomes")
    assert {played.played.actor for played in result.measured.lines} == ({"D"} if "64" in cause else {"D", "V1"})
    insisting = TrainConfig(**{**vars(only), "demonstrations": "expert"})
    with pytest.raises(UserError, match=f"'expert', but .* cannot be solved .*{cause}.*; choose options") as refusal:
        train(ENV_ID, insisting, tmp_path / "other", options=options)
    assert "max_states" not in str(refusal.value)


def test_a_foreign_env_is_imitated_and_its_text_is_dropped(tmp_path: Path) -> None:
    result = train("MiniGrid-Empty-5x5-v0", SMALL, tmp_path / "grid", options={"max_episode_steps": 30})
    assert {row["stage"] for row in rows_of(tmp_path / "grid")} == {"imitate", "reinforce", "value"}
    assert any("mission" in note for note in result.notes)
    assert [row["actor"] for row in result.metrics["evaluations"]] == ["D"]


class Breaks(gym.Env[Any, int]):
    observation_space = gym.spaces.Box(0.0, 1.0, (3,), np.float32)
    action_space = gym.spaces.Discrete(2)
    num_steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return np.zeros(3, np.float32), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        Breaks.num_steps += 1
        reward = float("nan") if Breaks.num_steps > 2000 else 0.0
        return np.zeros(3, np.float32), reward, False, Breaks.num_steps % 10 == 0, {}


def test_a_broken_reward_stops_the_run_and_leaves_valid_files(tmp_path: Path) -> None:
    gym.register("Breaks-v0", Breaks)
    config = TrainConfig(**{**vars(SMALL), "stages": ("reinforce", "value")})
    with pytest.raises(NonFiniteError, match="reward is not finite, env"):
        train("Breaks-v0", config, tmp_path / "run")
    rows = rows_of(tmp_path / "run")
    assert rows
    assert all(np.isfinite(row["policy_loss"]) for row in rows)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["env_id"] == "Breaks-v0"
    assert not (tmp_path / "run" / "metrics.json").exists()
    assert not (tmp_path / "run" / "checkpoint").exists()


def test_bad_input_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    cases = [
        ("MiniGrid-Empty-8x9-v0", SMALL, {}, "Did you mean 'MiniGrid-Empty-8x8-v0'"),
        (ENV_ID, SMALL, {"num_object": 3}, "Did you mean 'num_objects'"),
        ("Pendulum-v1", SMALL, {}, "Discrete"),
        (ENV_ID, TrainConfig(**{**vars(SMALL), "agent": AgentConfig(head="MONOO")}), {}, "Did you mean 'MONO'"),
        (ENV_ID, TrainConfig(**{**vars(SMALL), "agent": AgentConfig(encoder="cnn")}), {}, "conv"),
    ]
    for env_id, config, options, message in cases:
        with pytest.raises(UserError, match=message):
            train(env_id, config, tmp_path / "run", options=options)
        assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    with pytest.raises(UserError, match="holds a run already"):
        train(ENV_ID, SMALL, tmp_path / "run", options=OPTIONS)


def test_corrected_demonstrations_hold_the_experts_choice_in_every_state() -> None:
    world = make_world(ENV_ID, **OPTIONS)
    noisy = demonstrate(world, world.levels("train"), num_episodes=300, seed=0, noise=0.6)
    labelled = corrected(noisy, world, seed=0)
    mdp = enumerate_world(world, world.levels("train"))
    optimal, states = value_iteration(mdp).optimal_actions, state_index(mdp, noisy.rows)
    assert labelled.labels is not None and optimal[states, labelled.labels].all()
    assert not optimal[states, noisy.actions].all()
    np.testing.assert_array_equal(labelled.actions, noisy.actions)
    np.testing.assert_array_equal(labelled.rows, noisy.rows)
    # Equally good actions are chosen equally often.
    tied = optimal[states].sum(axis=1) == 2
    first = labelled.labels[tied] == optimal[states[tied]].argmax(axis=1)
    assert abs(first.mean() - 0.5) < 5 * 0.5 / np.sqrt(tied.sum())


def test_three_experts_demonstrate_by_their_shares() -> None:
    """Of the noisy one D sees the states, with the exact choice as label; of the soft one what it did."""
    world = make_world(ENV_ID, **OPTIONS)
    config = TrainConfig(
        num_demonstrations=400, demonstration_noise=0.6, demonstration_temperature=0.05,
        demonstration_shares=(0.25, 0.5, 0.25),
    )  # fmt: skip
    shown = find_demonstrations(ENV_ID, config, world=world, options=OPTIONS)
    assert isinstance(shown, Episodes) and shown.rows is not None and shown.num_episodes == 400
    mdp = enumerate_world(world, world.levels("train"))
    optimal, best = value_iteration(mdp).optimal_actions, value_iteration(mdp).values
    states, ends = state_index(mdp, shown.rows), shown.offsets
    assert shown.labels is not None
    labels = np.split(optimal[states, shown.labels], ends[[100, 300]])
    assert labels[0].all() and labels[1].all() and 0.5 < labels[2].mean() < 0.99
    lost = best[states[ends[:-1]]] - episode_returns(shown, discount=world.discount)
    assert np.abs(lost[:100]).max() < 1e-9 and lost[100:300].mean() > 0.1
    # One soft expert with noise: imitated is its own choice, not the noise.
    soft = dataclasses.replace(config, demonstration_shares=())
    both = find_demonstrations(ENV_ID, soft, world=world, options=OPTIONS)
    assert isinstance(both, Episodes) and both.rows is not None
    chosen = optimal[state_index(mdp, both.rows), both.labels].mean()
    policy = expert_policy(mdp, temperature=0.05)[state_index(mdp, both.rows)]
    expected = (policy * optimal[state_index(mdp, both.rows)]).sum(axis=1)
    assert chosen == pytest.approx(expected.mean(), abs=3 / len(expected) ** 0.5)


@pytest.mark.parametrize(
    ("env_id", "settings"),
    [
        ("MiniGrid-Empty-5x5-v0", {"demonstration_noise": 0.3}),
        ("MiniGrid-Empty-5x5-v0", {"demonstration_temperature": 0.1}),
        (ENV_ID, {"demonstration_temperature": 0.1, "demonstrations": "episodes.npz"}),
    ],
)
def test_settings_of_an_exact_expert_are_refused_where_none_plays(env_id: str, settings: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="is of exact experts"):
        find_demonstrations(env_id, TrainConfig(**settings), world=world_of(env_id), options={})


def test_events_are_routed_into_the_encoder_only_where_v_was_seen_to_fit_so() -> None:
    found = {name: recommended(f"ValueLab/{name}-v0").agent.route_encoder for name in WORLDS}
    assert found == {name: "routed" if name == "CrossedHistory" else "global" for name in WORLDS}


@pytest.mark.parametrize("name", list(WORLDS))
def test_what_v_learns_from_fits_into_memory_where_episodes_may_run_to_their_limit(name: str) -> None:
    world, config = make_world(name), recommended(f"ValueLab/{name}-v0")
    if name not in SHORT_EPISODES:
        assert config.value.num_episodes * world.time_limit * world.background.size <= MOST_BYTES
        assert config.value.num_episodes >= 2000


@pytest.mark.slow
def test_route_fits_multi_need_better_with_the_preset_encoder_than_with_a_routed_one(tmp_path: Path) -> None:
    options = {"size": 5, "num_levels": 50}
    world, best = make_world(ENV_ID, **options), recommended(ENV_ID)
    mdp = enumerate_world(world, world.levels("train"))
    errors = {}
    for route_encoder in (best.agent.route_encoder, "routed"):
        config = dataclasses.replace(
            best, num_demonstrations=4000, num_evaluation_episodes=8,
            agent=dataclasses.replace(best.agent, head="ROUTE", route_encoder=route_encoder),
            imitation=dataclasses.replace(best.imitation, num_updates=600),
            reinforce=dataclasses.replace(best.reinforce, num_steps=4096),
            value=dataclasses.replace(best.value, num_episodes=8000, num_updates=1500),
        )  # fmt: skip
        agent = train(ENV_ID, config, tmp_path / route_encoder, options=options).agent
        errors[route_encoder] = value_accuracy(agent, world, mdp, uniform_share=0.05).relative_error
    # Seeds 0 to 3: .49, .54, .26, .68 and, routed, .69, .59, .43, .66.
    assert errors["global"] < 0.6 and errors["routed"] > errors["global"] + 0.1


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ["MiniGrid-Empty-8x8-v0", "MiniGrid-DoorKey-5x5-v0"])
def test_minigrid_is_solved(env_id: str, tmp_path: Path) -> None:
    result = train(env_id, recommended(env_id), tmp_path / "run")
    optimum = episode_returns(search_demonstrations(env_id, num_episodes=64, seed=12345)).mean()
    found = evaluate(result.agent, env_id, num_episodes=64, seed=999)
    assert found.returns.mean() >= 0.95 * optimum


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_multi_need_comes_within_five_percent_of_the_exact_optimum(seed: int, tmp_path: Path) -> None:
    world, config = make_world(ENV_ID), recommended(ENV_ID, seed=seed)
    result = train(ENV_ID, config, tmp_path / "run")
    agent, mdp = result.agent, enumerate_world(world, world.levels("train"))
    best = start_value(mdp, value_iteration(mdp).values)
    greedy = policy_table(agent, world, mdp.rows, greedy=True)
    lookahead = [action_values(agent, world, rows, discount=world.discount) for rows in np.array_split(mdp.rows, 20)]
    ahead = np.eye(world.num_actions)[np.concatenate(lookahead).argmax(axis=1)]
    shares = {
        actor: start_value(mdp, policy_evaluation(mdp, policy, horizon=world.time_limit)) / best
        for actor, policy in (("D", greedy), ("V1", ahead))
    }
    assert min(shares.values()) >= 0.95, shares
    accuracy = value_accuracy(agent, world, mdp, uniform_share=config.value.uniform_share)
    assert accuracy.relative_error <= 0.1
    assert result.measured.accuracy == accuracy
