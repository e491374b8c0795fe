"""Value iteration on a room of 10^5 cells, beside quantecon's DiscreteDP in the same run.

Run: python benchmarks/solver_speed.py [--size 316]

The room has size x size cells, of which 15 % are walls at random; a move goes where it should with probability .8 and
to either side with .1; a move into a wall stays. One cell pays 1 and ends the episode; γ = .99. Enumeration is no part
of the time: the tables are built here. Times are CPU seconds on one core, the best of some repetitions.

The answers are checked, ours and theirs, against exact ones: policy iteration with sparse LU decompositions, to where
no change of action improves anything. It fails if an error is above 1e-6, if ours takes longer than 0.3 s on a machine
that reaches the reference (elsewhere the bar is scaled), or if quantecon's best method takes less than 5 times as long.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from machine import measure_machine
from numpy.typing import NDArray
from quantecon.markov import DiscreteDP
from scipy.sparse import csr_matrix

from envs.tabular import TabularMDP, expected_reward, policy_evaluation, value_iteration

DISCOUNT, SLIP, WALL_SHARE, TOLERANCE = 0.99, 0.1, 0.15, 1e-6
BAR_SECONDS, BAR_RATIO = 0.3, 5.0
Values = NDArray[np.float64]
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))


def room(size: int, *, goal: tuple[int, int]) -> TabularMDP:
    """The process of a room, whose goal is the free cell nearest to a place; states are free cells, row by row."""
    free = np.zeros((size + 2, size + 2), np.bool_)
    free[1:-1, 1:-1] = np.random.default_rng(0).random((size, size)) >= WALL_SHARE
    cells = np.argwhere(free)
    states = np.arange(len(cells))
    number = np.full(free.shape, -1)
    number[free] = states
    reached = np.stack([number[cells[:, 0] + dy, cells[:, 1] + dx] for dy, dx in MOVES], axis=1)
    reached = np.where(reached < 0, states[:, None], reached)
    next_state = np.stack([reached, np.roll(reached, 1, axis=1), np.roll(reached, -1, axis=1)], axis=2)
    at_goal = next_state == np.abs(cells - goal).sum(axis=1).argmin()
    return TabularMDP(
        rows=cells.astype(np.int16),
        start_state=states,
        start_probability=np.full(len(cells), 1 / len(cells)),
        next_state=np.where(at_goal, -1, next_state).astype(np.int32),
        probability=np.broadcast_to([1 - 2 * SLIP, SLIP, SLIP], next_state.shape).copy(),
        components=at_goal[..., None].astype(np.float64),
        event=np.full(next_state.shape, -1, np.int16),
        discount=DISCOUNT,
        reward_weights=np.ones(1),
    )


def discrete_dp(mdp: TabularMDP) -> DiscreteDP:
    """The same process in quantecon's sparse form; one more state, absorbing and of reward 0, stands for the end."""
    num_states, num_actions, num_outcomes = mdp.next_state.shape
    pairs = np.arange(num_states * num_actions + 1)
    source = np.append(np.repeat(pairs[:-1], num_outcomes), pairs[-1])
    target = np.append(np.where(mdp.next_state < 0, num_states, mdp.next_state), num_states)
    shape = (len(pairs), num_states + 1)
    transitions = csr_matrix((np.append(mdp.probability, 1.0), (source, target)), shape=shape)
    reward = np.append(expected_reward(mdp), 0.0)
    return DiscreteDP(reward, transitions, mdp.discount, pairs // num_actions, pairs % num_actions)


def exact_values(mdp: TabularMDP, values: Values) -> Values:
    """V* by policy iteration from the policy that is greedy for `values`, every evaluation by LU decomposition."""
    reward = expected_reward(mdp)
    for _ in range(20):
        action_values = reward + mdp.discount * (mdp.probability * np.append(values, 0.0)[mdp.next_state]).sum(axis=2)
        if float(np.abs(action_values.max(axis=1) - values).max()) < 1e-13:
            return values
        values = policy_evaluation(mdp, np.eye(mdp.num_actions)[action_values.argmax(axis=1)])
    raise SystemExit("policy iteration found no fixed point of V = max_a Q")


def best_time(work: Callable[[], Any], *, repeats: int) -> tuple[float, Any]:
    """CPU seconds of the fastest of some calls, and what the last one returned."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return min(seconds), result


def compare(mdp: TabularMDP, *, repeats: int) -> tuple[float, float]:
    """Print times and true errors; returns our seconds, and how many times as long quantecon's best method takes."""
    value_iteration(room(8, goal=(8, 8)), tolerance=TOLERANCE)
    ours, solution = best_time(lambda: value_iteration(mdp, tolerance=TOLERANCE), repeats=repeats)
    exact = exact_values(mdp, solution.values)
    error = float(np.abs(solution.values - exact).max())
    print(f"  valuelab value_iteration          {ours:7.3f} s, true error {error:.1e}, {solution.num_sweeps} sweeps")
    if not error <= solution.error_bound <= TOLERANCE:
        raise SystemExit(f"our error {error:.1e} is not within the bound {solution.error_bound:.1e}")
    theirs, peer = [], discrete_dp(mdp)
    for method in ("value_iteration", "modified_policy_iteration"):
        # Their result is within epsilon / 2 of the exact one.
        seconds, result = best_time(
            lambda: peer.solve(method=method, epsilon=2 * TOLERANCE, max_iter=10**6),  # noqa: B023
            repeats=max(repeats // 2, 1),
        )
        error = float(np.abs(result.v[:-1] - exact).max())
        print(f"  quantecon {method:25s} {seconds:6.3f} s, true error {error:.1e}, {result.num_iter} iterations")
        if error > TOLERANCE:
            raise SystemExit(f"quantecon's error {error:.1e} is above {TOLERANCE:.0e}: the comparison is void")
        theirs.append(seconds)
    return ours, min(theirs) / ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=316, help="cells per side; the bars are for 316")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    machine = measure_machine(seconds=0.5)
    print(machine)
    failures = []
    for place, goal in (("corner", (options.size, options.size)), ("centre", (options.size // 2, options.size // 2))):
        mdp = room(options.size, goal=goal)
        print(f"{options.size} x {options.size} room, goal in the {place}, {mdp.num_states} states, γ = {DISCOUNT}")
        seconds, ratio = compare(mdp, repeats=options.repeats)
        print(f"  quantecon takes {ratio:.1f} times as long (bar {BAR_RATIO:.0f})")
        if options.size >= 316 and (seconds > BAR_SECONDS / machine.scale or ratio < BAR_RATIO):
            failures.append(f"{place}: {seconds:.3f} s (bar {BAR_SECONDS / machine.scale:.2f} s), ratio {ratio:.1f}")
    if failures:
        raise SystemExit("bars missed: " + "; ".join(failures))


if __name__ == "__main__":
    main()
