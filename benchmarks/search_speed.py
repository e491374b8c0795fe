"""Simulations per second of a batched search, beside mctx on the same world, networks and sizes in the same run.

    python benchmarks/search_speed.py [--seconds 5] [--batch 256] [--simulations 64]

mctx is not installed with valuelab; `pip install mctx jax` puts it beside it, and without it only our rates are shown.
Both sides look ahead from the same states with the same weights and without noise, and must visit the same root
actions, up to ties that float32 decides; with the uniform table, where all is a tie, that is not asked. Times are CPU
time of one thread; mctx's compilation is not counted.
"""

from __future__ import annotations

import argparse
import functools
import os
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np
import torch
from machine import best_rate, measure_machine

from agents.agent import build_agent
from agents.config import AgentConfig
from agents.search import NetworkEvaluator, SearchConfig, SearchResult, SearchTable, search, search_table
from envs import make_world
from envs.enumeration import enumerate_world
from envs.step_buffers import observation_space

NETWORK_BAR, TABLE_BAR, PEER_BAR = 0.5e6, 5e6, 1.5
SAME_SHARE = 0.97


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--simulations", type=int, default=64)
    options = parser.parse_args()
    torch.set_num_threads(1)
    machine = measure_machine(0.5)
    print(machine)
    print(
        f"batch {options.batch}, {options.simulations} simulations, one thread; 10^6 simulations per second of CPU time"
    )
    world = make_world("CrossedHistory", size=7)
    rng = np.random.default_rng(0)
    rows = world.begin(rng.integers(0, 1000, options.batch), np.zeros(options.batch, np.int64))
    agent = build_agent(
        observation_space(world), world.num_actions, seed=0,
        config=AgentConfig(encoder_sizes=(64, 64), value_encoder="shared", hidden_size=64), sample=world.observe(rows),
    )  # fmt: skip
    mdp = enumerate_world(world, np.arange(64))
    states = rng.integers(0, mdp.num_states, options.batch)
    shape = (mdp.num_states, mdp.num_actions)
    tables = {
        "table": SearchTable(mdp),
        "random table": SearchTable(mdp, logits=rng.normal(size=shape), values=rng.normal(size=shape[0])),
    }
    sizes = options.batch * options.simulations
    for rule in ("gumbel", "puct"):
        config = SearchConfig(num_simulations=options.simulations, rule=rule)
        works: dict[str, Callable[[], SearchResult]] = {
            "network": functools.partial(search, world, rows, NetworkEvaluator(agent, world), config=config)
        }
        for name, table in tables.items():
            works[name] = functools.partial(search_table, table, states, config=config)
        for name, work in works.items():
            ours, found = _rate(work, sizes, options.seconds), work()
            theirs = _peer_rate(name, (agent, rows, tables, states), found, rule=rule, options=options)
            bar = (NETWORK_BAR if name == "network" else TABLE_BAR) * machine.scale
            line = f"{rule:6} {name:12} depth {_mean_depth(found):.1f}  ours {ours / 1e6:5.2f}"
            if name != "random table":
                line += f" (bar {bar / 1e6:.1f}: {_word(ours >= bar)})"
            if theirs is not None:
                line += f"  mctx {theirs / 1e6:6.3f}, ratio {ours / theirs:.1f} ({_word(ours >= PEER_BAR * theirs)})"
            print(line, flush=True)


def _mean_depth(found: SearchResult) -> float:
    """The mean depth of all nodes but the roots."""
    depth = np.zeros(found.tree.parent.shape)
    for node in range(1, depth.shape[1]):
        depth[:, node] = np.take_along_axis(depth, found.tree.parent[:, [node]].astype(np.int64), axis=1)[:, 0] + 1
    used = np.arange(depth.shape[1]) < found.tree.num_nodes[:, None]
    used[:, 0] = False
    return float(depth[used].mean())


def _word(met: bool) -> str:
    return "met" if met else "missed"


def _rate(work: Callable[[], SearchResult], sizes: int, seconds: float) -> float:
    """Simulations per second, of searches that are seen to have run."""
    found = work()
    total = int(found.tree.visits[:, 0].sum())
    if total != sizes or found.tree.num_nodes.max() < 2:
        raise SystemExit(f"the search made {total} simulations, not {sizes}")

    def repeat() -> float:
        work()
        return float(sizes)

    return best_rate(repeat, seconds=seconds)


def _peer_rate(name, subject, found, *, rule, options):  # type: ignore[no-untyped-def]
    """Mctx's rate on the same search, None where it is not installed; but for ties it must visit alike."""
    try:
        import jax
        import mctx  # noqa: F401
    except ImportError:
        return None
    from mctx_peer import network_search, table_search

    agent, rows, tables, states = subject
    if name == "network":
        run = network_search(agent, rows, rule=rule, num_simulations=options.simulations)
    else:
        run = table_search(tables[name], states, rule=rule, num_simulations=options.simulations)
    if name != "table":
        same = float((np.asarray(run()) == found.tree.visits[:, 0]).all(axis=1).mean())
        print(f"{rule:6} {name:12} root visits are mctx's own in {same:.1%} of the trees")
        if same < SAME_SHARE:
            raise SystemExit("ours and mctx do not search alike: the rates would not be comparable")

    def repeat() -> float:
        jax.block_until_ready(run())
        return float(options.batch * options.simulations)

    return best_rate(repeat, seconds=options.seconds)


if __name__ == "__main__":
    main()
