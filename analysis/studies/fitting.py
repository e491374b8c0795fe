"""The cell that trains one arm's V, and compares it with the exact V^pi while it learns.

Where V has several parts, the cell keeps the log of reinforcement events with each part's responsibility (`EVENTS`),
and its matrix as rows {"kind": "responsibility", "part": k, "shares": by kind of event, None for one that never was}.

Yoked, V∘E regresses on the recording that all arms share. With experience of its own, the arm's V is the baseline of
the policy gradient, so that it shapes what the agent does; it learns from what the agent meets on the way, and then
from as many episodes as a recording holds, which the agent plays itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from agents.agent import AlphaAgent
from agents.checkpoint import save_agent
from agents.config import ReinforceConfig, ValueConfig
from agents.environments import make_vector, open_stream
from agents.exact import value_table
from agents.learner import reinforce
from agents.losses import relative_error
from agents.recorder import record_episodes
from agents.responsibility import ReceivedCredit, event_log, responsibility_matrix, save_event_log
from agents.values import fit_values
from analysis.arms import ARMS
from analysis.cells import CellContext, Row, cell_function
from analysis.studies.checked_states import CheckedStates, checked_states
from analysis.studies.lessons import lesson_of
from analysis.studies.yoked import (
    AGENT,
    FIT,
    Recording,
    Setup,
    arm_agent,
    device_of,
    options_of,
    read_recording,
    recorder_of,
    setup_of,
    world_of_run,
)
from envs.episodes import Episodes
from envs.errors import UserError
from envs.rows import World
from shards.matching import multiply_adds

__all__ = ["FIT", "fit"]

NUM_CHECKPOINTS = 5
TRACE = 0.5
"""λ of TD(λ) targets."""
EVENTS = "events.npz"
"""The log of reinforcement events among a fit's files, see `agents.responsibility.load_event_log`."""


@cell_function(FIT, version=4, seconds=5.0)
def fit(context: CellContext) -> list[Row]:
    """Train one arm's V, and compare it with the exact V^pi of its policy on held-out levels."""
    config, setup, world = context.config, setup_of(context.config), world_of_run(context.config)
    recording = read_recording(context.parent(recorder_of(config["world"])).folder, device_of(config))
    agent = arm_agent(
        recording.player, ARMS[config["arm"]], world, setup=setup, regime=config["regime"], replica=config["replica"]
    )
    learn = _learn_from_own if config.get("experience") == "own" else _learn_from_recording
    received = ReceivedCredit() if agent.value_head.num_parts > 1 else None
    agent, curve, learned_from = learn(context, agent, recording, received=received)
    save_agent(context.folder / AGENT, agent)
    sizes = [sum(part.numel() for part in net.parameters()) for net in (agent.value_encoder, agent.value_head)]
    weights = sum(part.numel() for part in agent.value_encoder.parameters() if part.dim() > 1)
    facts = {
        "kind": "fit", "parameters": sum(sizes), "head_parameters": sizes[1],
        "multiply_adds": weights + multiply_adds(agent.value_head),
    }  # fmt: skip
    credit = [] if received is None else _log_events(context, learned_from, received, decay=world.discount)
    return [facts | curve[-1], *({"kind": "curve"} | row for row in curve), *credit]


def _log_events(context: CellContext, episodes: Episodes, received: ReceivedCredit, *, decay: float) -> list[Row]:
    """Keep the log, and return its matrix, a row for each part."""
    log = event_log(episodes, received.by_step.numpy(), decay=decay)
    save_event_log(context.folder / EVENTS, log)
    kinds = len(world_of_run(context.config).event_names)
    return [
        {"kind": "responsibility", "part": part, "shares": [None if np.isnan(s) else float(s) for s in shares]}
        for part, shares in enumerate(responsibility_matrix(log, kinds))
    ]


def value_settings(setup: Setup) -> ValueConfig:
    """How V learns from a recording."""
    return ValueConfig(
        num_updates=setup.value_updates, batch_size=setup.batch_size, learning_rate=setup.learning_rate,
        target=setup.targets, trace_lambda=TRACE,
    )  # fmt: skip


def _learn_from_recording(
    context: CellContext, agent: AlphaAgent, recording: Recording, *, received: ReceivedCredit | None
) -> tuple[AlphaAgent, list[Row], Episodes]:
    """The agent, V's curve, and the episodes with the events as they were, whatever the arm was told."""
    setup, world = setup_of(context.config), world_of_run(context.config)
    lesson, curve = lesson_of(context, ARMS[context.config["arm"]], recording), []  # type: ignore[var-annotated]
    agent, _ = fit_values(
        agent, lesson.episodes, value_settings(setup), seed=context.config["seed"], encoded=recording.encoded,
        withheld=lesson.withheld, totals=lesson.totals, blocks=lesson.blocks, num_checkpoints=NUM_CHECKPOINTS,
        inspect=_follow(checked_states(recording.player, world, setup), world, curve), received=received,
    )  # fmt: skip
    return agent, curve, recording.episodes


def _follow(checked: CheckedStates, world: World, curve: list[Row]) -> Callable[[AlphaAgent, dict[str, Any]], bool]:
    def inspect(agent: AlphaAgent, row: dict[str, Any]) -> bool:
        error = relative_error(value_table(agent, world, checked.rows), checked.exact, weight=checked.visits)
        curve.append({
            "step": row["step"], "loss": row["loss"], "relative_error": error, "r_squared": 1.0 - error**2
        })
        return False

    return inspect


def _learn_from_own(
    context: CellContext, agent: AlphaAgent, recording: Recording, *, received: ReceivedCredit | None
) -> tuple[AlphaAgent, list[Row], Episodes]:
    """Policy gradient from the recording's D on, with the arm's V as baseline; then V goes on from the agent's play.

    Credit is logged for the second half alone, whose episodes are kept.
    """
    config, setup, arm = context.config, setup_of(context.config), ARMS[context.config["arm"]]
    if arm.needs_recording:
        raise UserError(f"{arm.name} learns from the recording in its own way; it has no experience of its own.")
    seed, world, options = config["seed"], world_of_run(config), options_of(config["world"], config["seed"])
    settings = ReinforceConfig(num_steps=setup.own_steps, learning_rate=setup.own_learning_rate, share_value=True)
    env = make_vector(recording.episodes.env_id, settings.num_envs, options=options)
    stream = open_stream(env, agent.spec, seed=seed, name="own experience")
    agent, _ = reinforce(agent, stream, settings, discount=world.discount, seed=seed)
    played = record_episodes(
        agent, recording.episodes.env_id, num_episodes=setup.num_episodes, seed=seed,
        uniform_share=setup.uniform_share, options=options,
    )  # fmt: skip
    curve: list[Row] = []
    agent, _ = fit_values(
        agent, played, value_settings(setup), seed=seed, restart=False, num_checkpoints=NUM_CHECKPOINTS,
        inspect=_follow(checked_states(agent, world, setup), world, curve), received=received,
    )  # fmt: skip
    return agent, curve, played
