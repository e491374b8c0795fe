"""How fast the policy gradient learns: env steps per second beside Stable-Baselines3's PPO, and time to a good policy.

Run: python benchmarks/learning_speed.py [--envs 1024] [--rollouts 12] [--worlds MultiNeed]

Steps per second: 9 x 9 worlds, 1024 envs x 16 steps, minibatches of 4096, four epochs, one trunk of 2 x 64 for policy
and baseline; Stable-Baselines3 gets the same trunk as its features extractor, the same observations (through one
adapter of `GridVectorEnv`, as flat bytes), and the same batch. Its default, separate networks for policy and value,
stands beside it, and our own without `ReinforceConfig.fast_kernels`. All are timed in turn, in CPU seconds on one
thread, and the best of the turns counts. What is timed must learn: more reward per step in the last turn than in the
first.

Time to a good policy: an empty 9 x 9 room with its goal in a corner, every other cell a start. CPU seconds from the
first line that builds the agent and the envs, with caches of compiled kernels on disk, to the first policy that earns
95 % of the exact optimum. The policy is judged exactly and as it acts, with its chance; judging is not counted.

It fails where a bar is missed: twice the steps per second of Stable-Baselines3 with the same trunk in the two open
rooms, 60 thousand of them on a machine that reaches the reference (scaled elsewhere), and one CPU second. The mazes
have no such ratio to reach: their walls differ, so that four times as many inputs do. With less than 1024 envs there is
no bar.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import torch
from machine import measure_machine
from sb3_peer import GridVecEnv, flat_bytes, make_ppo
from stable_baselines3.common.callbacks import BaseCallback

from agents.agent import AlphaAgent, build_agent
from agents.config import AgentConfig, ReinforceConfig
from agents.environments import make_vector, open_stream
from agents.exact import policy_table
from agents.learner import reinforce
from envs.registry import make_world
from envs.rows import World
from envs.tabular import TabularMDP, enumerate_world, policy_evaluation, start_value, value_iteration

ROLLOUT, MINIBATCH, EPOCHS = 16, 4096, 4
NUM_LEVELS = 100_000
RATIO_BARS = {"MultiNeed": 2.0, "CrossedHistory": 2.0, "CornerMaze-9x9": 0.0}
ROOM_ID = "ValueLab/CornerMaze-v0"
ROOM_OPTIONS: dict[str, Any] = {"size": 7, "generator": "open", "corner_size": 1}
RATE_BAR, SECONDS_BAR, GOOD = 60e3, 1.0, 0.95
SETTINGS: dict[str, Any] = {"learning_rate": 1e-3, "clip": 0.2, "entropy": 0.01, "trace": 0.95, "norm": 0.5}


class Turn(NamedTuple):
    """One turn of one learner.

    Attributes:
        rate: env steps per CPU second; those that only reset an env are left out.
        reward: earned per env step; all of these worlds' rewards end an episode, and soon ones are worth more.
    """

    rate: float
    reward: float


class Ours:
    """The reinforcement stage of this package, which goes on with its agent at every turn."""

    def __init__(self, name: str, num_envs: int, *, fast_kernels: bool) -> None:
        env = make_vector(f"ValueLab/{name}-v0", num_envs, options={"num_levels": NUM_LEVELS})
        self.agent = new_agent(env)
        self.stream = open_stream(env, self.agent.spec, seed=0, name="reinforce")
        self.config = our_settings(num_envs, fast_kernels=fast_kernels)

    def turn(self, num_rollouts: int) -> Turn:
        """Learn for some rollouts after two that are not counted: the first trains the baseline alone."""
        stamps, steps = [], self.config.num_envs * ROLLOUT
        config = dataclasses.replace(self.config, num_steps=(num_rollouts + 2) * steps)

        def stamp(agent: AlphaAgent, row: dict[str, Any]) -> bool:
            stamps.append(time.process_time())
            return False

        discount = self.stream.env.world.discount
        self.agent, record = reinforce(self.agent, self.stream, config, discount=discount, seed=0, on_update=stamp)
        earned = sum(row["mean_return"] * row["num_episodes"] for row in record if row["num_episodes"])
        # After each end one step of its env goes to the reset; it is no transition and does not count.
        num_resets = sum(row["num_episodes"] for row in record[2:])
        return Turn((num_rollouts * steps - num_resets) / (stamps[-1] - stamps[1]), earned / config.num_steps)


class Stamps(BaseCallback):
    """CPU time at the beginning of every rollout, less what judging took; learning stops when the judge is content."""

    def __init__(self, judge: Callable[[Any], bool] = lambda model: False) -> None:
        super().__init__()
        self.times: list[float] = []
        self.judge, self.judged, self.is_good = judge, 0.0, False

    def _on_step(self) -> bool:
        return not self.is_good

    def _on_rollout_start(self) -> None:
        now = time.process_time()
        self.times.append(now - self.judged)
        self.is_good = self.judge(self.model)
        self.judged += time.process_time() - now


class Theirs:
    """Stable-Baselines3's PPO, which goes on at every turn."""

    def __init__(self, world: World, num_envs: int, *, shared_trunk: bool) -> None:
        self.env, self.steps = GridVecEnv(world, num_envs), num_envs * ROLLOUT
        self.model = make_ppo(self.env, shared_trunk=shared_trunk, **their_settings(num_envs, world.discount))

    def turn(self, num_rollouts: int) -> Turn:
        """Learn for some rollouts after two that are not counted."""
        stamps, before, num_steps = Stamps(), self.env.reward_sum, (num_rollouts + 3) * self.steps
        self.model.learn(num_steps, callback=stamps, reset_num_timesteps=False)
        seconds = stamps.times[-1] - stamps.times[2]
        return Turn(num_rollouts * self.steps / seconds, (self.env.reward_sum - before) / num_steps)


