"""What a search makes of a policy: a known answer, the limit where Q is exact, and values that mislead."""

from __future__ import annotations

import math

import numpy as np
import pytest
from test_every_world import SMALL
from test_search import gamble, table

from agents.search import SearchConfig
from agents.search.improvement import Improvement, improvement
from envs import make_world
from envs.enumeration import enumerate_world
from envs.tabular import value_iteration


def test_one_choice_by_hand():
    """Rewards 0 and 1, a uniform prior, each tried once: π' = softmax(0, (50 + 1)/10), so V rises from .5 to .994."""
    found = improvement(
        table([[[-1], [-1]]], [[[1.0], [1.0]]], [[[0.0], [1.0]]]), logits=np.zeros((1, 2)),
        config=SearchConfig(num_simulations=2),
    )  # fmt: skip
    assert found.before[0] == pytest.approx(0.5)
    assert found.after[0] == pytest.approx(1 / (1 + math.exp(-5.1)))
    assert found.share == 1.0 and found.mean_gain == found.worst == pytest.approx(0.4939, abs=1e-4)


def test_under_puct_shares_of_visits_are_evaluated():
    found = improvement(gamble(0.6), logits=np.zeros((1, 2)), config=SearchConfig(num_simulations=1, rule="puct"))
    assert found.before[0] == pytest.approx(0.55) and found.after[0] == pytest.approx(0.5)
    assert found.share == 0.0 and found.worst == found.mean_gain == pytest.approx(-0.05)


def test_what_is_equal_up_to_rounding_is_no_loss():
    assert Improvement(np.ones(2), np.array([1.0 - 1e-12, 0.9])).share == 0.5


@pytest.mark.parametrize("name", ["CrossedHistory", "MultiNeed", "TwoDoors"])
def test_trying_every_action_once_with_exact_leaves_is_a_step_of_policy_improvement(name):
    """With n = A no search looks further than one step, so that Q is the prior's own where a step has one outcome."""
    options = SMALL[name] | ({"drift": 0.0} if name == "MultiNeed" else {})
    mdp = enumerate_world(make_world(name, **options), [0, 1])
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2.0, size=(mdp.num_states, mdp.num_actions))
    config = SearchConfig(num_simulations=mdp.num_actions)
    found = improvement(mdp, logits=logits, config=config)
    assert found.share == 1.0 and found.worst > -1e-9 and found.mean_gain > 0.01
    assert (found.after <= value_iteration(mdp).values + 1e-9).all()
    # The control: leaves that are worth the opposite.
    misled = improvement(mdp, logits=logits, config=config, value_error=-2.0 * found.before)
    assert misled.share < 1.0 and misled.worst < -0.01
