"""Search: its rules against a plain-Python witness, its decisions against exact optima, what it must leave alone."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
from search_model import Search, halving
from test_every_world import SMALL

from agents.search import SearchConfig, SearchTable, TableEvaluator, search, search_table
from agents.search.batched import rules_of, tree_loops
from agents.search.evaluators import Legal
from agents.search.halving import considered_visits
from agents.search.reading import edges_of, tree_text
from agents.search.tree import Tree
from envs import GridVectorEnv, make_world
from envs.enumeration import TabularMDP, enumerate_world
from envs.errors import NonFiniteError, UserError
from envs.tabular import policy_evaluation, value_iteration

GOLDEN = Path(__file__).parent / "golden"


def table(next_state, probability, reward, *, discount=1.0):
    """A finite world from nested lists [S, A, O]."""
    next_state = np.array(next_state, np.int32)
    num_states = len(next_state)
    return TabularMDP(
        rows=np.arange(num_states, dtype=np.int16)[:, None], start_state=np.zeros(1, np.int64),
        start_probability=np.ones(1), next_state=next_state, probability=np.array(probability, np.float64),
        components=np.array(reward, np.float64)[..., None], event=np.full(next_state.shape, -1, np.int16),
        discount=discount, reward_weights=np.ones(1),
    )  # fmt: skip


def gamble(safe):
    """One choice: 0 or 1 at even odds, or `safe` for certain."""
    return table([[[-1, -1], [-1, -1]]], [[[0.5, 0.5], [1.0, 0.0]]], [[[0.0, 1.0], [safe, 0.0]]])


def random_world(rng, *, num_states=12, num_actions=3, num_outcomes=2):
    shape = (num_states, num_actions, num_outcomes)
    probability = rng.dirichlet(np.ones(num_outcomes), size=shape[:2])
    probability[rng.random(shape[:2]) < 0.3] = np.eye(num_outcomes)[0]
    next_state = np.where(rng.random(shape) < 0.2, -1, rng.integers(0, num_states, shape))
    return table(next_state, probability, rng.normal(size=shape).round(3), discount=0.9)


def listed(mdp):
    """The same world as lists of (probability, reward, next state or None)."""
    reward = mdp.components @ mdp.reward_weights

    def after(state):
        return state if state >= 0 else None

    return [
        [
            [
                (float(mdp.probability[s, a, o]), float(reward[s, a, o]), after(int(mdp.next_state[s, a, o])))
                for o in range(mdp.next_state.shape[2])
                if mdp.probability[s, a, o] > 0
            ]
            for a in range(mdp.num_actions)
        ]
        for s in range(mdp.num_states)
    ]  # fmt: skip


@pytest.mark.parametrize("rule", ["gumbel", "puct"])
@pytest.mark.parametrize("q_range", [None, 0.5, 20.0])
@pytest.mark.parametrize("seed", range(6))
def test_every_visit_is_the_one_that_plain_python_makes(rule, q_range, seed):
    rng = np.random.default_rng(seed)
    mdp = random_world(rng, num_outcomes=1 + seed % 3)
    logits, values = rng.normal(size=(12, 3)), rng.normal(size=12)
    logits[rng.random((12, 3)) < 0.1] = -np.inf
    logits[np.isneginf(logits).all(axis=1)] = 0.0
    noise = rng.gumbel(size=(12, 3))
    config = SearchConfig(num_simulations=40, rule=rule, max_considered=2 + seed % 2, q_range=q_range)
    found = search_table(
        SearchTable(mdp, logits=logits, values=values),
        np.arange(12),
        config=config,
        noise=noise if rule == "gumbel" else None,
    )
    model = Search(
        listed(mdp), logits.tolist(), values.tolist(), rule=rule, discount=0.9, considered=2 + seed % 2, q_range=q_range
    )
    for s in range(12):
        root, action = model.run(s, 40, noise[s].tolist())
        assert found.tree.visits[s, 0].tolist() == root.count
        assert found.tree.q[s, 0] == pytest.approx(root.q, abs=1e-9)
        assert found.values[s] == pytest.approx(root.value, abs=1e-9)
        assert found.actions[s] == action
        deeper = {edge.action: edge for edge in edges_of(found, s) if edge.depth == 0 and not edge.terminated}
        for a, edge in deeper.items():
            child = root.children[a][edge.outcome]
            assert found.tree.visits[s, edge.child].tolist() == child.count


@pytest.mark.parametrize("rule", ["gumbel", "puct"])
def test_a_unit_of_reward_changes_nothing_where_the_range_is_told_in_it(rule):
    """All numbers eightfold, exactly; with a range of returns that stays as it was, Q-values would weigh more."""
    mdp = random_world(np.random.default_rng(6))
    larger = dataclasses.replace(mdp, components=8.0 * mdp.components)

    def visits(world, q_range):
        config = SearchConfig(num_simulations=60, rule=rule, q_range=q_range)
        return search_table(SearchTable(world), np.arange(12), config=config).tree.visits[:, 0]

    for one, eight in ((3.0, 24.0), (None, None)):
        assert (visits(mdp, one) == visits(larger, eight)).all()
    assert (visits(mdp, 3.0) != visits(larger, 3.0)).any()


@pytest.mark.parametrize("num_actions", [1, 2, 3, 4, 7, 16])
@pytest.mark.parametrize("num_simulations", [1, 2, 5, 16, 50, 200])
def test_sequential_halving_follows_its_definition(num_actions, num_simulations):
    column = considered_visits(16, num_simulations)[:, num_actions]
    assert column.tolist() == halving(num_actions, num_simulations)


def test_sequential_halving_of_four_actions_with_sixteen_simulations():
    """Two visits for all four, then four more for the better two."""
    assert considered_visits(4, 16)[:, 4].tolist() == [0] * 4 + [1] * 4 + [2, 2, 3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize("rule", ["gumbel", "puct"])
@pytest.mark.parametrize(("safe", "best"), [(0.6, 1), (0.4, 0)])
def test_a_gamble_is_weighed_by_its_probabilities(rule, safe, best):
    found = search_table(
        SearchTable(gamble(safe)), np.zeros(1, np.int64), config=SearchConfig(num_simulations=64, rule=rule)
    )
    assert found.actions[0] == best
    assert found.tree.q[0, 0] == pytest.approx([0.5, safe])


def within(mdp, solution, num_steps):
    """The states from which an optimal plan is over after so many steps."""
    best = np.eye(mdp.num_actions)[solution.action_values.argmax(axis=1)]
    return np.flatnonzero(np.abs(policy_evaluation(mdp, best, horizon=num_steps) - solution.values) < 1e-9)


NEAR = {"DecorrelatedMaze": 5, "DiamondGhost": 2, "TwoDoors": 4}
"""Where what pays best lies farther off, neither rule finds it with 20,000 simulations: V = 0 guides nothing."""
SIMPLER = {
    "MultiNeed": {"size": 2, "num_objects": 2, "drift": 0.3}, "Triad": {"T": 2, "d": 1, "starts": "uniform"},
    "Village": {**SMALL["Village"], "horizon": 2},
}  # fmt: skip
"""With needs that go on, or many steps that all pay, trees have to be far deeper to tell."""


@pytest.mark.parametrize("rule", ["gumbel", "puct"])
@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in NEAR else n for n in SMALL])
def test_enough_simulations_find_an_optimal_action(name, rule):
    """Uniform prior and V = 0: all that a search knows is the world. Settings that trust Q late explore enough."""
    mdp = enumerate_world(make_world(name, **SIMPLER.get(name, SMALL[name])), [0, 1])
    solution = value_iteration(mdp)
    states = np.linspace(0, mdp.num_states - 1, 40).astype(np.int64)
    states = within(mdp, solution, NEAR[name]) if name in NEAR else np.unique(states)
    patient = {"c_scale": 0.001} if rule == "gumbel" else {"c_init": 5.0}
    num_simulations = 20_000 if name in NEAR else 5000
    found = search_table(
        SearchTable(mdp), states, config=SearchConfig(num_simulations=num_simulations, rule=rule, **patient)
    )
    q = solution.action_values[states]
    assert len(states) > 5 and (q.max(axis=1) - q.min(axis=1)).max() > 0.01
    assert (q.max(axis=1) - q[np.arange(len(states)), found.actions]).max() < 1e-9


def cliff():
    """Five cells in a row, the last one pays 1 and the first one costs 1; the fast step slips back at odds of 0.4."""
    cells = range(1, 4)
    ends = {0: (-1, -1.0), 4: (-1, 1.0)}
    step = [[ends.get(x + 1, (x + 1, 0.0)), ends.get(x - 1, (x - 1, 0.0))] for x in cells]
    stay = [[(x, -0.05), (x, -0.05)] for x in cells]
    back = [[ends.get(x - 1, (x - 1, 0.0)), ends.get(x - 1, (x - 1, 0.0))] for x in cells]
    table_of = [
        [[o[0] - 1 if o[0] >= 0 else -1 for o in action] for action in rows]
        for rows in zip(step, stay, back, strict=True)
    ]
    reward = [[[o[1] for o in action] for action in rows] for rows in zip(step, stay, back, strict=True)]
    return table(table_of, [[[0.6, 0.4], [1.0, 0.0], [1.0, 0.0]]] * 3, reward, discount=0.9)


@pytest.mark.parametrize("rule", ["gumbel", "puct"])
def test_enough_simulations_master_a_slippery_row(rule):
    mdp = cliff()
    solution = value_iteration(mdp)
    assert solution.values == pytest.approx(value_iteration(mdp, tolerance=1e-12).values)
    assert solution.optimal_actions.sum() == 3
    found = search_table(SearchTable(mdp), np.arange(3), config=SearchConfig(num_simulations=5000, rule=rule))
    assert (found.actions == solution.action_values.argmax(axis=1)).all()


QUICK_TO_COMPILE = ("CrossedHistory", "FruitTask", "MultiNeed")


@pytest.mark.parametrize(
    "name", [n if n in QUICK_TO_COMPILE else pytest.param(n, marks=pytest.mark.slow) for n in SMALL]
)
def test_the_kernel_and_the_table_grow_the_same_trees(name):
    """Two expansions of one world, the second from tables that the first wrote: not one byte apart."""
    world = make_world(name, **SMALL[name])
    mdp = enumerate_world(world, [0])
    rng = np.random.default_rng(0)
    logits, values = rng.normal(size=(mdp.num_states, mdp.num_actions)), rng.normal(size=mdp.num_states)
    states = rng.integers(0, mdp.num_states, 5)
    noise = rng.gumbel(size=(5, mdp.num_actions))
    config = SearchConfig(num_simulations=24)
    evaluator = TableEvaluator(mdp, logits=logits, values=values)
    rows = mdp.rows[states]
    before = rows.copy()
    ours = search(world, rows, evaluator, config=config, noise=noise)
    theirs = search_table(SearchTable(mdp, logits=logits, values=values), states, config=config, noise=noise)
    assert (rows == before).all()
    for mine, other in zip(ours.tree, theirs.tree, strict=True):
        assert all(np.allclose(mine[part], other[part], atol=1e-12) for part in mine.dtype.names or (...,))
    assert (ours.actions == theirs.actions).all()
    alive = ~ours.tree.terminated & (np.arange(25) < ours.tree.num_nodes[:, None])
    assert (ours.rows[alive] == theirs.rows[alive]).all()


def test_trees_do_not_see_each_other():
    rng = np.random.default_rng(1)
    mdp = random_world(rng)
    logits, values = rng.normal(size=(12, 3)), rng.normal(size=12)
    noise, config = rng.gumbel(size=(12, 3)), SearchConfig(num_simulations=30)
    together = search_table(SearchTable(mdp, logits=logits, values=values), np.arange(12), config=config, noise=noise)
    for s in range(12):
        alone = search_table(
            SearchTable(mdp, logits=logits, values=values), np.array([s]), config=config, noise=noise[s : s + 1]
        )
        for mine, other in zip(alone.tree, together.tree, strict=True):
            assert (mine[0] == other[s]).all()
        assert alone.actions[0] == together.actions[s]


def test_outcomes_are_visited_in_proportion_to_their_probabilities():
    rng = np.random.default_rng(2)
    mdp = random_world(rng, num_outcomes=4)
    tree = search_table(SearchTable(mdp), np.arange(12), config=SearchConfig(num_simulations=200)).tree
    expected = tree.probability * tree.visits[..., None]
    assert np.abs(tree.outcome_visits - expected).max() < 1.0
    assert (tree.outcome_visits.sum(axis=3) == tree.visits).all()


def test_q_and_v_are_what_their_equations_say():
    rng = np.random.default_rng(3)
    tree = search_table(
        SearchTable(random_world(rng), values=rng.normal(size=12)),
        np.arange(12),
        config=SearchConfig(num_simulations=100),
    ).tree
    child_values = np.take_along_axis(
        tree.value[:, :, None, None], tree.child.reshape(12, -1, 1, 1).astype(int), axis=1
    )
    returns = tree.reward + 0.9 * child_values.reshape(tree.child.shape)
    weight = tree.probability * (tree.outcome_visits > 0)
    visited = tree.visits > 0
    q = (weight * returns).sum(axis=3)[visited] / weight.sum(axis=3)[visited]
    assert tree.q[visited] == pytest.approx(q, abs=1e-12)
    v = (tree.raw_value + (tree.visits * tree.q).sum(axis=2)) / (1 + tree.visits.sum(axis=2))
    assert tree.value == pytest.approx(v, abs=1e-12)


@pytest.mark.parametrize("name", ["CrossedHistory", "DiamondGhost", "MultiNeed", "TwoDoors"])
@pytest.mark.parametrize("num_visits", [1, 50])
def test_the_improved_policy_is_no_worse_than_the_prior_where_q_is_exact(name, num_visits):
    """Danihelka et al., section 4: in each state V of softmax(logits + σ(Q)) ≥ V of the prior, Q being the prior's."""
    world = make_world(name, **SMALL[name])
    mdp = enumerate_world(world, [0, 1])
    logits = np.random.default_rng(0).normal(scale=2.0, size=(mdp.num_states, mdp.num_actions))
    prior = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    before = policy_evaluation(mdp, prior)
    reward = (mdp.components @ mdp.reward_weights) + mdp.discount * np.where(
        mdp.next_state >= 0, before[mdp.next_state], 0
    )
    exact = (mdp.probability * reward).sum(axis=2)
    tree = Tree.empty(mdp.num_states, 2, num_actions=mdp.num_actions, num_outcomes=1)
    tree.prior_logits[:, 0], tree.prior_probs[:, 0], tree.q[:, 0] = logits, prior, exact
    tree.raw_value[:, 0], tree.visits[:, 0], tree.nodes["visits"][:, 0] = before, num_visits, 4 * num_visits
    improved, actions = np.zeros(logits.shape), np.zeros(mdp.num_states, np.int64)
    numbers = rules_of(SearchConfig(num_simulations=4 * num_visits), mdp.discount)
    tree_loops()["decide_all"](tree, numbers, np.zeros(logits.shape), np.zeros(mdp.num_actions), (actions, improved))
    after = policy_evaluation(mdp, improved)
    assert (after - before).min() > -1e-9
    assert (after - before).max() > 0.1
    opposite = prior**2 / improved
    worse = policy_evaluation(mdp, opposite / opposite.sum(axis=1, keepdims=True))
    assert (worse - before).min() < -0.01, "the control: against Q the policy gets worse"


