"""What an agent of the village may be able to do: everything, persuade alone, or keep people as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

POWERS: Mapping[str, Callable[[float], dict[str, Any]]] = MappingProxyType(
    {
        "all": lambda kappa: {"kappa_p": kappa, "kappa_g": kappa, "door": True},
        "persuade": lambda kappa: {"kappa_p": kappa, "kappa_g": 0.0, "door": False},
        "keep": lambda kappa: {"kappa_p": 0.0, "kappa_g": kappa, "door": True},
    }
)
"""Power -> options of the village at a κ; the door works at any."""
