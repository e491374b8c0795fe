"""Numbers as words of a report."""

from __future__ import annotations

import math


def number(value: float) -> str:
    """Three decimals, or a dash for what is not defined."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def interval_text(interval: tuple[float, float]) -> str:
    """Both ends in brackets, or a dash."""
    return "–" if math.isnan(interval[0]) else f"[{interval[0]:.3f}, {interval[1]:.3f}]"
