"""Settings of the training stages: imitation, reinforcement and value, as frozen dataclasses.

Nothing here imports torch or numba. Settings that another one makes idle say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agents.fields import check_fields, refuse

Objective = Literal["clipped", "reinforce"]
ValueTarget = Literal["monte_carlo", "td_lambda"]


@dataclass(frozen=True)
class ImitationConfig:
    """Imitation of recorded actions by D∘E.

    Attributes:
        num_updates: gradient steps.
        batch_size: steps of demonstrations in a minibatch.
        learning_rate: Adam's at the start.
        anneal: the learning rate falls linearly to 0.
        max_grad_norm: the gradient's 2-norm is clipped here.
        validation_share: share of episodes held out for the reported accuracy.
        sequence_length: steps of an episode in one sample (encoders with memory only).
        train_encoder: False leaves E as it is.
        prediction_weight: weight of the error in predicting the next observation from E's features and the action
            (`agents.prediction`); 0 predicts nothing.
    """

    num_updates: int = 2000
    batch_size: int = 256
    learning_rate: float = 3e-3
    anneal: bool = True
    max_grad_norm: float = 1.0
    validation_share: float = 0.1
    sequence_length: int = 32
    train_encoder: bool = True
    prediction_weight: float = 0.0

    def __post_init__(self) -> None:
        """Refuse wrong types and ranges, and a prediction that nothing learns from."""
        bounds = {
            "num_updates": (0, 10**9), "batch_size": (1, 10**7), "sequence_length": (1, 10**6),
            "learning_rate": (0.0, 10.0), "max_grad_norm": (1e-9, 1e9), "validation_share": (0.0, 0.9),
            "prediction_weight": (0.0, 1e6),
        }  # fmt: skip
        check_fields(self, bounds)
        if self.prediction_weight > 0.0 and not self.train_encoder:
            refuse(self, "prediction_weight", allowed="0 where train_encoder is False, since it is E that learns by it")


@dataclass(frozen=True)
class ReinforceConfig:
    """Policy gradient, `agents.learner.reinforce`.

    Attributes:
        objective: ``clipped`` (Schulman et al. 2017, arXiv 1707.06347) with λ-returns, or ``reinforce`` (Williams
            1992), AlphaGo's: one step a rollout on outcomes less the baseline. The latter reads none of num_epochs,
            batch_size, trace_lambda (λ is 1) and clip; AlphaGo's has entropy_weight 0 and normalize_advantage False.
        num_steps: environment steps in all.
        num_envs: environments stepped together.
        rollout_length: steps of each environment between two updates.
        num_epochs: passes over each rollout.
        batch_size: steps in a minibatch.
        learning_rate: Adam's at the start.
        anneal: the learning rate falls linearly to 0.
        discount: γ; None takes the world's own, or 0.99 where there is none.
        trace_lambda: λ of the advantage.
        clip: ε, the allowed change of the probability ratio.
        entropy_weight: weight of the entropy bonus.
        baseline_weight: weight of the baseline's squared error.
        max_grad_norm: the gradient's 2-norm is clipped here.
        normalize_advantage: advantages get mean 0 and deviation 1 in each minibatch.
        share_value: V itself is the baseline; otherwise D has a baseline head of its own.
        train_encoder: False leaves E as it is.
        fast_kernels: on the CPU, the first layer adds up the inputs that differ from a base row, where few do, and
            one kernel makes the policy loss; dense agents with a baseline of their own also draw actions in one pass
            and get gradients that are written out: the same up to rounding, sooner (`agents.active_inputs`,
            `agents.policy_terms`, `agents.sampling`, `agents.dense_update`).
    """

    objective: Objective = "clipped"
    num_steps: int = 200_000
    num_envs: int = 32
    rollout_length: int = 64
    num_epochs: int = 4
    batch_size: int = 512
    learning_rate: float = 1e-3
    anneal: bool = True
    discount: float | None = None
    trace_lambda: float = 0.95
    clip: float = 0.2
    entropy_weight: float = 0.01
    baseline_weight: float = 0.5
    max_grad_norm: float = 0.5
    normalize_advantage: bool = True
    share_value: bool = False
    train_encoder: bool = True
    fast_kernels: bool = True

    def __post_init__(self) -> None:
        """Refuse wrong types and ranges."""
        bounds = {
            "num_steps": (0, 10**12), "num_envs": (1, 10**6), "rollout_length": (1, 10**6), "num_epochs": (1, 10**4),
            "batch_size": (1, 10**7), "learning_rate": (0.0, 10.0), "discount": (0.0, 1.0),
            "trace_lambda": (0.0, 1.0), "clip": (1e-6, 10.0), "entropy_weight": (0.0, 1e3),
            "baseline_weight": (0.0, 1e3), "max_grad_norm": (1e-9, 1e9),
        }  # fmt: skip
        check_fields(self, bounds)


@dataclass(frozen=True)
class ValueConfig:
    """Regression of V∘E on outcomes, online or from recorded episodes.

    Attributes:
        target: ``monte_carlo`` outcomes (λ = 1) or ``td_lambda`` returns.
        trace_lambda: λ of ``td_lambda``.
        num_updates: gradient steps.
        batch_size: steps in a minibatch.
        learning_rate: Adam's at the start.
        anneal: the learning rate falls linearly to 0.
        discount: γ; None takes the data's own.
        max_grad_norm: the gradient's 2-norm is clipped here.
        refresh_every: gradient steps between two computations of targets that bootstrap (all of ``td_lambda``, and
            under ``monte_carlo`` those of episodes that a time limit cut).
        num_episodes: episodes to play (online only).
        uniform_share: share of uniformly random actions mixed into D (online only).
        sequence_length: steps of an episode in one sample (encoders with memory only).
        train_encoder: False leaves V's E as it is; an ``imitated`` E never trains.
        one_per_episode: V learns from one step of each episode, drawn once, as AlphaGo's value network did against
            overfitting (Silver et al. 2016, Methods); otherwise from all steps.
        fast_kernels: on the CPU, E's first layer adds up the inputs that differ from a base row, where few do, the
            gradient of dense layers is written out, and Adam steps in one loop: the same up to rounding, sooner
            (`agents.active_inputs`, `agents.dense_value`, `agents.adam_kernels`).
    """

    target: ValueTarget = "monte_carlo"
    trace_lambda: float = 0.95
    num_updates: int = 4000
    batch_size: int = 512
    learning_rate: float = 1e-3
    anneal: bool = True
    discount: float | None = None
    max_grad_norm: float = 1.0
    refresh_every: int = 100
    num_episodes: int = 4000
    uniform_share: float = 0.05
    sequence_length: int = 32
    train_encoder: bool = True
    one_per_episode: bool = False
    fast_kernels: bool = True

    def __post_init__(self) -> None:
        """Refuse wrong types and ranges."""
        bounds = {
            "num_updates": (0, 10**9), "batch_size": (1, 10**7), "refresh_every": (1, 10**9),
            "num_episodes": (1, 10**9), "sequence_length": (1, 10**6), "learning_rate": (0.0, 10.0),
            "discount": (0.0, 1.0), "trace_lambda": (0.0, 1.0), "max_grad_norm": (1e-9, 1e9),
            "uniform_share": (0.0, 1.0),
        }  # fmt: skip
        check_fields(self, bounds)
