"""T5, credit locality, as the comparison runs it: V of one fit before and after one context is turned round."""

from __future__ import annotations

import copy
from types import MappingProxyType

import torch

from agents.agent import AlphaAgent, restart_value
from agents.config import ValueConfig
from agents.exact import value_table
from agents.outcomes import outcomes_of
from agents.seeding import numpy_generator
from analysis.arms import ARMS, LABELLED
from analysis.cells import CellContext, Row, cell_function
from analysis.predictions.locality import (
    PREDICTION,
    Phase,
    gradient_cosine,
    indices_of,
    interference,
    retention,
    score_of,
    turn_round,
)
from analysis.studies.held_out_units import NUM_LEVELS, held_out_table
from analysis.studies.lessons import arm_episodes
from analysis.studies.line_test import LEAK, LEAKS, LineTest
from analysis.studies.yoked import RECORD, fitted_agent, read_recording, world_of_run
from shards.gates import OracleGate

FLIP = "comparison.credit"
NUM_PHASE_STEPS = 16_384
BATCH = 128


@cell_function(FLIP, version=5, seconds=4.0)
def flip(context: CellContext) -> list[Row]:
    """T5 of one fitted V: E frozen, E free, for MONO an untrained network in the same phase, for POS its doses."""
    config, world = context.config, world_of_run(context.config)
    agent = fitted_agent(context)
    flipped = config["seed"] % len(world.context_names)
    phases = phases_of(context, agent, num_contexts=len(world.context_names))
    phase = phases.pop(flipped)
    rows = held_out_table(world, num_levels=NUM_LEVELS).rows
    other = world.context_of(rows) != flipped
    readings: Row = {"gradient_cosine": gradient_cosine(agent, phase, phases)}

    def turned(subject: AlphaAgent, *, free: bool = False, targets: torch.Tensor | None = None) -> Row:
        after, facts = turn_round(subject, phase, free=free, batch_size=BATCH, seed=config["seed"], targets=targets)
        values = value_table(subject, world, rows), value_table(after, world, rows)
        ratio, centred = interference(*values, other)
        return facts | {
            "score": score_of(ratio), "interference": ratio, "interference_centred": centred,
            "retention": retention(*values, other),
        }  # fmt: skip

    frozen, free = turned(agent), turned(agent, free=True)
    readings |= {f"frozen {name}": number for name, number in frozen.items() if name != "score"}
    readings |= {f"free {name}": number for name, number in free.items()}
    if config["arm"] == "MONO":
        readings["untrained"] = turned(restart_value(agent), targets=_turned(agent, phase))["score"]
    if config["arm"] == "POS":
        readings |= {f"{LEAK}{leak:g}": turned(_leaking(agent, leak))["score"] for leak in LEAKS}
    return [{"kind": "score", "score": frozen["score"], **readings}]


def _leaking(agent: AlphaAgent, leak: float) -> AlphaAgent:
    """POS with a leak laid on its gate."""
    agent = copy.deepcopy(agent)
    gate = agent.value_head.gate
    assert isinstance(gate, OracleGate), "only POS has doses"
    gate.leak = leak
    return agent


def phases_of(context: CellContext, agent: AlphaAgent, *, num_contexts: int) -> list[Phase]:
    """Recorded steps of each context, with the event labels that the arm is told."""
    config = context.config
    recorded = read_recording(context.parent(RECORD).folder, agent.device).episodes
    episodes = arm_episodes(recorded, ARMS[config["arm"]], seed=config["seed"])
    shares = outcomes_of(agent, episodes, ValueConfig()).shares

    def phase_of(flipped: int) -> Phase:
        rng = numpy_generator(config["seed"], "comparison", "phase")
        steps = indices_of(episodes.contexts, flipped, limit=NUM_PHASE_STEPS, rng=rng)
        return Phase(
            inputs=agent.encode(
                {name: array[steps] for name, array in episodes.observations.items()}, active=True
            ).inputs,
            contexts=torch.full((len(steps),), flipped, device=agent.device),
            shares=None if shares is None else shares[torch.from_numpy(steps).to(agent.device)],
        )

    return [phase_of(name) for name in range(num_contexts)]


@torch.no_grad()
def _turned(agent: AlphaAgent, phase: Phase) -> torch.Tensor:
    """-V of a trained agent on the phase's inputs, as targets for one that was never trained."""
    value: torch.Tensor = agent.value_head(agent.value_encoder(phase.inputs)[0], phase.contexts).value
    return -value


TEST = LineTest(
    prediction=PREDICTION,
    cell=FLIP,
    worlds=("MultiNeed", "DiamondGhost"),
    title="T5: does learning in one context leave V alone in the others?",
    axis="credit locality 1 - min(I, 1), E frozen",
    parents=("fit", "record"),
    contrasts=True,
    admission=True,
    by_construction=LABELLED,
    quoted=MappingProxyType(
        {
            "frozen reached": "share of seeds that came within 0.1 sd of their targets",
            "gradient_cosine": "cosine of one context's gradient and the others', before the phase",
        }
    ),
    shown=(
        "frozen interference", "frozen interference_centred", "frozen retention", "frozen reached", "free interference",
        "free retention", "gradient_cosine",
    ),
)
