"""Heads by name, their sizes, and errors that give the cure."""

from __future__ import annotations

import dataclasses

import pytest

from shards.credit import RoutedCredit
from shards.head_spec import HeadSpec
from shards.matching import match_parameters, multiply_adds, num_parameters
from shards.mixers import MIXERS
from shards.registry import HEADS, OPTIONS, build_head
from shards.value_head import ValueHead

OPTION_SETS = {
    "mixer": [{"mixer": mixer} for mixer in MIXERS],
    "reflection": [{"reflection": True}],
    "gate_leak": [{"gate_leak": 0.25}],
}
VARIANTS = [(name, {}) for name in HEADS]
VARIANTS += [(name, chosen) for name, entry in HEADS.items() for o in OPTION_SETS if o in entry.options
             for chosen in OPTION_SETS[o]]  # fmt: skip
VARIANTS += [("MOE", {"mixer": mixer, "reflection": True}) for mixer in MIXERS]


def spec_of(name: str, *, hidden_size: int, num_layers: int = 1, **options: object) -> HeadSpec:
    return HeadSpec(
        num_features=64, hidden_size=hidden_size, num_layers=num_layers, num_contexts=4, num_events=4,
        component_weights=(1.0, 1.0, -1.0, 0.5), num_parts=4 if HEADS[name].parts_from == "num_parts" else None,
        **options,
    )  # fmt: skip


def build(name: str, *, hidden_size: int, num_layers: int = 1, **options: object) -> ValueHead:
    return build_head(name, spec_of(name, hidden_size=hidden_size, num_layers=num_layers, **options))


def test_heads() -> None:
    assert list(HEADS) == ["MONO", "MONO-ROUTE", "ADD", "MOE", "ROUTE", "HRA", "POS", "NEG-F", "NEG-2"]
    assert {name for name, entry in HEADS.items() if entry.sb3_allowed} == {"MONO", "ADD", "MOE"}
    assert {name: set(entry.needs) for name, entry in HEADS.items() if entry.needs} == {
        "MONO-ROUTE": {"event_share"},
        "ROUTE": {"event_share"},
        "HRA": {"components"},
        "POS": {"context"},
        "NEG-F": {"context"},
        "NEG-2": {"bootstrap_mask"},
    }
    assert all(entry.options <= set(OPTIONS) for entry in HEADS.values())


