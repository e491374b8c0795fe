"""Heads by name, their sizes, and errors that give the cure."""

from __future__ import annotations

import pytest
import torch

from shards.credit import RoutedCredit
from shards.matching import match_hidden_size, match_parameters, multiply_adds, num_parameters
from shards.registry import HEADS, HeadSpec, build_head

COUNTS = {"num_contexts": 4, "num_events": 4}


def build(name: str, *, hidden_size: int, num_features: int = 64, num_layers: int = 1) -> torch.nn.Module:
    num_parts = 4 if name == "MOE" else None
    return build_head(
        name,
        num_features=num_features,
        hidden_size=hidden_size,
        num_parts=num_parts,
        num_layers=num_layers,
        **COUNTS,
    )


def test_heads() -> None:
    assert list(HEADS) == ["MONO", "MOE", "ROUTE", "POS", "NEG-F"]
    assert {name for name, entry in HEADS.items() if entry.sb3_allowed} == {"MONO", "MOE"}
    assert {name: set(entry.needs) for name, entry in HEADS.items() if entry.needs} == {
        "ROUTE": {"event_share"},
        "POS": {"context"},
        "NEG-F": {"context"},
    }


def test_parts_that_a_head_implies() -> None:
    for name, expected in {"MONO": 1, "NEG-F": 1, "ROUTE": 3, "POS": 2}.items():
        for num_parts in (None, expected):
            head = build_head(name, num_features=4, hidden_size=3, num_parts=num_parts, num_contexts=2, num_events=3)
            assert head.num_parts == expected


@pytest.mark.parametrize(
    ("name", "counts", "message"),
    [
        ("MOE", {}, "MOE was given no num_parts"),
        ("MOE", {"num_parts": 0}, "num_parts is 0, but must be at least 1"),
        ("MONO", {"num_parts": 2}, "num_parts is 2, but MONO has 1"),
        ("NEG-F", {"num_contexts": 2, "num_parts": 2}, "num_parts is 2, but NEG-F has 1"),
        ("NEG-F", {}, "num_contexts is 0, but NEG-F flattens over contexts"),
        ("ROUTE", {}, "num_events is 0, but ROUTE has one part for each"),
        ("ROUTE", {"num_events": 3, "num_parts": 2}, r"num_parts is 2, but ROUTE has 3 \(num_events\)"),
        ("POS", {"num_events": 3}, "num_contexts is 0, but POS has one part for each"),
        ("POS", {"num_contexts": 3, "num_parts": 2}, r"num_parts is 2, but POS has 3 \(num_contexts\)"),
        ("MONO", {"num_contexts": -1}, "num_contexts is -1, but must be at least 0"),
        ("MONO", {"num_layers": 0}, "num_layers is 0, but must be at least 1"),
        ("MONO", {"routing": RoutedCredit()}, "MONO has global credit, but routing was given"),
        ("mono", {}, "no value head 'mono'; the heads are MONO, MOE, .* Did you mean 'MONO'?"),
        ("ROUT", {}, "Did you mean 'ROUTE'?"),
        ("xyz", {}, "no value head 'xyz'; the heads are [^?]*$"),
    ],
)
def test_refused(name: str, counts: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_head(name, num_features=4, hidden_size=3, **counts)


def test_routing_is_kept() -> None:
    routing = RoutedCredit(gate_routed=True, encoder="stopped")
    head = build_head("ROUTE", num_features=4, hidden_size=3, num_events=2, routing=routing)
    assert head.credit_rule == routing
    assert build_head("ROUTE", num_features=4, hidden_size=3, num_events=2).credit_rule == RoutedCredit()


def test_sizes_by_hand() -> None:
    """D = 64, H = 10, K = 4: a part has 64·10 + 10 + 10; the gate 4·64 + 4; the bias 1, but none in POS."""
    assert num_parameters(build("MONO", hidden_size=10)) == 661
    assert num_parameters(build("MOE", hidden_size=10)) == num_parameters(build("ROUTE", hidden_size=10)) == 2901
    assert num_parameters(build("POS", hidden_size=10)) == 2640
    assert num_parameters(build("MONO", hidden_size=10, num_layers=2)) == 661 + 110
    assert multiply_adds(build("MONO", hidden_size=10)) == 650 + 1
    assert multiply_adds(build("MOE", hidden_size=10)) == 4 * 650 + 256 + 4
    assert multiply_adds(build("POS", hidden_size=10, num_layers=2)) == 4 * 750 + 4


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("hidden_size", [128, 200, 256])
@pytest.mark.parametrize("name", HEADS)
def test_matched_within_two_percent(name: str, hidden_size: int, num_layers: int) -> None:
    sizes = {"num_features": 64, "hidden_size": hidden_size, "num_parts": 4, "num_layers": num_layers, **COUNTS}
    width = match_hidden_size(name, **sizes)
    mono = num_parameters(build("MONO", hidden_size=hidden_size, num_layers=num_layers))
    widths = (width - 1, width, width + 1)
    own = {near: num_parameters(build(name, hidden_size=near, num_layers=num_layers)) for near in widths}
    assert abs(own[width] / mono - 1) <= 0.02
    assert min(own, key=lambda near: abs(own[near] - mono)) == width
    match = match_parameters(name, HeadSpec(**sizes))
    assert (match.hidden_size, match.num_parameters, match.like_parameters) == (width, own[width], mono)


def test_matched_to_itself() -> None:
    assert match_hidden_size("MONO", num_features=9, hidden_size=1) == 1
    assert match_hidden_size("MOE", like="MOE", num_features=9, hidden_size=17, num_parts=3) == 17
    assert match_hidden_size("MOE", like="ROUTE", num_features=9, hidden_size=17, num_parts=3, num_events=3) == 17


def test_unmatchable_names_a_width_that_can_be_matched() -> None:
    with pytest.raises(ValueError, match="at most 2 % is allowed") as error:
        match_hidden_size("POS", num_features=64, hidden_size=17, num_contexts=8)
    width = int(str(error.value).split("hidden_size ")[1].split(",")[0])
    matched = match_hidden_size("POS", num_features=64, hidden_size=width, num_contexts=8)
    assert 8 * matched == pytest.approx(width, abs=1)


def test_match_of_a_head_too_large_at_width_one() -> None:
    with pytest.raises(ValueError, match="MOE of width 1 has"):
        match_hidden_size("MOE", num_features=64, hidden_size=2, num_parts=8)
