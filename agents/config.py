"""Settings of an agent and of a training run, as frozen dataclasses that refuse wrong values when made.

Nothing here imports torch or numba. Names of encoders and heads are registry keys, checked in ``build_agent``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from agents.fields import check_fields, refuse
from agents.search_config import ImproveConfig
from agents.stage_config import ImitationConfig, ReinforceConfig, ValueConfig

__all__ = [
    "AgentConfig",
    "ImitationConfig",
    "ImproveConfig",
    "MixerName",
    "ReinforceConfig",
    "RouteEncoder",
    "Stage",
    "TrainConfig",
    "ValueConfig",
    "ValueEncoder",
]

ValueEncoder = Literal["scratch", "imitated", "shared"]
RouteEncoder = Literal["routed", "global", "stopped"]
MixerName = Literal["softmax", "sum", "max", "sigmoid", "top-k", "auction"]
Stage = Literal["imitate", "reinforce", "value", "search"]


@dataclass(frozen=True)
class AgentConfig:
    """What an agent is made of.

    Attributes:
        encoder: registry key of E: ``mlp``, ``conv`` or ``gru``.
        encoder_sizes: widths of E's dense layers; the last one is the number of features (``gru``: of its input).
        conv_channels: channels of the 3×3 convolutions of ``conv``.
        memory_size: width of the memory of ``gru``, which is also its number of features.
        head: registry key of V.
        hidden_size: hidden width of a MONO head; other heads solve for the width with the same parameter count.
        head_layers: hidden layers of each part of V.
        num_parts: K, for heads that leave it open; None takes the number of events, else of contexts, else 4.
        num_contexts: contexts that oracle heads are told (0: none).
        num_events: kinds of reinforcement events that routed heads are told (0: none).
        component_weights: weights of the reward components that HRA has a part for each of, the world's own
            (`World.reward_weights`); components of weight 0 are no reward and get no part.
        route_gate: routed heads also route the gate's gradient.
        route_encoder: what reaches E from routed heads: ``routed``, ``global`` or ``stopped`` (`shards.credit`).
        mixer: how MOE and ROUTE make weights of gate and part values: ``softmax``, ``sum``, ``max``, ``sigmoid``,
            ``top-k`` or ``auction`` (`shards.mixers`).
        num_active: parts that may decide at once under ``top-k``.
        reflection: parts also read what the other parts say (`shards.ensemble`); heads of several networks alone.
        gate_leak: ε in [0, 1] of POS, whose gate is (1 − ε)·one-hot + ε/K.
        bootstrap_share: share of the episodes that each part of NEG-2 learns from, drawn for each part.
        value_encoder: V's E: ``scratch`` (own, started as D's), ``imitated`` (D's, a frozen copy) or ``shared`` (D's).
    """

    encoder: str = "mlp"
    encoder_sizes: tuple[int, ...] = (64, 64)
    conv_channels: tuple[int, ...] = (16, 32)
    memory_size: int = 64
    head: str = "MONO"
    hidden_size: int = 192
    head_layers: int = 1
    num_parts: int | None = None
    num_contexts: int = 0
    num_events: int = 0
    component_weights: tuple[float, ...] = ()
    route_gate: bool = False
    route_encoder: RouteEncoder = "routed"
    mixer: MixerName = "softmax"
    num_active: int = 2
    reflection: bool = False
    gate_leak: float = 0.0
    bootstrap_share: float = 0.5
    value_encoder: ValueEncoder = "scratch"

    def __post_init__(self) -> None:
        """Refuse wrong types and ranges."""
        bounds = {
            "memory_size": (1, 4096), "hidden_size": (1, 65536), "head_layers": (1, 64), "num_parts": (1, 1024),
            "encoder_sizes": (1, 65536), "conv_channels": (1, 4096), "num_contexts": (0, 4096),
            "num_events": (0, 4096), "component_weights": (-1e9, 1e9), "num_active": (1, 1024), "gate_leak": (0.0, 1.0),
            "bootstrap_share": (1e-9, 1.0),
        }  # fmt: skip
        check_fields(self, bounds)
        if not self.encoder_sizes:
            refuse(self, "encoder_sizes", allowed="at least one width, such as (64, 64)")


@dataclass(frozen=True)
class TrainConfig:
    """One training run: the agent, the stages in AlphaGo's order, and what surrounds them.

    Attributes:
        agent: what is trained.
        imitation, reinforce, value, search: settings of the stages.
        stages: which stages run, at least one, each once and in the order imitate, reinforce, value, search.
        seed: the one seed from which all streams derive.
        num_demonstrations: episodes to imitate.
        demonstrations: ``auto`` (exact expert for our worlds, search elsewhere; none, and imitation is left out, where
            neither is to be had), ``expert``, ``search``, or a file's path.
        demonstration_noise: share of uniform actions in an exact expert's, which shows D states off its path; imitated
            is what the expert would have done there.
        demonstration_temperature: of a soft expert, in units of return: action a with probability ∝ exp(Q*(s, a)/T).
        demonstration_shares: shares of the episodes by an exact, a noisy and a soft expert, three numbers that sum to
            1; () is one expert, who has the noise and the temperature both.
        num_evaluation_episodes: episodes per reported return.
        checkpoint_every: gradient steps of a stage between two checkpoints from which it can go on.
        keep_history: whether the agents at the marks of stage value are kept (`agents.history`), eleven in all.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    agent: AgentConfig = field(default_factory=AgentConfig)
    imitation: ImitationConfig = field(default_factory=ImitationConfig)
    reinforce: ReinforceConfig = field(default_factory=ReinforceConfig)
    value: ValueConfig = field(default_factory=ValueConfig)
    search: ImproveConfig = field(default_factory=ImproveConfig)
    stages: tuple[Stage, ...] = ("imitate", "reinforce", "value")
    seed: int = 0
    num_demonstrations: int = 500
    demonstrations: str = "auto"
    demonstration_noise: float = 0.0
    demonstration_temperature: float = 0.0
    demonstration_shares: tuple[float, ...] = ()
    num_evaluation_episodes: int = 256
    checkpoint_every: int = 2000
    keep_history: bool = True
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        """Refuse wrong types and ranges."""
        counts = dict.fromkeys(("num_demonstrations", "num_evaluation_episodes", "checkpoint_every"), (1, 10**9))
        units = dict.fromkeys(("demonstration_noise", "demonstration_shares"), (0.0, 1.0))
        check_fields(self, {"seed": (0, 2**63 - 1), "demonstration_temperature": (0.0, 1e9), **units, **counts})
        ordered = tuple(stage for stage in get_args(Stage) if stage in self.stages)
        if not ordered or self.stages != ordered:
            refuse(self, "stages", allowed=f"one or more of {', '.join(get_args(Stage))}, each once and in this order")
        self._check_shares()

    def _check_shares(self) -> None:
        """Refuse shares that are not three which sum to 1, or of an expert who would be the exact one."""
        shares = self.demonstration_shares
        if shares and (len(shares) != 3 or abs(sum(shares) - 1.0) > 1e-6):
            refuse(self, "demonstration_shares", allowed="three numbers that sum to 1 (exact, noisy and soft expert)")
        for name, share in zip(("demonstration_noise", "demonstration_temperature"), shares[1:], strict=False):
            if share > 0.0 and getattr(self, name) == 0.0:
                refuse(self, name, allowed=f"above 0 where demonstration_shares gives {share:g} of the episodes to it")