def test_an_illegal_action_is_never_taken():
    rng = np.random.default_rng(4)
    world = make_world("MultiNeed", size=3)
    mdp = enumerate_world(world, [0])

    def legal(rows):
        return np.stack([(rows[:, 0] + a) % 4 != 0 for a in range(4)], axis=1)

    evaluator = Legal(TableEvaluator(mdp, values=rng.normal(size=mdp.num_states)), legal)
    for rule in ("gumbel", "puct"):
        found = search(world, mdp.rows, evaluator, config=SearchConfig(num_simulations=30, rule=rule))
        used = found.tree.visits > 0
        allowed = legal(found.rows.reshape(-1, world.row_size)).reshape(used.shape)
        assert used.any() and not (used & ~allowed).any()
        assert legal(mdp.rows)[np.arange(mdp.num_states), found.actions].all()
        assert (found.policy[~legal(mdp.rows)] == 0).all()


def test_one_simulation_takes_the_best_of_prior_and_noise():
    """With n = 1 Gumbel's rule is a sample of the prior itself, so that its frequencies are the prior's."""
    mdp = gamble(0.6)
    logits = np.log(np.array([[0.3, 0.7]]))
    noise = np.random.default_rng(5).gumbel(size=(20_000, 2))
    found = search_table(
        SearchTable(mdp, logits=logits), np.zeros(20_000, np.int64), config=SearchConfig(num_simulations=1), noise=noise
    )
    assert (found.actions == (logits + noise).argmax(axis=1)).all()
    assert found.actions.mean() == pytest.approx(0.7, abs=0.02)


