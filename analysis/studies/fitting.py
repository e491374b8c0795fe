"""The cell that trains one arm's V, and compares it with the exact V^pi while it learns.

Yoked, V∘E regresses on the recording that all arms share. With experience of its own, the arm's V is the baseline of
the policy gradient, so that it shapes what the agent does and learns from what it then meets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agents.agent import AlphaAgent
from agents.checkpoint import save_agent
from agents.config import ReinforceConfig, ValueConfig
from agents.environments import make_vector, open_stream
from agents.exact import value_table
from agents.learner import reinforce
from agents.losses import relative_error
from agents.values import fit_values
from analysis.arms import ARMS
from analysis.cells import CellContext, Row, cell_function
from analysis.studies.lessons import lesson_of
from analysis.studies.yoked import (
    AGENT,
    FIT,
    CheckedStates,
    Recording,
    Setup,
    arm_agent,
    checked_states,
    device_of,
    env_id_of,
    options_of,
    read_recording,
    recorder_of,
    setup_of,
    world_of_run,
)
from envs.errors import UserError
from envs.rows import World

__all__ = ["FIT", "fit"]

TRACE = 0.5
"""λ of TD(λ) targets."""


@cell_function(FIT, version=2, seconds=5.0)
def fit(context: CellContext) -> list[Row]:
    """Train one arm's V, and compare it with the exact V^pi of its policy on held-out levels."""
    config, setup, world = context.config, setup_of(context.config), world_of_run(context.config)
    recording = read_recording(context.parent(recorder_of(config["world"])).folder, device_of(config))
    agent = arm_agent(
        recording.player, ARMS[config["arm"]], world, setup=setup, regime=config["regime"], replica=config["replica"]
    )
    learn = _learn_from_own if config.get("experience") == "own" else _learn_from_recording
    agent, curve = learn(context, agent, recording)
    save_agent(context.folder / AGENT, agent)
    sizes = [sum(part.numel() for part in net.parameters()) for net in (agent.value_encoder, agent.value_head)]
    facts = {"kind": "fit", "parameters": sum(sizes), "head_parameters": sizes[1]}
    return [facts | curve[-1], *({"kind": "curve"} | row for row in curve)]


def _learn_from_recording(
    context: CellContext, agent: AlphaAgent, recording: Recording
) -> tuple[AlphaAgent, list[Row]]:
    config, setup, world = context.config, setup_of(context.config), world_of_run(context.config)
    settings = ValueConfig(
        num_updates=setup.value_updates, batch_size=setup.batch_size, learning_rate=setup.learning_rate,
        target=setup.targets, trace_lambda=TRACE,
    )  # fmt: skip
    lesson, curve = lesson_of(context, ARMS[config["arm"]], recording), []  # type: ignore[var-annotated]
    agent, _ = fit_values(
        agent, lesson.episodes, settings, seed=config["seed"], encoded=recording.encoded, withheld=lesson.withheld,
        totals=lesson.totals, blocks=lesson.blocks, num_checkpoints=5,
        inspect=_follow(checked_states(recording.player, world, setup), world, curve),
    )  # fmt: skip
    return agent, curve


def _follow(checked: CheckedStates, world: World, curve: list[Row]) -> Callable[[AlphaAgent, dict[str, Any]], bool]:
    def inspect(agent: AlphaAgent, row: dict[str, Any]) -> bool:
        curve.append({"step": row["step"], "loss": row["loss"], **_accuracy(agent, checked, world)})
        return False

    return inspect


def _accuracy(agent: AlphaAgent, checked: CheckedStates, world: World) -> Row:
    error = relative_error(value_table(agent, world, checked.rows), checked.exact, weight=checked.visits)
    return {"relative_error": error, "r_squared": 1.0 - error**2}


def _learn_from_own(context: CellContext, agent: AlphaAgent, recording: Recording) -> tuple[AlphaAgent, list[Row]]:
    """Policy gradient from the recording's D on, with the arm's V as baseline; V learns from what it then meets."""
    config, setup, arm = context.config, setup_of(context.config), ARMS[context.config["arm"]]
    if arm.lesson != "outcomes" or arm.in_blocks or arm.shuffled_events or arm.labelled_share < 1.0:
        raise UserError(f"{arm.name} learns from the recording in its own way; it has no experience of its own.")
    settings = ReinforceConfig(num_steps=setup.own_steps, learning_rate=setup.own_learning_rate, share_value=True)
    seed, world = config["seed"], world_of_run(config)
    options = options_of(config["world"], seed)
    stream = open_stream(
        make_vector(env_id_of(config), settings.num_envs, options=options), agent.spec, seed=seed,
        name="own experience",
    )  # fmt: skip
    agent, _ = reinforce(agent, stream, settings, discount=world.discount, seed=seed)
    checked = checked_states(agent, world, Setup(uniform_share=0.0, num_checked_levels=setup.num_checked_levels))
    return agent, [{"step": setup.own_steps, "loss": 0.0, **_accuracy(agent, checked, world)}]
