"""How an actor that searches is named, and how the command line comes to it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_search_agents import ENV_ID, agent_for

from agents.actors import make_actor, searching
from agents.checkpoint import save_agent
from agents.config import ImproveConfig
from agents.environments import make_vector, open_stream
from agents.evaluation import evaluate
from agents.run_folder import read_settings
from agents.search.actor import SearchActor
from agents.search_config import SearchConfig
from analysis.cli import main, parse
from envs import make_world
from envs.errors import UserError

CONFIGS = st.builds(
    SearchConfig, num_simulations=st.integers(1, 10**5), rule=st.sampled_from(["gumbel", "puct"]),
    max_considered=st.integers(1, 20), c_scale=st.floats(0.0, 5.0), c_init=st.floats(0.0, 1e9),
    q_range=st.none() | st.floats(1e-9, 1e12),
    rollout_share=st.floats(0.0, 1.0), rollout_limit=st.integers(1, 99), noise_alpha=st.floats(1e-3, 1e3),
)  # fmt: skip


@settings(deadline=None)
@given(CONFIGS)
def test_a_name_says_all_of_a_search(config):
    assert SearchConfig.named(config.actor_name) == config


def test_names_are_short_where_settings_are_the_usual_ones():
    assert SearchConfig(num_simulations=16).actor_name == "search-16"
    mixed = SearchConfig(num_simulations=4, rule="puct", rollout_share=0.5)
    assert mixed.actor_name == "search-4,rule=puct,rollout_share=0.5"
    assert SearchConfig(num_simulations=4, use_rewards=False).actor_name == "search-4,use_rewards=false"
    assert SearchConfig(num_simulations=4, q_range=12.0).actor_name == "search-4,q_range=12.0"
    assert SearchConfig.named("D") is None and SearchConfig.named("search-0") is None


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("search-4,rul=puct", "no field 'rul'.*Did you mean 'rule'"), ("search-4,rule=pukt", "Did you mean 'puct'"),
        ("search-4,rollout_share=2", "from 0 to 1"), ("search-4,q_range=0", "from 1e-09"),
        ("search-4,num_simulations=9", "search-n"),
        ("search-4,", "search-n"), ("search-4,rule", "search-n"), ("search-4,use_rewards=1", "True or False"),
        ("search-4,use_rewards=false,rollout_share=0.5", "0 where use_rewards is False"),
    ],
)  # fmt: skip
def test_what_a_name_cannot_say_is_refused(name, part):
    with pytest.raises(UserError, match=part):
        searching(name)


def test_an_actor_searches_as_its_name_says():
    """PUCT with half a rollout at the leaves, told by name and by hand: the same actions."""
    world = make_world(ENV_ID)
    agent = agent_for(world)
    config = SearchConfig(num_simulations=8, rule="puct", rollout_share=0.5, c_init=3.0)
    env = make_vector(ENV_ID, 6)
    stream = open_stream(env, agent.spec, seed=0, name="x")
    named = make_actor(config.actor_name, agent, env, seed=2)
    taken = named.act(stream, stream.valid)[0]
    assert (taken == SearchActor(agent, world, config, seed=2).act(stream, stream.valid)[0]).all()
    assert isinstance(named, SearchActor) and named.config == config


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_agent(tmp_path / "agent", agent_for(make_world(ENV_ID)), extra={"env_id": ENV_ID})
    return tmp_path / "agent"


def ran(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0), capsys.readouterr()


def test_evaluate_and_watch_take_the_rules(saved, capsys):
    words = ("--actor", "search-4", "--search.rule", "puct", "--search.rollout-share", "0.5", "--episodes", 8)
    code, said = ran(capsys, "evaluate", saved, *words, "--seed", 3)
    assert code == 0 and "rule=puct" in said.out.replace("\n", "")
    name = SearchConfig(num_simulations=4, rule="puct", rollout_share=0.5).actor_name
    played = evaluate(agent_for(make_world(ENV_ID)), ENV_ID, actor=name, num_episodes=8, seed=3)
    assert f"{played.discounted_returns.mean():.3f}" in said.out
    code, said = ran(capsys, "watch", saved, *words[:-1], 1, "--delay", 0)
    assert code == 0 and "episode 0" in said.out


@pytest.mark.parametrize("actor", [["--actor", "D"], ["--actor", "V1"], []])
def test_rules_for_an_actor_that_does_not_search_are_refused(actor, saved, capsys):
    code, said = ran(capsys, "evaluate", saved, *actor, "--search.rollout-share", "0.5")
    assert code == 2 and "--search.rollout-share is given, but actor" in said.err and said.err.count("\n") == 1


@pytest.mark.parametrize("command", ["evaluate", "watch"])
def test_wrong_rules_are_refused_before_anything_runs(command, capsys):
    code, said = ran(capsys, command, "nowhere", "--actor", "search-4", "--search.rollout-share", "2")
    assert code == 2 and "rollout_share is 2.0" in said.err
    code, said = ran(capsys, command, "nowhere", "--search.num-simulations", "2")
    assert code == 2 and "no option '--search.num-simulations'" in said.err


def test_training_takes_all_settings_of_its_search(tmp_path, capsys):
    words = (
        "train", "ValueLab/CornerMaze-v0", "--option", "size=3", "--option", "corner_size=3",
        "--option", "num_levels=8", "--stages", "search", "--search.rule", "puct", "--search.rollout-share", "0.25",
        "--search.rollout-limit", "9",
        "--search.num-simulations", "3", "--search.num-steps", "128", "--search.num-envs", "4", "--search.c-init", "2",
        "--search.rollout-length", "16", "--episodes", "4",
    )  # fmt: skip
    command = parse([*words])
    assert ImproveConfig(**command.search) == ImproveConfig(
        rule="puct", rollout_share=0.25, rollout_limit=9, num_simulations=3, num_steps=128, num_envs=4, c_init=2.0,
        rollout_length=16,
    )  # fmt: skip
    assert ran(capsys, *words, "--out", tmp_path / "run")[0] == 0
    kept = read_settings(tmp_path / "run").config.search
    assert (kept.rule, kept.rollout_share, kept.rollout_limit, kept.c_init) == ("puct", 0.25, 9, 2.0)
    rows = [json.loads(line) for line in (tmp_path / "run" / "curve.jsonl").read_text().splitlines()]
    assert len(rows) == 2 and all(np.isfinite(row["policy_loss"]) for row in rows)
    assert dataclasses.asdict(kept)["num_simulations"] == 3
