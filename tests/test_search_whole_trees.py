"""Whole trees against plain Python: every node, count, Q and value, in a world with chance, by its own kernel."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from search_model import Search
from test_search import table

from agents.search import SearchConfig, SearchTable, search, search_table
from envs import make_world


def guessed(row, size):
    """Numbers in [−1, 1) that a row, and nothing else, decides."""
    bits = hashlib.sha256(np.ascontiguousarray(row, np.int16).tobytes()).digest()
    return np.frombuffer(bits, np.uint32)[:size] / 2.0**31 - 1.0


class Rules:
    """What the plain search asks of a world: outcomes, logits and values by state, a state being a tuple of numbers."""

    def __init__(self, world, *, illegal=0.0):
        self.world, self.illegal, self.ended = world, illegal, set()

    def outcomes(self, state):
        out = self.world.expand(np.array([state], np.int16))
        rewards = out.components @ self.world.reward_weights
        listed = []
        for a in range(self.world.num_actions):
            listed.append([])
            for o in np.flatnonzero(out.probability[0, a] > 0):
                after = tuple(int(cell) for cell in out.next_rows[0, a, o])
                if out.terminated[0, a, o]:
                    # A state that an episode ends in is another one than the same row on the way.
                    after = ("end", *after)
                    self.ended.add(after)
                listed[a].append((float(out.probability[0, a, o]), float(rewards[0, a, o]), after))
        return listed

    def logits(self, state):
        row = state[1:] if state[0] == "end" else state
        # Action 0 is always legal, and a share of the others is not.
        numbers = [float(x) for x in guessed(row, 4)]
        return [2.0 * x if k == 0 or x >= 2.0 * self.illegal - 1.0 else -math.inf for k, x in enumerate(numbers)]

    def value(self, state, *, use_rewards):
        if state[0] == "end":
            return 0.0 if use_rewards else float(guessed(state[1:], 1)[0])
        return float(guessed(state, 1)[0])


class Asked(dict):
    """A table that is worked out when it is asked."""

    def __init__(self, work_out):
        super().__init__()
        self.work_out = work_out

    def __missing__(self, key):
        self[key] = self.work_out(key)
        return self[key]


def assert_same_tree(found, index, root):
    """Node by node, from the root down."""
    tree, waiting, num_nodes = found.tree, [(0, root)], 0
    while waiting:
        number, node = waiting.pop()
        num_nodes += 1
        assert tree.visits[index, number].tolist() == node.count
        assert tree.q[index, number] == pytest.approx(node.q, abs=1e-9)
        assert tree.value[index, number] == pytest.approx(node.value, abs=1e-9)
        assert tree.raw_value[index, number] == pytest.approx(node.raw, abs=1e-12)
        for a, children in enumerate(node.children):
            for o, child in children.items():
                assert tree.outcome_visits[index, number, a, o] == node.tally[a][o]
                below = int(tree.child[index, number, a, o])
                assert below > 0
                if child is None:
                    num_nodes += 1
                    assert tree.terminated[index, below]
                else:
                    waiting.append((below, child))
    assert num_nodes == tree.num_nodes[index]


CONFIGS = {
    "gumbel": SearchConfig(num_simulations=60),
    "gumbel, few considered": SearchConfig(num_simulations=60, max_considered=2, c_visit=10.0, c_scale=1.0),
    "gumbel, V alone": SearchConfig(num_simulations=60, use_rewards=False),
    "puct": SearchConfig(num_simulations=60, rule="puct"),
    "puct, other constants": SearchConfig(num_simulations=60, rule="puct", c_init=3.0, c_base=20.0, noise_share=0.5),
    "gumbel, Q by a range": SearchConfig(num_simulations=60, q_range=4.0),
    "puct, Q by a range": SearchConfig(num_simulations=60, rule="puct", q_range=4.0),
    "puct, V alone": SearchConfig(num_simulations=60, rule="puct", use_rewards=False),
}


def noised(logits, noise, share):
    """PUCT's prior at the root with Dirichlet noise, as logits."""
    top = max(logits)
    weights = [math.exp(x - top) for x in logits]
    mixed = [(1 - share) * w / sum(weights) + share * n for w, n in zip(weights, noise, strict=True)]
    return [math.log(m) if x > -math.inf else -math.inf for m, x in zip(mixed, logits, strict=True)]


@pytest.mark.parametrize("illegal", [0.0, 0.3])
@pytest.mark.parametrize("name", CONFIGS)
def test_the_kernel_grows_the_trees_that_plain_python_grows(name, illegal):
    config, world = CONFIGS[name], make_world("MultiNeed", size=3, num_objects=2, drift=0.4, wrong_cost=0.3)
    plain, rng = Rules(world, illegal=illegal), np.random.default_rng(0)
    rows = world.begin(np.arange(6), np.zeros(6, np.int64))

    def evaluator(new):
        keys = [tuple(int(cell) for cell in row) for row in new.rows]
        logits = np.array([plain.logits(key) for key in keys])
        return logits, np.array([plain.value(key, use_rewards=True) for key in keys])

    noise = rng.gumbel(size=(6, 4)) if config.rule == "gumbel" else rng.dirichlet(np.ones(4), size=6)
    found = search(world, rows, evaluator, config=config, noise=noise)
    outcomes, logits = Asked(plain.outcomes), Asked(plain.logits)
    values = Asked(lambda state: plain.value(state, use_rewards=config.use_rewards))
    model = Search(
        outcomes, logits, values, rule=config.rule, discount=world.discount, c_visit=config.c_visit,
        c_scale=config.c_scale, considered=config.max_considered, c_init=config.c_init, c_base=config.c_base,
        q_range=config.q_range, ended=plain.ended, use_rewards=config.use_rewards,
    )  # fmt: skip
    for index in range(6):
        state = tuple(int(cell) for cell in rows[index])
        at_root = None
        if config.rule == "puct":
            at_root = noised(plain.logits(state), noise[index], config.noise_share)
        root, action = model.run(state, 60, noise[index].tolist(), root_logits=at_root)
        assert_same_tree(found, index, root)
        assert found.actions[index] == action
    assert found.tree.terminated.any() and (found.tree.num_outcomes > 1).any()
    assert np.isneginf(found.tree.prior_logits).any() == (illegal > 0)


@pytest.mark.parametrize("rule", ["gumbel", "puct"])
def test_outcomes_without_probability_may_stand_anywhere_in_a_table(rule):
    """A gamble at even odds with an impossible outcome before, between or after the two is the same gamble."""
    config, found = SearchConfig(num_simulations=64, rule=rule), []
    for order in ([0, 1, 2], [2, 0, 1], [0, 2, 1]):
        odds, pay = np.array([0.5, 0.5, 0.0]), np.array([0.0, 1.0, 5.0])
        mdp = table(
            [[[-1] * 3] * 2], [[odds[order].tolist(), [1.0, 0.0, 0.0]]], [[pay[order].tolist(), [0.6, 0.0, 0.0]]]
        )
        found.append(search_table(SearchTable(mdp), np.zeros(1, np.int64), config=config))
    for one in found:
        assert (one.tree.visits == found[0].tree.visits).all()
        assert one.tree.q[0, 0] == pytest.approx([0.5, 0.6])
        assert one.actions[0] == 1 and (one.tree.outcome_visits[one.tree.probability == 0] == 0).all()
