"""Size of a head, and widths at which two heads have the same number of parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from shards.head_spec import HeadSpec
from shards.registry import head_entry
from shards.value_head import ValueHead

TOLERANCE = 0.02


@dataclass(frozen=True)
class ParameterMatch:
    """Two heads of about the same size.

    Attributes:
        name: the head whose width was solved for.
        hidden_size: the width, units of each hidden layer of each part.
        num_parameters: its trained parameters, gate included.
        like: the head that it was matched to.
        like_parameters: the trained parameters of that one.
    """

    name: str
    hidden_size: int
    num_parameters: int
    like: str
    like_parameters: int

    @property
    def relative_difference(self) -> float:
        """num_parameters / like_parameters − 1."""
        return self.num_parameters / self.like_parameters - 1.0


def num_parameters(head: ValueHead) -> int:
    """Return the number of trained parameters, gate and bias included."""
    return sum(parameter.numel() for parameter in head.parameters() if parameter.requires_grad)


def multiply_adds(head: ValueHead) -> int:
    """Return the multiply-adds of one state's value: every weight once, and the weighted sum over parts.

    All parts are run for every state, also under one-hot weights. Bias additions and the softmax are not counted.
    Reflection runs all layers but the first one twice.
    """
    sizes = {name: parameter.numel() for name, parameter in head.named_parameters() if "weight" in name}
    again = ("parts.deeper_weight", "parts.output_weight") if "parts.others_weight" in sizes else ()
    return sum(size * (1 + name.startswith(again)) for name, size in sizes.items()) + head.num_parts


def match_parameters(name: str, spec: HeadSpec, *, like: str = "MONO") -> ParameterMatch:
    """Solve for the width of a head at which its size is nearest to another's, and report both sizes.

    Widths are whole numbers and all parts have the same, so that sizes come in steps of about K (D + 2).

    Args:
        name: the head to be sized.
        spec: of the head, but `hidden_size` is the width of the head `like`.
        like: the head to be matched, with the spec's sizes and those of its options that it has.

    Raises:
        ValueError: no width comes within 2 %; the message names widths of `like` that can be matched. As `build_head`.
    """
    match = _nearest(name, spec, like)
    if abs(match.relative_difference) > TOLERANCE:
        widths = _matchable(spec.hidden_size, lambda width: _nearest(name, replace(spec, hidden_size=width), like))
        raise ValueError(
            f"{name} of width {match.hidden_size} has {match.num_parameters} parameters and {like} of width "
            f"{spec.hidden_size} has {match.like_parameters}, {100 * match.relative_difference:+.1f} %, but at most "
            f"2 % is allowed and no width comes nearer; give {like} the hidden_size {widths}"
        )
    return match


def _nearest(name: str, spec: HeadSpec, like: str) -> ParameterMatch:
    goal = _size(like, head_entry(like).trim(spec))
    low, high = 1, 2
    while _size(name, replace(spec, hidden_size=high)) < goal:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        below = _size(name, replace(spec, hidden_size=middle)) < goal
        low, high = (middle, high) if below else (low, middle)
    sizes = {width: _size(name, replace(spec, hidden_size=width)) for width in (low, high)}
    best = min(sizes, key=lambda width: abs(sizes[width] - goal))
    return ParameterMatch(name, best, sizes[best], like, goal)


def _matchable(hidden_size: int, nearest: Callable[[int], ParameterMatch]) -> str:
    around = sorted(range(max(1, hidden_size // 2), 4 * hidden_size), key=lambda width: abs(width - hidden_size))
    fits = (width for width in around if abs(nearest(width).relative_difference) <= TOLERANCE)
    first = next(fits, None)
    return f"{first}, for instance" if first is not None else "a much larger one"


def _size(name: str, spec: HeadSpec) -> int:
    entry = head_entry(name)
    return num_parameters(entry.build(entry.resolve(name, spec)))
