"""Value heads: how V is put together and how credit reaches its parts. Needs torch and nothing else."""

from __future__ import annotations

from shards.credit import FlatCredit, GlobalCredit, RoutedCredit
from shards.matching import ParameterMatch, match_hidden_size, match_parameters, multiply_adds, num_parameters
from shards.registry import HEADS, HeadEntry, HeadSpec, build_head, head_entry
from shards.value_head import ValueEstimate, ValueHead, ValueTargets

__all__ = [
    "HEADS",
    "FlatCredit",
    "GlobalCredit",
    "HeadEntry",
    "HeadSpec",
    "ParameterMatch",
    "RoutedCredit",
    "ValueEstimate",
    "ValueHead",
    "ValueTargets",
    "build_head",
    "head_entry",
    "match_hidden_size",
    "match_parameters",
    "multiply_adds",
    "num_parameters",
]
