"""Value heads: how V is put together and how credit reaches its parts. Needs torch and nothing else."""

from __future__ import annotations

from shards.controls import BootstrapCredit, FlatCredit
from shards.credit import ComponentCredit, GlobalCredit, RoutedCredit
from shards.head_spec import HeadSpec
from shards.matching import ParameterMatch, match_parameters, multiply_adds, num_parameters
from shards.mixers import MIXERS
from shards.registry import HEADS, HeadEntry, build_head, head_entry
from shards.value_head import ValueEstimate, ValueHead, ValueTargets

__all__ = [
    "HEADS",
    "MIXERS",
    "BootstrapCredit",
    "ComponentCredit",
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
    "match_parameters",
    "multiply_adds",
    "num_parameters",
]
