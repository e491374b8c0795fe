"""The search stage: it learns from nothing, moves only what it may, and goes on after an interruption as before."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from interrupted_runs import Killed, at_update, files_of, kill

from agents.agent import build_agent
from agents.config import AgentConfig, TrainConfig
from agents.environments import make_vector, open_stream
from agents.evaluation import evaluate
from agents.optimum import exact_optimum
from agents.search_config import ImproveConfig
from agents.self_improvement import improve
from agents.train import train
from envs.errors import NonFiniteError, UserError
from envs.registry import make_world
from envs.step_buffers import observation_space

ENV_ID, OPTIONS = "ValueLab/CornerMaze-v0", {"size": 3, "corner_size": 3, "num_levels": 20}
WORLD = make_world(ENV_ID, **OPTIONS)
QUICK = ImproveConfig(num_simulations=2, num_steps=50_000, num_envs=32, rollout_length=16, batch_size=128)
TINY = ImproveConfig(num_simulations=3, num_steps=512, num_envs=8, rollout_length=16, num_epochs=2, batch_size=64)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def new_agent(**config):
    rows = WORLD.begin(np.arange(20), np.zeros(20, np.int64))
    settings = AgentConfig(**({"encoder_sizes": (32,), "hidden_size": 16, "memory_size": 8} | config))
    return build_agent(observation_space(WORLD), 4, settings, seed=0, sample=WORLD.observe(rows))


def improved(agent, config, **arguments):
    stream = open_stream(make_vector(ENV_ID, config.num_envs, options=OPTIONS), agent.spec, seed=0, name="search")
    return improve(agent, stream, config, world=WORLD, seed=0, **arguments)


def share_of_optimum(agent, actor):
    played = evaluate(agent, ENV_ID, actor=actor, num_episodes=128, split="train", options=OPTIONS)
    return played.discounted_returns.mean() / exact_optimum(WORLD, played).discounted


@pytest.mark.parametrize("rule", ["gumbel", pytest.param("puct", marks=pytest.mark.slow)])
def test_it_learns_small_mazes_from_nothing(rule):
    """Two simulations a move are enough for Gumbel's rules; PUCT, which is known to need more, gets 16."""
    config = (
        QUICK if rule == "gumbel" else dataclasses.replace(QUICK, rule="puct", num_simulations=16, num_steps=100_000)
    )
    start = new_agent()
    before = share_of_optimum(start, "D")
    agent, record = improved(start, config)
    assert before < 0.6
    assert share_of_optimum(agent, "D") > 0.95 and share_of_optimum(agent, "search-2") > 0.95
    assert record[-1]["divergence"] < record[0]["divergence"] and record[-1]["mean_length"] < record[0]["mean_length"]
    assert agent.value_discount == WORLD.discount


@pytest.mark.slow
def test_two_simulations_master_corner_mazes():
    """The bar: CornerMaze 9×9, 200 levels, no demonstrations, n = 2: 95 % of the optimum. About 40 CPU-seconds."""
    env_id, options = "ValueLab/CornerMaze-9x9-v0", {"num_levels": 200}
    world = make_world(env_id, **options)
    sample = world.observe(world.begin(np.arange(200), np.zeros(200, np.int64)))
    settings = AgentConfig(encoder_sizes=(128, 64), hidden_size=64)
    agent = build_agent(observation_space(world), 4, settings, seed=0, sample=sample)
    config = ImproveConfig(num_simulations=2, num_steps=300_000)
    stream = open_stream(make_vector(env_id, config.num_envs, options=options), agent.spec, seed=0, name="search")
    agent, _ = improve(agent, stream, config, world=world, seed=0)
    for actor in ("D", "search-2"):
        played = evaluate(agent, env_id, actor=actor, num_episodes=512, split="train", options=options)
        assert played.discounted_returns.mean() >= 0.95 * exact_optimum(world, played).discounted, actor


def test_the_same_arguments_give_the_same_agent_and_the_given_one_stays():
    start = new_agent()
    kept = copy.deepcopy(start.state_dict())
    (first, rows), (second, again) = improved(start, TINY), improved(start, TINY)
    assert rows == again
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
    assert all(torch.equal(tensor, start.state_dict()[name]) for name, tensor in kept.items())


@pytest.mark.parametrize(
    "settings", [{}, {"encoder": "gru"}, {"value_encoder": "shared"}, {"value_encoder": "imitated"}]
)
def test_what_may_change_changes_and_nothing_else(settings):
    start = new_agent(**settings)
    for train_encoder in (True, False):
        agent, _ = improved(start, dataclasses.replace(TINY, train_encoder=train_encoder))
        moved = {
            name: any(not torch.equal(a, b) for a, b in zip(
                getattr(start, name).parameters(), getattr(agent, name).parameters(), strict=True))
            for name in ("policy_encoder", "policy_head", "value_encoder", "value_head", "baseline_head")
        }  # fmt: skip
        expected = {
            "policy_encoder": train_encoder, "policy_head": True, "value_head": True, "baseline_head": False,
            "value_encoder": train_encoder and settings.get("value_encoder") != "imitated",
        }  # fmt: skip
        assert moved == expected


def test_a_leaf_that_is_no_number_stops_it_before_anything_is_learned():
    start, kept = new_agent(), []
    with torch.no_grad():
        next(start.value_head.parameters()).fill_(np.nan)
    with pytest.raises(NonFiniteError, match="search root is not finite, env 0, step 0"):
        improved(start, TINY, on_update=lambda agent, row: kept.append(row))
    assert not kept


@pytest.mark.parametrize(
    ("encoder", "num_steps", "settings"),
    [
        ("mlp", 3, {}),
        ("gru", 11, {}),
        ("mlp", 11, {"rule": "puct", "rollout_share": 0.3}),
        ("mlp", 11, {"use_rewards": False}),
    ],
)
def test_a_killed_run_goes_on_bit_by_bit(encoder, num_steps, settings, tmp_path):
    config = TrainConfig(
        agent=AgentConfig(encoder=encoder, encoder_sizes=(16,), hidden_size=16, memory_size=8),
        search=dataclasses.replace(TINY, **settings), stages=("search",), num_evaluation_episodes=4,
        checkpoint_every=4, device="cpu",
    )  # fmt: skip
    train(ENV_ID, config, tmp_path / "straight", options=OPTIONS)
    with pytest.raises(Killed), at_update("search", num_steps, kill):
        train(ENV_ID, config, tmp_path / "killed", options=OPTIONS)
    train(ENV_ID, config, tmp_path / "killed", options=OPTIONS, resume=True)
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "straight")


def test_a_world_without_a_kernel_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match="Stage search looks ahead"):
        train("FrozenLake-v1", TrainConfig(stages=("search",)), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError, match="outcomes of one action"):
        options = {"size": 3, "num_objects": 6, "drift": 0.3}
        train("ValueLab/MultiNeed-v0", TrainConfig(stages=("search",)), tmp_path / "run", options=options)