def test_a_world_with_too_many_outcomes_is_refused():
    world = make_world("MultiNeed", size=3, drift=0.3, num_objects=6)
    assert world.max_outcomes > 16
    with pytest.raises(UserError, match="outcomes of one action"):
        search(world, world.begin([0], [0]), lambda new: (np.zeros((1, 4)), np.zeros(1)), config=SearchConfig())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_leaf_that_is_not_finite_stops_the_search(bad):
    world = make_world("CrossedHistory", size=3)

    def evaluator(new):
        values = np.zeros(len(new.rows))
        values[-1] = bad
        return np.zeros((len(new.rows), 4)), values

    with pytest.raises(NonFiniteError, match="search"):
        search(world, world.begin([0, 1], [0, 0]), evaluator, config=SearchConfig())


def test_a_search_leaves_the_env_as_it_is():
    env = GridVectorEnv(make_world("MultiNeed", size=3, drift=0.2, num_objects=2), 6)
    twin = GridVectorEnv(env.world, 6)
    for one in (env, twin):
        one.reset(seed=3)
    mdp = enumerate_world(env.world, np.unique(env.get_state().level))
    state = env.get_state()
    found = search(env.world, state.rows, TableEvaluator(mdp), config=SearchConfig(num_simulations=16))
    assert all((getattr(state, part) == getattr(twin.get_state(), part)).all() for part in vars(state))
    ours, theirs = env.step(found.actions), twin.step(found.actions)
    assert (ours[0]["planes"] == theirs[0]["planes"]).all()


def test_a_tree_reads_as_it_did():
    """A golden tree: a world with chance, a prior and values that differ, three rules of reading it."""
    world = make_world("MultiNeed", size=3, drift=0.5, num_objects=1)
    mdp = enumerate_world(world, [0])
    values = value_iteration(mdp).values.round(3)
    logits = np.log(np.tile([0.4, 0.3, 0.2, 0.1], (mdp.num_states, 1)))
    texts = []
    for rule in ("gumbel", "puct"):
        found = search(
            world, world.begin([0], [0]), TableEvaluator(mdp, logits=logits, values=values),
            config=SearchConfig(num_simulations=12, rule=rule),
        )  # fmt: skip
        texts.append(f"{rule}\n{tree_text(found, action_names=world.action_names)}\n")
    path = GOLDEN / "search_trees.txt"
    if os.environ.get("VALUELAB_WRITE_GOLDEN"):
        path.write_text("\n".join(texts))
    assert path.read_text() == "\n".join(texts)