def test_parts_that_a_head_implies() -> None:
    implied = {"MONO": 1, "NEG-F": 1, "MONO-ROUTE": 3, "ROUTE": 3, "HRA": 4, "POS": 2}
    for name, expected in implied.items():
        for num_parts in (None, expected):
            spec = HeadSpec(
                num_features=4, hidden_size=3, num_parts=num_parts, num_contexts=2, num_events=3,
                component_weights=(1.0,) * 4,
            )  # fmt: skip
            assert build_head(name, spec).num_parts == expected


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
        ("HRA", {}, "num_components is 0, but HRA has one part for each"),
        ("HRA", {"component_weights": (1.0, 0.0)}, r"component_weights are \(1.0, 0.0\); leave out"),
        ("MONO", {"routing": RoutedCredit()}, r"but MONO has no such option; .* \(MONO-ROUTE, ROUTE\)"),
        ("MONO", {"mixer": "max"}, r"mixer is 'max', but MONO has no such option; .* \(MOE, ROUTE\)"),
        ("POS", {"num_contexts": 2, "mixer": "max"}, "mixer is 'max', but POS has no such option"),
        ("NEG-F", {"num_contexts": 2, "reflection": True}, "reflection is True, but NEG-F has no such option"),
        ("MOE", {"num_parts": 2, "gate_leak": 0.1}, r"gate_leak is 0.1, but MOE has no such option; .* \(POS\)"),
        ("MOE", {"num_parts": 2, "mixer": "min"}, "no mixer 'min'; the mixers are softmax, sum"),
        ("MOE", {"num_parts": 3, "mixer": "top-k", "num_active": 4}, "num_active is 4, but top-k takes 2 to 3 of 3"),
        ("MOE", {"num_parts": 3, "mixer": "top-k", "num_active": 1}, "the mixer 'auction' is made for that"),
        ("mono", {}, "no value head 'mono'; the heads are MONO, MONO-ROUTE, .* Did you mean 'MONO'?"),
        ("ROUT", {}, "Did you mean 'ROUTE'?"),
        ("xyz", {}, "no value head 'xyz'; the heads are [^?]*$"),
    ],
)
def test_refused(name: str, counts: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_head(name, HeadSpec(num_features=4, hidden_size=3, **counts))


def test_routing_is_kept() -> None:
    spec = HeadSpec(num_features=4, hidden_size=3, num_events=2)
    for name in ("ROUTE", "MONO-ROUTE"):
        routing = RoutedCredit(gate_routed=name == "ROUTE", encoder="stopped")
        assert build_head(name, dataclasses.replace(spec, routing=routing)).credit_rule == routing
        assert build_head(name, spec).credit_rule == RoutedCredit()


def test_sizes_by_hand() -> None:
    """D = 64, H = 10, K = 4: a part has 64·10 + 10 + 10; the gate 4·64 + 4; the bias 1, but none in POS, HRA, NEG-2."""
    assert num_parameters(build("MONO", hidden_size=10)) == 661
    assert num_parameters(build("MONO-ROUTE", hidden_size=10)) == num_parameters(build("MONO", hidden_size=40)) == 2641
    assert num_parameters(build("MOE", hidden_size=10)) == num_parameters(build("ROUTE", hidden_size=10)) == 2901
    assert {num_parameters(build(name, hidden_size=10)) for name in ("POS", "HRA", "NEG-2")} == {2640}
    assert num_parameters(build("ADD", hidden_size=10)) == 2641
    assert num_parameters(build("MOE", hidden_size=10, mixer="max")) == 2641
    assert num_parameters(build("MOE", hidden_size=10, mixer="auction", reflection=True)) == 2901 + 4 * 10 * 3
    assert num_parameters(build("MONO", hidden_size=10, num_layers=2)) == 661 + 110
    assert multiply_adds(build("MONO", hidden_size=10)) == 650 + 1
    assert multiply_adds(build("MOE", hidden_size=10)) == 4 * 650 + 256 + 4
    assert multiply_adds(build("POS", hidden_size=10, num_layers=2)) == 4 * 750 + 4
    # The second pass: what is read of the others, and every layer but the first one anew.
    assert multiply_adds(build("POS", hidden_size=10, num_layers=2, reflection=True)) == 4 * (750 + 30 + 110) + 4


@pytest.mark.parametrize(("hidden_size", "num_layers"), [(128, 1), (200, 2), (256, 1)])
@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=str)
def test_matched_within_two_percent(name: str, options: dict, hidden_size: int, num_layers: int) -> None:
    match = match_parameters(name, spec_of(name, hidden_size=hidden_size, num_layers=num_layers, **options))
    width = match.hidden_size
    mono = num_parameters(build("MONO", hidden_size=hidden_size, num_layers=num_layers))
    widths = (width - 1, width, width + 1)
    own = {near: num_parameters(build(name, hidden_size=near, num_layers=num_layers, **options)) for near in widths}
    assert abs(own[width] / mono - 1) <= 0.02
    assert min(own, key=lambda near: abs(own[near] - mono)) == width
    assert (match.num_parameters, match.like_parameters) == (own[width], mono)


def test_matched_to_itself() -> None:
    spec = HeadSpec(num_features=9, hidden_size=17, num_events=3)
    assert match_parameters("MONO", dataclasses.replace(spec, hidden_size=1)).hidden_size == 1
    assert match_parameters("MOE", dataclasses.replace(spec, num_parts=3), like="MOE").hidden_size == 17
    assert match_parameters("MOE", dataclasses.replace(spec, num_parts=3), like="ROUTE").hidden_size == 17
    grouped = match_parameters("MONO-ROUTE", dataclasses.replace(spec, hidden_size=30))
    assert (grouped.hidden_size, grouped.relative_difference) == (10, 0.0)


def test_unmatchable_names_a_width_that_can_be_matched() -> None:
    spec = HeadSpec(num_features=64, hidden_size=17, num_contexts=8)
    with pytest.raises(ValueError, match="at most 2 % is allowed") as error:
        match_parameters("POS", spec)
    width = int(str(error.value).split("hidden_size ")[1].split(",")[0])
    matched = match_parameters("POS", dataclasses.replace(spec, hidden_size=width)).hidden_size
    assert 8 * matched == pytest.approx(width, abs=1)


def test_match_of_a_head_too_large_at_width_one() -> None:
    with pytest.raises(ValueError, match="MOE of width 1 has"):
        match_parameters("MOE", HeadSpec(num_features=64, hidden_size=2, num_parts=8))
