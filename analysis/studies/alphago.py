"""AlphaGo's choice: which policy should guide a search, and whose outcomes should its value have learned from?

AlphaGo searched best with the *imitated* policy as prior and with the value of the *reinforced* policy (Silver et al.
2016, Nature 529:484, "Searching with policy and value networks"). One agent a seed and world: D imitates noisy
demonstrations, a copy of it is reinforced, and two values learn the outcomes of the one and of the other; then all four
pairs of prior and value search with 1 to 64 simulations on held-out levels, the same ones for all.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from agents.agent import AlphaAgent, build_agent
from agents.config import AgentConfig, ImitationConfig, ReinforceConfig, ValueConfig
from agents.environments import make_vector, open_stream
from agents.evaluation import evaluate
from agents.imitation import imitate
from agents.learner import reinforce
from agents.optimum import exact_optimum
from agents.recorder import record_episodes
from agents.seeding import derive_seed
from agents.values import fit_values
from analysis.cells import Cell, CellContext, Row, cell_function
from analysis.studies.alphago_report import DECIDED_AT, NUM_SEEDS, NUM_SIMULATIONS, SOURCES, report
from analysis.studies.question import Question
from envs.demonstrations import demonstrate
from envs.registry import make_world
from envs.rows import World
from envs.step_buffers import observation_space

PLAY = "alphago.play"


@dataclasses.dataclass(frozen=True)
class Setup:
    """Sizes of one run; part of every cell's hash.

    Attributes:
        num_levels: Training levels, and as many held-out ones.
        num_demonstrations: Episodes of the demonstrator.
        noise: Share of random actions among the actions that are imitated.
        imitation_updates: Gradient steps of the imitation.
        reinforce_steps: Environment steps of the policy gradient after it.
        num_outcomes: Episodes that each value learns from.
        value_updates: Gradient steps of each value.
        num_episodes: Held-out episodes of each evaluation.
    """

    num_levels: int = 20_000
    num_demonstrations: int = 8000
    noise: float = 0.5
    imitation_updates: int = 1500
    reinforce_steps: int = 200_000
    num_outcomes: int = 20_000
    value_updates: int = 6000
    num_episodes: int = 256


WORLDS: Mapping[str, Mapping[str, Any]] = {"ValueLab/MultiNeed-v0": {"size": 5}, "ValueLab/CornerMaze-9x9-v0": {}}


@dataclasses.dataclass(frozen=True)
class _Task:
    """One seed in one world."""

    env_id: str
    fixed: Mapping[str, Any]
    setup: Setup
    seed: int

    @property
    def options(self) -> dict[str, Any]:
        return {**self.fixed, "num_levels": self.setup.num_levels}

    @property
    def world(self) -> World:
        return make_world(self.env_id, **self.options)


@cell_function(PLAY, version=3, seconds=60.0)
def play_all(context: CellContext) -> list[Row]:
    """Train the two policies and the two values of one seed, and let every pair search."""
    config = context.config
    task = _Task(config["env_id"], config["options"], Setup(**config["setup"]), config["seed"])
    policies = _policies(task)
    values = {name: _with_values(policies[name], task) for name in SOURCES}
    rows = [{"prior": name, "value": "none", "n": 0, **_score(policies[name], "D", task)} for name in SOURCES]
    rows += [{"prior": "none", "value": name, "n": 0, **_score(values[name], "V1", task)} for name in SOURCES]
    for prior, value in itertools.product(SOURCES, SOURCES):
        agent = with_value_of(policies[prior], values[value])
        rows += [
            {"prior": prior, "value": value, "n": n, **_score(agent, f"search-{n}", task)} for n in NUM_SIMULATIONS
        ]
    return rows


def _policies(task: _Task) -> dict[str, AlphaAgent]:
    """D after imitation, and after reinforcement."""
    setup, world, seed = task.setup, task.world, task.seed
    shown = demonstrate(
        world, world.levels("train"), num_episodes=setup.num_demonstrations, seed=seed, noise=setup.noise
    )
    untrained = build_agent(
        observation_space(world), world.num_actions, AgentConfig(encoder_sizes=(128, 64)),
        seed=derive_seed(seed, "alphago", "agent"), sample=shown.observations,
    )  # fmt: skip
    imitated, _ = imitate(untrained, shown, ImitationConfig(num_updates=setup.imitation_updates), seed=seed)
    learning = ReinforceConfig(num_steps=setup.reinforce_steps, num_envs=64, batch_size=1024, learning_rate=3e-4)
    env = make_vector(task.env_id, learning.num_envs, options=task.options)
    stream = open_stream(env, imitated.spec, seed=seed, name="reinforce")
    reinforced, _ = reinforce(imitated, stream, learning, discount=world.discount, seed=seed)
    return {"imitated": imitated, "reinforced": reinforced}


def _with_values(policy: AlphaAgent, task: _Task) -> AlphaAgent:
    """The policy with a V that has learned the outcomes of its own play."""
    played = record_episodes(
        policy, task.env_id, num_episodes=task.setup.num_outcomes, options=task.options,
        seed=derive_seed(task.seed, "alphago", "outcomes"),
    )  # fmt: skip
    learning = ValueConfig(
        target="td_lambda", trace_lambda=0.9, num_updates=task.setup.value_updates, learning_rate=4e-3
    )
    return fit_values(policy, played, learning, seed=task.seed)[0]


def with_value_of(agent: AlphaAgent, donor: AlphaAgent) -> AlphaAgent:
    """A copy of the agent's D∘E with the donor's V∘E, which must not share an encoder with the donor's D."""
    if donor.shared:
        raise ValueError("the donor's V reads D's encoder; train it with value_encoder='scratch'")
    mixed, given = copy.deepcopy(agent), copy.deepcopy(donor)
    mixed.value_encoder, mixed.value_head = given.value_encoder, given.value_head
    mixed.value_discount = donor.value_discount
    return mixed


def _score(agent: AlphaAgent, actor: str, task: _Task) -> Row:
    """The discounted return of an actor on held-out levels, and the exact optimum of the same levels."""
    num_episodes = task.setup.num_episodes
    played = evaluate(agent, task.env_id, actor=actor, num_episodes=num_episodes, seed=0, options=task.options)
    best = exact_optimum(task.world, played).discounted
    return {"discounted_return": float(played.discounted_returns.mean()), "optimum": best}


def cells(seeds: Sequence[int], setup: Setup | None = None) -> list[Cell]:
    """One cell a seed and world."""
    sizes = dataclasses.asdict(setup or Setup())
    return [
        Cell(PLAY, {"env_id": env_id, "options": dict(options), "seed": seed, "setup": sizes})
        for seed in seeds
        for env_id, options in WORLDS.items()
    ]


QUESTION = Question(
    name="alphago",
    asks="Does a search do better with the imitated policy as prior, and with the value of the reinforced policy?",
    rule=f"discounted return with {DECIDED_AT} simulations on held-out levels, paired by seed: prior imitated minus "
    "reinforced at V of the reinforced policy, and V of the reinforced minus the imitated policy at the imitated "
    f"prior; a direction where the 95 % t interval over at least {NUM_SEEDS} seeds excludes 0, in each of two worlds",
    does_not_show="anything about Go, about other sizes of these networks, or about other amounts of imitation and "
    "reinforcement: how far the two policies lie apart is set by us",
    num_seeds=NUM_SEEDS,
    cells=cells,
    report=report,
)
