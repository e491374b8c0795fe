"""What V learns from: rewards and ends of recorded episodes, the λ-returns that they give, and shares of the events.

Shape key: n steps, E episodes (events, in event shares).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from agents.agent import AlphaAgent
from agents.config import ValueConfig
from agents.returns import Flags, Floats, event_shares, lambda_returns
from envs.episodes import Episodes
from shards.registry import head_entry


@dataclass(frozen=True)
class Outcomes:
    """What V learns from, apart from the inputs.

    Attributes:
        rewards: float64[n].
        ends: bool[n], last step of an episode.
        terminated: bool[n], the world ended the episode here.
        discount: γ.
        trace: λ of the returns.
        shares: float32[n, E], shares of the events, or None.
    """

    rewards: Floats
    ends: Flags
    terminated: Flags
    discount: float
    trace: float
    shares: Tensor | None

    def totals(self, values: Floats, final_values: Floats) -> Floats:
        """λ-returns float64[n].

        Args:
            values: float64[n], V at every step.
            final_values: float64[E], V after the last step of every episode.
        """
        successors = np.append(values[1:], 0.0)
        successors[self.ends] = final_values
        discount_t = np.where(self.terminated, 0.0, self.discount)
        follows = (~self.ends).astype(np.float64)
        return lambda_returns(self.rewards, successors, discount_t=discount_t, continuation_t=follows, trace=self.trace)

    @cached_property
    def cut(self) -> Flags:
        """bool[E], episodes that a time limit cut; their last targets bootstrap under any trace."""
        cut: Flags = ~self.terminated[self.ends]
        return cut

    @property
    def bootstraps(self) -> bool:
        """Whether any target depends on V."""
        return self.trace < 1.0 or bool(self.cut.any())


def outcomes_of(
    agent: AlphaAgent, data: Episodes, config: ValueConfig, *, withheld: Flags | None = None
) -> Outcomes:
    """Read rewards, ends and, for a head that needs them, event shares off episodes (arguments of `fit_values`)."""
    discount = data.discount if config.discount is None else config.discount
    trace = 1.0 if config.target == "monte_carlo" else config.trace_lambda
    ends = np.zeros(data.num_steps, bool)
    ends[data.offsets[1:] - 1] = True
    terminated = ends.copy()
    terminated[data.offsets[1:] - 1] = data.terminated
    shares = None
    if "event_share" in head_entry(agent.config.head).needs:
        exact = event_shares(
            data.rewards, data.events, continuation_t=(~ends).astype(np.float64), num_events=agent.config.num_events,
            decay=discount * trace, withheld_t=withheld,
        )
        shares = torch.from_numpy(exact).to(agent.device, torch.float32)
    return Outcomes(data.rewards, ends, terminated, discount=discount, trace=trace, shares=shares)
