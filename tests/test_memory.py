"""What memory is worth where the need is shown at the first observation only: learned agents against exact optima."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from agents.actors import make_actor
from agents.agent import AlphaAgent, build_agent
from agents.config import AgentConfig, ImitationConfig, ReinforceConfig
from agents.environments import make_vector, open_stream
from agents.exact import policy_table
from agents.experts import corrected
from agents.imitation import imitate
from agents.learner import reinforce
from agents.playing import play
from envs.beliefs import observation_numbers
from envs.demonstrations import demonstrate
from envs.enumeration import enumerate_world
from envs.episodes import Episodes
from envs.memoryless import memoryless_optimum
from envs.registry import make_world
from envs.tabular import TabularMDP, policy_evaluation, start_value, value_iteration
from envs.vector import observation_space

ENV_ID = "ValueLab/MultiNeed-First-v0"
OPTIONS = {"size": 4, "num_objects": 8, "num_levels": 50}
WORLD = make_world(ENV_ID, **OPTIONS)


@functools.cache
def mdp() -> TabularMDP:
    return enumerate_world(WORLD, WORLD.levels("train"))


def make_agent(encoder: str) -> AlphaAgent:
    config = AgentConfig(encoder=encoder, encoder_sizes=(128, 64), memory_size=64)
    return build_agent(observation_space(WORLD), 4, config, seed=0, sample=WORLD.observe(mdp().rows))


def imitated(encoder: str, shown: Episodes, *, num_updates: int) -> AlphaAgent:
    settings = ImitationConfig(num_updates=num_updates, batch_size=512, learning_rate=5e-3, sequence_length=16)
    return imitate(make_agent(encoder), shown, settings, seed=0)[0]


def reinforced(agent: AlphaAgent, *, learning_rate: float) -> AlphaAgent:
    stream = open_stream(make_vector(ENV_ID, 64, options=OPTIONS), agent.spec, seed=0, name="reinforce")
    settings = ReinforceConfig(
        num_steps=1_000_000, num_envs=64, rollout_length=32, batch_size=1024, learning_rate=learning_rate
    )
    return reinforce(agent, stream, settings, discount=WORLD.discount, seed=0)[0]


def solved_value(agent: AlphaAgent) -> float:
    """The exact value of the greedy D of an agent without memory, before the time limit, over all starts."""
    greedy = policy_table(agent, WORLD, mdp().rows, greedy=True)
    return start_value(mdp(), policy_evaluation(mdp(), greedy, horizon=WORLD.time_limit))


def played_value(agent: AlphaAgent) -> float:
    """The same by play, for any agent: world and agent are deterministic, so one episode of every start says all."""
    env = make_vector(ENV_ID, 8000, options=OPTIONS)
    stream = open_stream(env, agent.spec, seed=1, name="evaluate")
    played = play(stream, make_actor("D", agent, env, seed=1), episodes_per_env=1)
    firsts = played.offsets[:-1]
    age = np.arange(len(played.rewards)) - np.repeat(firsts, played.lengths)
    returns = np.add.reduceat(played.rewards * WORLD.discount**age, firsts)
    starts = played.levels * WORLD.num_starts + played.contexts[firsts]
    found = dict(zip(starts.tolist(), returns.tolist(), strict=True))
    assert len(found) == len(mdp().start_state), "some start was not played"
    return float(np.mean(list(found.values())))


@pytest.mark.slow
def test_memory_reaches_the_optimum_and_beats_every_policy_without_it() -> None:
    """The first observation alone shows the need; about 100 CPU-seconds.

    The exact best policy without memory is close to the optimum, as it may walk another way for each need. What remains
    is enough: the agent with memory earns more than any deterministic policy without it can, and agents without memory
    that had the same demonstrations, and a million steps of reinforcement besides, stay well below.
    """
    best = start_value(mdp(), value_iteration(mdp()).values)
    exact = memoryless_optimum(mdp(), observation_numbers(WORLD, mdp().rows))
    assert exact.value < 0.995 * best and exact.with_memory == pytest.approx(best, abs=1e-9)
    noisy = demonstrate(WORLD, WORLD.levels("train"), num_episodes=10_000, seed=0, noise=0.3)
    shown = corrected(noisy, WORLD, seed=0)
    remembering = played_value(imitated("gru", shown, num_updates=1500))
    assert remembering >= 0.95 * best
    assert remembering > exact.value
    copied = imitated("mlp", shown, num_updates=500)
    assert played_value(copied) == pytest.approx(solved_value(copied), abs=1e-9)
    without = {
        "imitated": solved_value(copied),
        "imitated, then reinforced": solved_value(reinforced(copied, learning_rate=3e-4)),
        "reinforced": solved_value(reinforced(make_agent("mlp"), learning_rate=1e-3)),
    }
    assert max(without.values()) <= exact.value + 1e-9
    assert max(without.values()) < remembering - 0.03, without
    print(f"\noptimum {best:.4f}, without memory {exact.value:.4f}, gru {remembering:.4f}, mlp {without}")
