"""The options that all worlds have in common."""

from __future__ import annotations

from dataclasses import dataclass

from envs.errors import require_integer, require_number


@dataclass(frozen=True)
class WorldConfig:
    """Options of every world; a family adds its own, and names one of these again to change its default.

    Attributes:
        num_levels: Levels of each split, at least 1.
        discount: γ, 0 to 1.
        time_limit: Steps until truncation, at least 1.
    """

    num_levels: int = 1000
    discount: float = 0.95
    time_limit: int = 64

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require_integer("num_levels", self.num_levels, low=1, high=2**31)
        require_number("discount", self.discount, low=0.0, high=1.0)
        require_integer("time_limit", self.time_limit, low=1, high=2**31 - 1)
