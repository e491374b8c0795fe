"""A family of worlds: one config, one builder, and the variants of it that have an id of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from envs.rows import World

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """What a world's module offers to the registry.

    Attributes:
        config: Frozen dataclass of the options; its docstring says what each means, and it refuses bad values when
            made.
        build: The world of a config.
        variants: Suffix of an id -> options that differ from the defaults. "5x5" of the family "MultiNeed" makes the
            id "ValueLab/MultiNeed-5x5-v0". Sizes in names count the walls, as MiniGrid's do.
        dose: Options that set how much of what the family is about its levels have; two make a ratio, none is ().
    """

    config: type[Any]
    build: Callable[[Any], World]
    variants: Mapping[str, Options] = field(default_factory=lambda: MappingProxyType({}))
    dose: tuple[str, ...] = ()
