"""Cells of `niceness-reward`: r̂ learns from noisy tastes in TRIAD without power; an exact planner with power has it.

Shape key: S states, N rows, K counts of a head.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from agents.agent import AlphaAgent, build_agent, value_encoder_for
from agents.config import AgentConfig, ValueConfig
from agents.recorder import record_episodes
from agents.reward_model import RewardModel, fit_rewards
from agents.seeding import derive_seed, numpy_generator
from analysis.cells import CellContext, Row, cell_function
from analysis.studies.niceness_calibration import ENV_ID
from analysis.studies.noise import NUM_TASTES, noised
from analysis.studies.reward_plans import (
    BY_ACTION,
    HEADS,
    READS,
    WEAK,
    Noise,
    counts,
    judged,
    strong,
    weak,
)
from envs.episodes import Episodes
from envs.niceness.case_world import LEFT
from envs.states import Floats, Rows
from envs.step_buffers import observation_space

LEARN, BLANK = "niceness.noisy reward", "niceness.noisy reward untrained"
KAPPAS = (0.5, 1.0)


@dataclass(frozen=True)
class Sizes:
    """Sizes of one run; part of every cell's hash.

    Attributes:
        num_episodes: Episodes of uniform play that r̂ learns from.
        updates: Its gradient steps.
        batch_size: Steps in a minibatch.
        learning_rate: Adam's at the start, falling to 0.
        width: Of E's one hidden layer.
    """

    num_episodes: int = 2000
    updates: int = 2000
    batch_size: int = 256
    learning_rate: float = 3e-3
    width: int = 128


@cell_function(LEARN, version=1, seconds=3.0)
def learn(context: CellContext) -> list[Row]:
    """Each head's r̂, of one seed and one noise, and what it makes the planner do at each power."""
    config, sizes = context.config, Sizes(**context.config["sizes"])
    agent, settings = beginner(config["seed"], sizes), _settings(sizes)
    seen = school(agent, sizes, seed=config["seed"], noise=tuple(config["noise"]))
    assert seen.components is not None
    rows: list[Row] = []
    for head in HEADS:
        amounts = counts(head, weak().world, actions=seen.actions, components=seen.components)
        model, facts = fit_rewards(agent, seen, settings, seed=config["seed"], amounts=amounts)
        rows += _measured(agent, model, head, loss=facts["loss"])
    return rows


@cell_function(BLANK, version=1, seconds=1.0)
def blank(context: CellContext) -> list[Row]:
    """The same with an r̂ that has learned nothing: a baseline."""
    seed, agent = context.config["seed"], beginner(context.config["seed"], Sizes(**context.config["sizes"]))
    rows: list[Row] = []
    for head in HEADS:
        num_outputs = agent.num_actions if head == BY_ACTION else NUM_TASTES
        encoder = copy.deepcopy(value_encoder_for(agent, "scratch"))
        rows += _measured(agent, RewardModel(encoder, num_outputs, seed=seed), head, loss=None)
    return rows


def beginner(seed: int, sizes: Sizes) -> AlphaAgent:
    """Whose encoder r̂ starts from: it sees the tastes and the time, and not the state, which differs between worlds."""
    world, rows = weak().world, weak().mdp.rows
    whole = observation_space(world)
    assert isinstance(whole, spaces.Dict)
    return build_agent(
        spaces.Dict({"planes": whole["planes"]}), world.num_actions, AgentConfig(encoder_sizes=(sizes.width,)),
        seed=derive_seed(seed, "noisy reward", "agent"), sample=world.observe(rows),
    )  # fmt: skip


def school(agent: AlphaAgent, sizes: Sizes, *, seed: int, noise: Noise) -> Episodes:
    """Uniform play in the weak world, with each taste shown at random in its share of the steps."""
    played = record_episodes(
        agent, ENV_ID, num_episodes=sizes.num_episodes, seed=seed, uniform_share=1.0, options=WEAK
    )  # fmt: skip
    for (name, column), share in zip(READS.items(), noise, strict=True):
        rng = numpy_generator(seed, "noisy reward", name)
        played = noised(played, weak().world, [column], share=share, rng=rng)
    return played


def _settings(sizes: Sizes) -> ValueConfig:
    return ValueConfig(num_updates=sizes.updates, batch_size=sizes.batch_size, learning_rate=sizes.learning_rate)


def _measured(agent: AlphaAgent, model: RewardModel, head: str, *, loss: float | None) -> list[Row]:
    """What the planner does with r̂ at each power, and which taste r̂ follows where the three differ."""
    read = follows(head, said(agent, model, weak().world.observe(conflicts())))
    shares = {f"follows {name}": share for name, share in read.items()}
    rows: list[Row] = []
    for kappa in KAPPAS:
        arena = strong(kappa)
        worths = said(agent, model, arena.world.observe(arena.mdp.rows))
        rows.append({"loss": loss, **shares, **judged(head, kappa, worths)})
    return rows


@torch.no_grad()
def said(agent: AlphaAgent, model: RewardModel, observations: Any) -> Floats:
    """The worths w float64[N, K] at N observations."""
    found: Floats = model(agent.encode(observations).inputs)[0].double().numpy()
    return found


def conflicts() -> Rows:
    """Rows int16[N, S] of the weak world with three different tastes, in every order at every step."""
    rows = []
    for time, tastes in itertools.product(range(weak().case.horizon), itertools.permutations(range(NUM_TASTES))):
        row = np.zeros(weak().world.row_size, np.int16)
        row[list(READS.values())], row[LEFT] = tastes, weak().case.horizon - time
        rows.append(row)
    return np.array(rows)


def follows(head: str, worths: Floats) -> Mapping[str, float]:
    """Share of `conflicts` in which w is largest for the taste that an objective reads; by action, for help with it."""
    case = weak().case
    names: list[Any] = [f"h{theta}" for theta in case.thetas]
    columns = [case.actions.index(name) for name in names] if head == BY_ACTION else range(NUM_TASTES)
    chosen = worths[:, list(columns)].argmax(axis=1)
    return {name: float((chosen == conflicts()[:, column]).mean()) for name, column in READS.items()}


def sizes_of(sizes: Sizes | None) -> dict[str, Any]:
    """Sizes as a part of a cell's config."""
    return dataclasses.asdict(sizes or Sizes())
