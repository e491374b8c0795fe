"""Settings of a search: frozen and checked when made. Nothing here imports torch or numba."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from agents.fields import check_fields, refuse, settings_from_dict

SearchRule = Literal["gumbel", "puct"]
_NAME = re.compile(r"search-([1-9][0-9]{0,5})((?:,\w+=[^,=]+)*)")


@dataclass(frozen=True)
class SearchRules:
    """By which rules a search looks ahead.

    Attributes:
        rule: ``gumbel`` (sequential halving at the root, completed Q-values below) or ``puct``.
        max_considered: most actions that sequential halving starts with (gumbel only).
        c_visit: of σ, how far Q-values move the prior before there are visits (gumbel only).
        c_scale: of σ, how far Q-values move the prior (gumbel only).
        c_init: weight of the prior against Q-values (puct only).
        c_base: visits after which that weight grows (puct only).
        q_range: what differences of Q-values are divided by, such as the greatest return minus the least; None for the
            spread of those at each node.
        use_rewards: the tree adds the world's own rewards and knows where it ends; without them a node is worth what V
            says of it and nothing else, also one that has ended.
        rollout_share: λ of a leaf's value (1 − λ)·v + λ·z, z being the outcome of a rollout.
        rollout_limit: most steps of such a rollout, which counts nothing after them.
    """

    rule: SearchRule = "gumbel"
    max_considered: int = 16
    c_visit: float = 50.0
    c_scale: float = 0.1
    c_init: float = 1.25
    c_base: float = 19652.0
    q_range: float | None = None
    use_rewards: bool = True
    rollout_share: float = 0.0
    rollout_limit: int = 64

    def __post_init__(self) -> None:
        """Refuse wrong types and ranges."""
        bounds = {
            "max_considered": (1, 10**4), "rollout_limit": (1, 10**6), "c_visit": (0.0, 1e9), "c_scale": (0.0, 1e9),
            "c_init": (0.0, 1e9), "c_base": (1.0, 1e12), "q_range": (1e-9, 1e12), "rollout_share": (0.0, 1.0),
        }  # fmt: skip
        check_fields(self, bounds)
        if self.rollout_share > 0.0 and not self.use_rewards:
            refuse(self, "rollout_share", allowed="0 where use_rewards is False, since rollouts add up true rewards")


@dataclass(frozen=True)
class SearchConfig(SearchRules):
    """How much and by which rules a search looks ahead.

    Attributes:
        num_simulations: n, leaves that are evaluated below each root.
        noise_share: share of the noise that is mixed into the root's prior where a search is given any (puct only).
        noise_alpha: of the Dirichlet noise that samples use (puct only); small numbers favour single actions.
    """

    num_simulations: int = 32
    noise_share: float = 0.25
    noise_alpha: float = 1.0

    def __post_init__(self) -> None:
        """Refuse wrong types and ranges."""
        super().__post_init__()
        check_fields(
            self, {"num_simulations": (1, 10**6), "noise_share": (0.0, 1.0), "noise_alpha": (1e-3, 1e3)}
        )  # fmt: skip

    @property
    def actor_name(self) -> str:
        """The actor that searches so: "search-16", or "search-16,rule=puct,rollout_share=0.5"."""
        parts = [f"search-{self.num_simulations}"]
        for field in dataclasses.fields(SearchConfig):
            value = getattr(self, field.name)
            if value != field.default and field.name != "num_simulations":
                parts.append(f"{field.name}={value if isinstance(value, str) else json.dumps(value)}")
        return ",".join(parts)

    @classmethod
    def named(cls, name: str) -> SearchConfig | None:
        """How the actor of this name searches; None where the name is of another form.

        Raises:
            UserError: an unknown setting, or a wrong value.
        """
        found = _NAME.fullmatch(name)
        given = dict(part.split("=") for part in found[2].split(",") if part) if found else {}
        if found is None or "num_simulations" in given:
            return None
        return settings_from_dict(
            cls, {"num_simulations": int(found[1])} | {name: _read(text) for name, text in given.items()}
        )


def _read(text: str) -> Any:
    """A number or a flag as JSON has it, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


@dataclass(frozen=True)
class ImproveConfig(SearchConfig):
    """Self-improvement: D∘E learns what a search makes of it, V∘E what the search's play earns.

    Attributes:
        num_steps: environment steps in all.
        num_envs: environments stepped together.
        rollout_length: steps of each environment between two updates.
        num_epochs: passes over each rollout.
        batch_size: steps in a minibatch.
        learning_rate: Adam's at the start.
        anneal: the learning rate falls linearly to 0.
        discount: γ; None takes the world's own.
        trace_lambda: λ of V's targets; 1 for the outcomes of the games, as in AlphaGo Zero.
        value_weight: weight of V's loss beside the policy's cross-entropy.
        max_grad_norm: the gradient's 2-norm is clipped here.
        train_encoder: False leaves D's and V's E as they are.
    """

    num_simulations: int = 8
    num_steps: int = 50_000
    num_envs: int = 64
    rollout_length: int = 32
    num_epochs: int = 4
    batch_size: int = 512
    learning_rate: float = 1e-3
    anneal: bool = True
    discount: float | None = None
    trace_lambda: float = 0.95
    value_weight: float = 1.0
    max_grad_norm: float = 1.0
    train_encoder: bool = True

    def __post_init__(self) -> None:
        """Refuse wrong types and ranges."""
        super().__post_init__()
        bounds = {
            "num_steps": (0, 10**12), "num_envs": (1, 10**6), "rollout_length": (1, 10**6), "num_epochs": (1, 10**4),
            "batch_size": (1, 10**7), "learning_rate": (0.0, 10.0), "discount": (0.0, 1.0),
            "trace_lambda": (0.0, 1.0), "value_weight": (0.0, 1e3), "max_grad_norm": (1e-9, 1e9),
        }  # fmt: skip
        check_fields(self, bounds)