def new_agent(env: Any, *, seed: int = 0) -> AlphaAgent:
    """An agent with the trunk, its inputs centred on a little random play."""
    rng, seen = np.random.default_rng(seed), [env.reset(seed=seed)[0]]
    for _ in range(16):
        seen.append(env.step(rng.integers(env.single_action_space.n, size=env.num_envs))[0])
    sample = {name: np.concatenate([one[name] for one in seen]) for name in seen[0]}
    config = AgentConfig(encoder_sizes=(64, 64))
    return build_agent(env.single_observation_space, env.single_action_space.n, config, seed=seed, sample=sample)


def our_settings(num_envs: int, **changes: Any) -> ReinforceConfig:
    """The settings of both learners, in our words."""
    known = {
        "num_steps": 1, "num_envs": num_envs, "rollout_length": ROLLOUT, "num_epochs": EPOCHS, "batch_size": MINIBATCH,
        "learning_rate": SETTINGS["learning_rate"], "anneal": False, "clip": SETTINGS["clip"],
        "entropy_weight": SETTINGS["entropy"], "trace_lambda": SETTINGS["trace"], "max_grad_norm": SETTINGS["norm"],
    }  # fmt: skip
    return ReinforceConfig(**{**known, **changes})


def their_settings(num_envs: int, discount: float, **changes: Any) -> dict[str, Any]:
    """The same in Stable-Baselines3's words."""
    known = {
        "n_steps": ROLLOUT, "batch_size": MINIBATCH, "n_epochs": EPOCHS, "gamma": discount,
        "learning_rate": SETTINGS["learning_rate"], "clip_range": SETTINGS["clip"], "ent_coef": SETTINGS["entropy"],
        "gae_lambda": SETTINGS["trace"], "max_grad_norm": SETTINGS["norm"],
    }  # fmt: skip
    return {**known, **changes}


def compare_rates(name: str, options: argparse.Namespace, *, bar: float) -> list[str]:
    """Print what each learner reaches in turn; returns the bars missed."""
    world, num_envs = make_world(name, num_levels=NUM_LEVELS), options.envs
    learners: dict[str, Any] = {
        "ours": Ours(name, num_envs, fast_kernels=True),
        "ours, without the fast kernels": Ours(name, num_envs, fast_kernels=False),
        "Stable-Baselines3, the same trunk": Theirs(world, num_envs, shared_trunk=True),
        "Stable-Baselines3, its separate networks": Theirs(world, num_envs, shared_trunk=False),
    }
    turns: dict[str, list[Turn]] = {label: [] for label in learners}
    for _ in range(options.turns):
        for label, learner in learners.items():
            turns[label].append(learner.turn(options.rollouts))
    print(f"{name}, {num_envs} envs x {ROLLOUT}, minibatches of {MINIBATCH}, {EPOCHS} epochs")
    best = {label: max(turn.rate for turn in each) for label, each in turns.items()}
    for label, each in turns.items():
        rise = f"reward per step {each[0].reward:.4f} -> {each[-1].reward:.4f}"
        print(f"  {label:42s} {best[label] / 1e3:7.1f} k steps/s  ours x {best['ours'] / best[label]:.2f}  {rise}")
        if options.turns > 1 and each[-1].reward <= each[0].reward:
            raise SystemExit(f"{label} did not learn on {name}: what was timed is no learning")
    ratio = best["ours"] / best["Stable-Baselines3, the same trunk"]
    missed = [f"{name}: {ratio:.2f} x Stable-Baselines3, bar {RATIO_BARS[name]}"] if ratio < RATIO_BARS[name] else []
    return missed + ([f"{name}: {best['ours']:.0f} steps/s, bar {bar:.0f}"] if best["ours"] < bar else [])


