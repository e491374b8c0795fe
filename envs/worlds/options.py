"""The options that all worlds have in common, and options that are read under one value of another option alone."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from envs.errors import UserError, require_integer, require_number

_READER = "reader"


def read_with(option: str, value: str | bool, *, default: Any) -> Any:
    """A field of a config that is read only where another option has this value; the config calls `refuse_unread`."""
    return dataclasses.field(default=default, metadata={_READER: (option, value)})


def refuse_unread(config: Any) -> None:
    """Refuse an option that differs from its default where nothing reads it.

    Raises:
        UserError: Naming the option, its value, and the two ways out.
    """
    for field, option, value in _read_with_another(config):
        given, chosen = getattr(config, field.name), getattr(config, option)
        if chosen != value and given != field.default:
            raise UserError(
                f"{field.name} is {given!r}, which {option} {chosen!r} does not read; leave it at {field.default!r} or "
                f"choose {option} {value!r}."
            )


def in_layout(config: Any, layout: str) -> Any:
    """A world's config in another layout; options that it does not read go back to their defaults."""
    found = _read_with_another(config)
    unread = {field.name: field.default for field, option, value in found if option == "layout" and value != layout}
    return dataclasses.replace(config, layout=layout, **unread)


def whole_turns(num_levels: int, turn: int) -> int:
    """The next number of levels in which `turn` kinds of level, which take turns, are equally many."""
    return -(-num_levels // turn) * turn


def _read_with_another(config: Any) -> list[tuple[dataclasses.Field[Any], str, str | bool]]:
    """Fields that are read under one value of another option, with that option and value."""
    return [(field, *field.metadata[_READER]) for field in dataclasses.fields(config) if _READER in field.metadata]


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

    @classmethod
    def understood(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Options by the names of the fields, of options as people give them."""
        return options

    def pinned(self) -> dict[str, Any]:
        """Options that a run keeps beside its own, since what they name may change: the text of a file."""
        return {}
