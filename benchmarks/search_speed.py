"""Simulations per second of a batched search, beside mctx on the same world, networks and sizes in the same run.

    python benchmarks/search_speed.py [--seconds 5] [--batch 256] [--simulations 64]

mctx is not installed with valuelab; `pip install mctx jax` puts it beside it, and without it only our rates are shown.
Both sides look ahead from the same states with the same weights and without noise, and must visit the same root
actions, up to ties that float32 decides. Times are CPU time of one thread; mctx's compilation is not counted.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np
import torch
from machine import best_rate, measure_machine

from agents.agent import AlphaAgent, build_agent
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
    tables = rng.normal(size=(mdp.num_states, 4)), rng.normal(size=mdp.num_states)
    for rule, bar in (("gumbel", True), ("puct", False)):
        config = SearchConfig(num_simulations=options.simulations, rule=rule)

        def network(config: SearchConfig = config) -> SearchResult:
            return search(world, rows, NetworkEvaluator(agent, world), config=config)

        def table(config: SearchConfig = config) -> SearchResult:
            return search_table(SearchTable(mdp, logits=tables[0], values=tables[1]), states, config=config)

        sizes = options.batch * options.simulations
        ours = {name: _rate(work, sizes, options.seconds) for name, work in (("network", network), ("table", table))}
        peers = _peer_rates(rule, agent, rows, (mdp, states, *tables), (network(), table()), options)
        for name, target in (("network", NETWORK_BAR), ("table", TABLE_BAR)):
            line = f"{rule:6} {name:8} ours {ours[name] / 1e6:6.2f}"
            if bar:
                line += f" (bar {target * machine.scale / 1e6:.1f}: {_word(ours[name] >= target * machine.scale)})"
            if peers is not None:
                ratio = ours[name] / peers[name]
                line += (
                    f"   mctx {peers[name] / 1e6:6.3f}   ratio {ratio:.1f} (aim {PEER_BAR}: {_word(ratio >= PEER_BAR)})"
                )
            print(line, flush=True)


def _word(met: bool) -> str:
    return "met" if met else "missed"


def _rate(work: Callable[[], SearchResult], sizes: int, seconds: float) -> float:
    """Simulations per second, of searches that are seen to have run."""
    found = work()
    total = int(found.tree.visits[:, 0].sum())
    if total != sizes or len(np.unique(found.tree.num_nodes)) < 1 or found.tree.num_nodes.max() < 2:
        raise SystemExit(f"the search made {total} simulations, not {sizes}")

    def repeat() -> float:
        work()
        return float(sizes)

    return best_rate(repeat, seconds=seconds)


def _peer_rates(rule, agent: AlphaAgent, rows, tables, ours, options):  # type: ignore[no-untyped-def]
    try:
        import jax
        import mctx  # noqa: F401
    except ImportError:
        print("mctx is not installed: no ratio")
        return None
    from mctx_peer import network_search, table_search

    rates = {}
    for name, run, mine in (
        ("network", network_search(agent, rows, rule=rule, num_simulations=options.simulations), ours[0]),
        ("table", table_search(*tables, rule=rule, num_simulations=options.simulations), ours[1]),
    ):
        visits = np.asarray(run())
        same = float((visits == mine.tree.visits[:, 0]).all(axis=1).mean())
        print(f"{rule:6} {name:8} root visits are mctx's own in {same:.1%} of the trees")
        if same < SAME_SHARE:
            raise SystemExit("ours and mctx do not search alike: the rates would not be comparable")

        def repeat(run=run) -> float:  # type: ignore[no-untyped-def]
            jax.block_until_ready(run())
            return float(options.batch * options.simulations)

        rates[name] = best_rate(repeat, seconds=options.seconds)
    return rates


if __name__ == "__main__":
    main()
