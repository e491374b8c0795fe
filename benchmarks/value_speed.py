"""How fast V∘E learns from a recording: gradient steps of every arm, with and without fast kernels, beside plain torch.

Run: python benchmarks/value_speed.py [--world MultiNeed] [--updates 600] [--turns 3]

The recording, E, V and minibatches are those of the comparison (256 recorded steps a minibatch). Plain torch is what
one would write for MONO: a float32 matrix of inputs, `nn.Sequential`, `torch.optim.Adam(fused=True)`, and
`clip_grad_norm_`. All are timed in turn, in CPU seconds on one thread, and the best of the turns counts.

Before anything is timed, the written-out gradient of every arm must be autograd's; afterwards both ways must have
learned: their V explains the outcomes of the recording equally well, up to .03 of R², and better than its mean. It
fails where this does not hold, or where fast kernels do not pay; with fewer than 300 updates only gradients are held to
anything.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import torch
from machine import measure_machine
from torch import nn

from agents.agent import AlphaAgent, build_agent
from agents.batches import all_values
from agents.config import ValueConfig
from agents.dense_value import AutogradValue, value_learner
from agents.encoded import EncodedEpisodes, encode_episodes
from agents.losses import r_squared
from agents.outcomes import outcomes_of
from agents.recorder import record_episodes
from agents.returns import Floats
from agents.values import fit_values
from analysis.arms import ARMS
from analysis.studies.lessons import arm_episodes
from analysis.studies.setups import SETUPS
from analysis.studies.yoked import agent_config, arm_agent
from envs.episodes import Episodes
from envs.registry import make_world, world_id
from envs.step_buffers import observation_space
from shards.value_head import ValueTargets

NAMES = ("MONO", "MONO-ROUTE", "MOE", "ROUTE", "POS", "NEG-F")
NUM_LEVELS, NUM_EPISODES, ENOUGH = 100_000, 5000, 300


@dataclasses.dataclass(frozen=True)
class Task:
    """A recording, and V's settings on it."""

    name: str
    player: AlphaAgent
    episodes: Episodes
    encoded: EncodedEpisodes
    config: ValueConfig


def make_task(name: str, updates: int) -> Task:
    """What an untrained D plays, half of its actions uniform."""
    setup, world = SETUPS[name], make_world(name, num_levels=NUM_LEVELS)
    sample = world.observe(world.begin(np.arange(500), np.zeros(500, np.int64)))
    player = build_agent(
        observation_space(world), world.num_actions, agent_config(world, setup, head="MONO", regime="scratch"), seed=0,
        sample=sample,
    )  # fmt: skip
    episodes = record_episodes(
        player, world_id(name), num_episodes=NUM_EPISODES, seed=0, uniform_share=0.5, options={"num_levels": NUM_LEVELS}
    )
    config = ValueConfig(num_updates=updates, batch_size=setup.batch_size, learning_rate=setup.learning_rate)
    return Task(name, player, episodes, encode_episodes(player, episodes), config)


def agent_of(task: Task, arm: str) -> AlphaAgent:
    """The arm's agent before it learns."""
    world = make_world(task.name, num_levels=NUM_LEVELS)
    return arm_agent(task.player, ARMS[arm], world, setup=SETUPS[task.name], regime="scratch", replica=0)


def gradient_error(task: Task, arm: str) -> float:
    """Largest difference between both ways' gradients, as a share of the largest gradient."""
    agent = agent_of(task, arm)
    head, encoder, steps = agent.value_head, agent.value_encoder, torch.arange(task.config.batch_size)
    outcomes = outcomes_of(agent, arm_episodes(task.episodes, ARMS[arm], seed=0), task.config)
    contexts = task.encoded.contexts.index_select(0, task.encoded.step_input)
    told = ValueTargets(total=contexts.float(), context=contexts, event_share=outcomes.shares).rows(steps)
    shown = task.encoded.inputs.with_entries().chosen(task.encoded.step_input[steps])
    parameters = [*head.parameters(), *encoder.parameters()]
    ours, theirs = (
        torch.cat([part.reshape(-1) for part in learn(shown, told, parameters).gradients])
        for learn in (value_learner(head, encoder, shown), AutogradValue(head, encoder))
    )
    return float((ours - theirs).abs().max() / theirs.abs().max())


