"""What V learns from: rewards and ends of recorded episodes, the λ-returns that they give, and what heads ask beside.

Shape key: n steps, E episodes (events, in event shares), C reward components of weight other than 0, K parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from agents.agent import AlphaAgent
from agents.config import AgentConfig, ValueConfig
from agents.returns import Flags, Floats, event_shares, lambda_returns
from agents.seeding import numpy_generator
from envs.episodes import Episodes
from envs.errors import UserError
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
        components: float64[n, C], what the rewards consist of, or None.
        bootstrap_mask: bool[n, K], the parts that learn from each step, or None.
    """

    rewards: Floats
    ends: Flags
    terminated: Flags
    discount: float
    trace: float
    shares: Tensor | None = None
    components: Floats | None = None
    bootstrap_mask: Tensor | None = None

    def totals(self, values: Floats, final_values: Floats) -> Floats:
        """λ-returns float64[n].

        Args:
            values: float64[n], V at every step.
            final_values: float64[E], V after the last step of every episode.
        """
        return self._returns(self.rewards, values, final_values)

    def component_totals(self, part_values: Floats, final_part_values: Floats) -> Floats:
        """λ-returns float64[n, C] of each component, each bootstrapping from the part that learns it.

        Args:
            part_values: float64[n, C], at every step.
            final_part_values: float64[E, C], after the last step of every episode.
        """
        assert self.components is not None
        return self._returns(self.components, part_values, final_part_values)

    def _returns(self, rewards: Floats, values: Floats, final_values: Floats) -> Floats:
        successors = np.concatenate([values[1:], np.zeros_like(values[:1])])
        successors[self.ends] = final_values
        discount_t = np.where(self.terminated, 0.0, self.discount)
        follows = (~self.ends).astype(np.float64)
        if rewards.ndim > 1:
            discount_t, follows = discount_t[:, None], follows[:, None]
        return lambda_returns(rewards, successors, discount_t=discount_t, continuation_t=follows, trace=self.trace)

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
    agent: AlphaAgent, data: Episodes, config: ValueConfig, *, withheld: Flags | None = None, seed: int = 0
) -> Outcomes:
    """Read off episodes what the agent's head learns from: rewards and ends, and what else it needs.

    Args:
        agent: its head, and where it lives.
        data: the episodes.
        config: target, trace and discount are read.
        withheld: bool[n], steps whose event label is withheld.
        seed: of what is drawn: the episodes that each part of NEG-2 learns from.

    Raises:
        UserError: the head needs reward components that were not recorded, or that do not add up to the rewards.
    """
    discount = data.discount if config.discount is None else config.discount
    trace = 1.0 if config.target == "monte_carlo" else config.trace_lambda
    ends = np.zeros(data.num_steps, bool)
    ends[data.offsets[1:] - 1] = True
    terminated = ends.copy()
    terminated[data.offsets[1:] - 1] = data.terminated
    needs, shares, mask = head_entry(agent.config.head).needs, None, None
    if "event_share" in needs:
        exact = event_shares(
            data.rewards, data.events, continuation_t=(~ends).astype(np.float64), num_events=agent.config.num_events,
            decay=discount * trace, withheld_t=withheld,
        )
        shares = torch.from_numpy(exact).to(agent.device, torch.float32)
    if "bootstrap_mask" in needs:
        drawn = bootstrap_mask(agent, data.num_episodes, seed=seed)
        mask = torch.from_numpy(drawn.repeat(np.diff(data.offsets), axis=0)).to(agent.device)
    components = paid_components(agent.config, data.components, data.rewards) if "components" in needs else None
    return Outcomes(
        data.rewards, ends, terminated, discount=discount, trace=trace, shares=shares, components=components,
        bootstrap_mask=mask,
    )  # fmt: skip


def bootstrap_mask(agent: AlphaAgent, num_rows: int, *, seed: int) -> Flags:
    """bool[num_rows, K], the parts that learn from each episode (or env): each with `bootstrap_share`'s probability.

    Whole episodes are drawn, since the steps of one are no independent samples. The first rows are the same whatever
    their number.
    """
    rng = numpy_generator(seed, "value", "bootstrap")
    mask: Flags = rng.random((num_rows, agent.value_head.num_parts)) < agent.config.bootstrap_share
    return mask


def paid_components(config: AgentConfig, components: Floats | None, rewards: Floats) -> Floats:
    """The components float64[..., C] whose weight is not 0, with Σ_c weight_c · component_c = reward.

    Raises:
        UserError: there are none, or the weights of the settings do not give the rewards.
    """
    if components is None:
        raise UserError(f"{config.head} has a part for each reward component, but the rewards came without any.")
    weights = np.array(config.component_weights)
    if components.shape[-1] != len(weights):
        raise UserError(f"component_weights are {weights.tolist()}, but there are {components.shape[-1]} components.")
    if not np.allclose(components @ weights, rewards):
        raise UserError(
            f"component_weights are {weights.tolist()}, but by them the components are not the rewards; take the "
            "world's reward_weights."
        )
    return np.asarray(components[..., weights != 0.0], np.float64)


def paid_weights(config: AgentConfig) -> Floats:
    """The weights float64[C] of the same components."""
    return np.array([weight for weight in config.component_weights if weight != 0.0])