def share_of_optimum(mdp: TabularMDP, probs: np.ndarray, *, horizon: int) -> float:
    """What a policy float[S, A] earns from the starts until the time limit, of what the best one would."""
    best = start_value(mdp, value_iteration(mdp).values)
    return float(start_value(mdp, policy_evaluation(mdp, probs, horizon=horizon)) / best)


def our_room_seconds(world: World, mdp: TabularMDP, *, seed: int) -> float:
    """CPU seconds until D earns 95 % of the optimum; infinite where it does not."""
    judged, found = 0.0, float("inf")
    start = time.process_time()

    def judge(agent: AlphaAgent, row: dict[str, Any]) -> bool:
        nonlocal judged, found
        now = time.process_time()
        if share_of_optimum(mdp, policy_table(agent, world, mdp.rows), horizon=world.time_limit) >= GOOD:
            found = now - start - judged
        judged += time.process_time() - now
        return found < float("inf")

    config = ReinforceConfig(
        num_steps=100_000, num_envs=32, rollout_length=32, batch_size=256, learning_rate=3e-3, anneal=False
    )
    env = make_vector(ROOM_ID, config.num_envs, options=ROOM_OPTIONS)
    agent = new_agent(env, seed=seed)
    stream = open_stream(env, agent.spec, seed=seed, name="reinforce")
    reinforce(agent, stream, config, discount=world.discount, seed=seed, on_update=judge)
    return found


def their_room_seconds(world: World, mdp: TabularMDP, *, seed: int) -> float:
    """The same of Stable-Baselines3's PPO with the same trunk."""
    start, shown = time.process_time(), torch.from_numpy(flat_bytes(world.observe(mdp.rows)))

    def judge(model: Any) -> bool:
        with torch.no_grad():
            probs = model.policy.get_distribution(shown).distribution.probs.double().numpy()
        return share_of_optimum(mdp, probs, horizon=world.time_limit) >= GOOD

    settings = their_settings(32, world.discount, n_steps=32, batch_size=256, learning_rate=3e-3)
    model, stamps = make_ppo(GridVecEnv(world, 32), shared_trunk=True, seed=seed, **settings), Stamps(judge)
    model.learn(100_000, callback=stamps)
    return stamps.times[-1] - start if stamps.is_good else float("inf")


def room_times(num_seeds: int) -> list[str]:
    """Print the seconds of both learners to a good policy in the empty room; returns the bar if it is missed."""
    world = make_world(ROOM_ID, **ROOM_OPTIONS)
    mdp = enumerate_world(world, world.levels("train"))
    ours = [our_room_seconds(world, mdp, seed=seed) for seed in range(num_seeds)]
    theirs = [their_room_seconds(world, mdp, seed=seed) for seed in range(num_seeds)]
    print(f"empty 9 x 9 room, CPU seconds to {GOOD:.0%} of the optimum, {num_seeds} seeds")
    for label, each in (("ours", ours), ("Stable-Baselines3, the same trunk", theirs)):
        print(f"  {label:42s} median {np.median(each):.2f}, from {min(each):.2f} to {max(each):.2f}")
    worst = max(ours)
    return [f"empty room: {worst:.2f} CPU seconds, bar {SECONDS_BAR}"] if worst >= SECONDS_BAR else []


def main() -> None:
    """Measure, print, and fail where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", type=int, default=1024)
    parser.add_argument("--rollouts", type=int, default=12, help="in each turn of each learner")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=5, help="of the empty room")
    parser.add_argument("--worlds", nargs="+", default=list(RATIO_BARS), choices=list(RATIO_BARS))
    parser.add_argument("--seconds", type=float, default=1.0, help="for each measurement of the machine")
    options = parser.parse_args()
    torch.set_num_threads(1)
    missed = room_times(options.seeds)
    machine = measure_machine(options.seconds)
    print(machine)
    for name in options.worlds:
        missed += compare_rates(name, options, bar=RATE_BAR * machine.scale)
    if missed and options.envs >= 1024:
        raise SystemExit("bars missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
