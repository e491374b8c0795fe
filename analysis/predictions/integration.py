"""T10, search as integrator: does looking ahead take away what V got wrong in T6 (T10a) and T4 (T10b)?

Shapes: N rows, B roots, A actions.

The choice is read as in T6 (the first step, where only those towards B and C are allowed) and T4 (the object that is
met first), from n = 0, which is V1, to 64 simulations. A choice is right where it is what the true reward asks for: B,
or the cheese.
    score = share of right choices at n = 64 - share at n = 0,   true reward in the tree, uniform prior.
Beside it: V alone in the tree (a node is worth what V says, also where the episode has ended), where nothing can tell
the search that V errs; and D's prior with the true reward, which is the whole agent.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from agents.agent import AlphaAgent
from agents.search import NewNodes, SearchConfig, search
from analysis.predictions.lookahead import ValueFunction, action_values
from analysis.predictions.parts import Floats, Ints
from analysis.predictions.prediction import Prediction
from envs.rows import World
from envs.states import Rows

SIMULATIONS = (0, 1, 2, 4, 8, 16, 32, 64)

PREDICTION = Prediction(
    key="T10a",
    question="Does search take B, worth more than C, where V1 takes C?",
    world="ValueLab/TwoDoors-v0",
    actor="V1 and search(n), n = 1 to 64",
    metric="share of choices of B before C of search-64 minus V1's, with the true reward in the tree and a uniform "
    "prior",
    margin=0.1,
    family="exploratory",
    positive="WRONG: a planted V that wants the wrong object alone, and little (its share is 0 without search)",
    null="RIGHT: a planted V that is V* of the right object: nothing to repair",
    rule="estimate with a 95 % interval over seeds; read only if WRONG - RIGHT has a lower 90 % bound above the margin "
    "and RIGHT lies inside it. One simulation tries the prior's best "
    "action alone and says little of V",
    does_not_show="that search integrates shards: with the true reward in its tree it repairs any V, as far as it sees",
)
GOAL_PREDICTION = dataclasses.replace(
    PREDICTION,
    key="T10b",
    question="Does search go to the cheese where V1 goes to the dish?",
    world="ValueLab/DishMaze-9x9-Apart-v0",
    metric="share of walks that meet the cheese before the dish of search-64 minus V1's, with the true reward in the "
    "tree and a uniform prior, from starts at most four steps away",
)


@dataclass(frozen=True)
class Manner:
    """How a search looks ahead: with the true reward or V alone, with D's prior or a uniform one."""

    use_rewards: bool
    use_prior: bool


MANNERS = MappingProxyType(
    {"reward": Manner(True, False), "V alone": Manner(False, False), "D as prior": Manner(True, True)}
)


@dataclass(frozen=True)
class Mind:
    """An evaluator for searches: any V, and D's logits or none.

    Attributes:
        world: Gives the observations.
        value: Rows int16[N, S] -> float[N].
        player: D, or None for a uniform prior.
        allowed: bool[B, A], what may be done at the roots; None allows everything.
    """

    world: World
    value: ValueFunction
    player: AlphaAgent | None
    allowed: NDArray[np.bool_] | None = None

    def __call__(self, new: NewNodes) -> tuple[Floats, Floats]:
        """Prior logits float64[N, A] and values float64[N] of new nodes."""
        if self.player is None:
            logits = np.zeros((len(new.rows), self.world.num_actions))
        else:
            logits = self.player.policy_logits(self.world.observe(new.rows)).detach().double().cpu().numpy()
        if self.allowed is not None and new.parents[0] < 0:
            logits = np.where(self.allowed, logits, -np.inf)
        return logits, np.asarray(self.value(new.rows), np.float64)


def act(mind: Mind, rows: Rows, manner: Manner, *, num_simulations: int) -> Ints:
    """What V1 (n = 0) or a search without noise does, int64[B].

    Args:
        mind: V, prior, and what is allowed.
        rows: int16[B, S].
        manner: What is in the tree.
        num_simulations: n.
    """
    if num_simulations:
        config = SearchConfig(num_simulations=num_simulations, use_rewards=manner.use_rewards)
        return np.asarray(search(mind.world, rows, mind, config=config).actions)
    scores = action_values(mind.world, rows, mind.value) if manner.use_rewards else _values_ahead(mind, rows)
    return np.asarray((scores if mind.allowed is None else np.where(mind.allowed, scores, -np.inf)).argmax(axis=1))


def _values_ahead(mind: Mind, rows: Rows) -> Floats:
    """V of the state after each action, also of one that has ended."""
    ahead = mind.world.expand(rows).next_rows[:, :, 0]
    return np.asarray(mind.value(ahead.reshape(-1, ahead.shape[-1])).reshape(ahead.shape[:2]))