def ours(task: Task, arm: str, *, fast: bool) -> Floats:
    """Learn, and return V at every step."""
    config = dataclasses.replace(task.config, fast_kernels=fast)
    told = arm_episodes(task.episodes, ARMS[arm], seed=0)
    agent, _ = fit_values(agent_of(task, arm), told, config, seed=0, encoded=task.encoded, num_checkpoints=1)
    return all_values(agent.value_head, task.encoded, encoder=agent.value_encoder)[0]


def plain(task: Task) -> Floats:
    """The same for MONO, as one would write it in torch."""
    data, setup, config = task.encoded, SETUPS[task.name], task.config
    inputs = data.inputs.rows(torch.arange(len(data.inputs)))
    targets = torch.from_numpy(targets_of(task)).float()
    sizes = (inputs.shape[1], *setup.encoder_sizes, setup.hidden_size)
    torch.manual_seed(0)
    layers = [part for pair in zip(sizes, sizes[1:], strict=False) for part in (nn.Linear(*pair), nn.ReLU())]
    network = nn.Sequential(*layers, nn.Linear(sizes[-1], 1))
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate, betas=(0.9, 0.98), fused=True)
    for step in range(config.num_updates):
        chosen = torch.randint(data.num_steps, (config.batch_size,))
        value = network(inputs[data.step_input[chosen]]).squeeze(1)
        optimizer.param_groups[0]["lr"] = config.learning_rate * (1 - step / config.num_updates)
        optimizer.zero_grad()
        nn.functional.mse_loss(value, targets[chosen]).backward()
        nn.utils.clip_grad_norm_(network.parameters(), config.max_grad_norm)
        optimizer.step()
    with torch.no_grad():
        return np.asarray(network(inputs).squeeze(1)[data.step_input].double())


def targets_of(task: Task) -> Floats:
    """Outcomes of every step."""
    outcomes = outcomes_of(task.player, task.episodes, dataclasses.replace(task.config, target="monte_carlo"))
    return outcomes.totals(np.zeros(task.encoded.num_steps), np.zeros(len(task.encoded.final_input)))


def timed(run: Callable[[], Floats], turns: int, updates: int) -> tuple[float, Floats]:
    """Microseconds of CPU time a step, the best of the turns, and what was learned."""
    best, values = np.inf, run()
    for _ in range(turns):
        start = time.process_time()
        values = run()
        best = min(best, time.process_time() - start)
    return 1e6 * best / updates, values


def main() -> int:
    """Check, time, print; 1 where something does not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--world", default="MultiNeed", choices=("MultiNeed", "DiamondGhost", "CrossedHistory"))
    parser.add_argument("--updates", type=int, default=600)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(measure_machine(0.5))
    task = make_task(given.world, given.updates)
    worst = {arm: gradient_error(task, arm) for arm in NAMES}
    print(f"largest difference from autograd's gradient: {max(worst.values()):.1e} of the largest gradient")
    failures = [f"{arm}: gradients differ by {error:.1e}" for arm, error in worst.items() if error > 1e-5]
    outcomes = targets_of(task)
    peer, values = timed(lambda: plain(task), given.turns, given.updates)
    print(f"{given.world}, {task.encoded.num_steps} steps, batches of {task.config.batch_size}, µs a step and R² of V")
    print(f"{'plain torch':<12}{peer:7.0f}{r_squared(values, outcomes):33.3f}")
    for arm in NAMES:
        slow, before = timed(lambda arm=arm: ours(task, arm, fast=False), given.turns, given.updates)  # type: ignore[misc]
        fast, after = timed(lambda arm=arm: ours(task, arm, fast=True), given.turns, given.updates)  # type: ignore[misc]
        found = r_squared(before, outcomes), r_squared(after, outcomes)
        print(
            f"{arm:<12}{fast:7.0f}  autograd {slow:5.0f} ({slow / fast:.2f} x)  {found[1]:.3f}, autograd {found[0]:.3f}"
            + (f"  plain torch {peer / fast:.2f} x" if arm == "MONO" else "")
        )
        if given.updates >= ENOUGH:
            failures += [f"{arm}: R² {found[1]:.3f} and {found[0]:.3f}"] if abs(found[0] - found[1]) > 0.03 else []
            failures += [f"{arm}: V explains nothing"] if min(found) <= 0.0 else []
            failures += [f"{arm}: fast kernels do not pay"] if fast >= slow else []
    held = "all checks hold" if given.updates >= ENOUGH else "gradients agree; too few updates for the other checks"
    print("\n".join(failures) if failures else held)
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
