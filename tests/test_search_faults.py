"""What a search must refuse, and trees that are deeper or stranger than usual."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_search import gamble, table
from test_search_agents import ENV_ID, agent_for

from agents.environments import make_vector, open_stream
from agents.search import SearchConfig, SearchTable, search, search_table
from agents.search.actor import SearchActor
from agents.search.reading import edges_of, tree_text
from envs import make_world
from envs.errors import NonFiniteError, UserError

FEW = SearchConfig(num_simulations=4)


def flat(new):
    """Knows nothing."""
    return np.zeros((len(new.rows), 4)), np.zeros(len(new.rows))


def test_a_tree_as_deep_as_its_simulations_is_read():
    """One state, one action, which leads back: 3000 simulations hang 3000 nodes below each other."""
    loop = table([[[0]]], [[[1.0]]], [[[0.1]]], discount=0.9)
    found = search_table(SearchTable(loop), np.zeros(1, np.int64), config=SearchConfig(num_simulations=3000))
    edges = list(edges_of(found))
    assert [edge.depth for edge in edges] == list(range(3000)) and edges[-1].child == 3000
    assert tree_text(found, action_names=("go",), max_depth=2).count("\n") == 2
    assert [edge.depth for edge in edges_of(found, node=2990)] == list(range(10))


def test_edges_come_depth_first_and_the_most_visited_action_first():
    found = search_table(SearchTable(gamble(0.6)), np.zeros(1, np.int64), config=SearchConfig(num_simulations=9))
    seen = [(edge.depth, edge.action, edge.outcome) for edge in edges_of(found)]
    most = int(found.tree.visits[0, 0].argmax())
    assert most == 1 and seen == [(0, 1, 0), (0, 0, 0), (0, 0, 1)]


@pytest.mark.parametrize("shapes", [((2, 3), (2,)), ((2, 4), (1,)), ((1, 4), (2,)), ((2, 4), (2, 1))])
def test_estimates_of_another_shape_are_refused(shapes):
    world = make_world("MultiNeed", size=3)
    with pytest.raises(UserError, match=r"they must be \(2, 4\) and \(2,\)"):
        search(world, world.begin([0, 1], [0, 0]), lambda new: tuple(np.zeros(s) for s in shapes), config=FEW)


def test_estimates_that_change_their_shape_below_the_roots_are_refused():
    world, calls = make_world("MultiNeed", size=3), []

    def evaluator(new):
        calls.append(1)
        return np.zeros((len(new.rows), 4 if len(calls) < 3 else 5)), np.zeros(len(new.rows))

    with pytest.raises(UserError, match="shape"):
        search(world, world.begin([0, 1], [0, 0]), evaluator, config=FEW)
    assert len(calls) == 3


@pytest.mark.parametrize("rule", ["gumbel", "puct"])
@pytest.mark.parametrize("noise", [np.zeros((1, 4)), np.zeros((2, 3)), np.full((2, 4), np.nan)])
def test_noise_that_does_not_fit_is_refused(rule, noise):
    world = make_world("MultiNeed", size=3)
    config = SearchConfig(num_simulations=4, rule=rule)
    with pytest.raises(UserError, match="Noise has shape"):
        search(world, world.begin([0, 1], [0, 0]), flat, config=config, noise=noise)


@pytest.mark.parametrize(
    ("logits", "values"),
    [
        (np.zeros((1, 3)), np.zeros(1)), (np.zeros((2, 2)), np.zeros(1)), (np.zeros((1, 2)), np.zeros(2)),
        (np.full((1, 2), -np.inf), np.zeros(1)), (np.array([[0.0, np.nan]]), np.zeros(1)),
        (np.array([[0.0, np.inf]]), np.zeros(1)), (np.zeros((1, 2)), np.array([np.nan])),
    ],
)  # fmt: skip
def test_tables_that_do_not_fit_are_refused_when_they_are_laid_out(logits, values):
    with pytest.raises(UserError, match="[Tt]ables"):
        SearchTable(gamble(0.6), logits=logits, values=values)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rule", ["gumbel", "puct"])
def test_a_reward_that_is_not_finite_is_named_with_its_tree(rule, bad):
    """State 0 leads to state 1 without pay, and state 1 pays what is no number."""
    mdp = table([[[1]], [[-1]], [[-1]]], [[[1.0]]] * 3, [[[0.0]], [[bad]], [[1.0]]])
    config = SearchConfig(num_simulations=3, rule=rule)
    for states, blamed in (([2, 1], 1), ([2, 2, 0], 2)):
        with pytest.raises(NonFiniteError, match=f"search reward or value is not finite, env {blamed}"):
            search_table(SearchTable(mdp), np.array(states), config=config)
    assert search_table(SearchTable(mdp), np.array([2]), config=config).values[0] == 0.75


def test_an_actor_names_the_env_and_the_step_of_a_number_that_is_none():
    """Envs 0 and 1 wait, so that env 2 is the first tree."""
    world = make_world(ENV_ID)
    agent = agent_for(world)
    stream = open_stream(make_vector(ENV_ID, 4), agent.spec, seed=0, name="x")
    actor, needed = SearchActor(agent, world, FEW, seed=0), np.array([False, False, True, True])
    stream.step(actor.act(stream, needed)[0])
    with torch.no_grad():
        next(agent.value_head.parameters()).fill_(np.nan)
    with pytest.raises(NonFiniteError, match="env 2, step 1"):
        actor.act(stream, needed)


def test_more_considered_actions_than_there_are_change_nothing():
    rng = np.random.default_rng(0)
    noise, config = rng.gumbel(size=(1, 2)), SearchConfig(num_simulations=30, max_considered=10_000)
    many, few = (
        search_table(SearchTable(gamble(0.6)), np.zeros(1, np.int64), config=one, noise=noise)
        for one in (config, SearchConfig(num_simulations=30, max_considered=2))
    )
    assert (many.tree.visits == few.tree.visits).all()
