"""Options that nothing would read are refused in every family by one rule; levels that take turns: whole turns."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs import UserError, make_world
from envs.registry import WORLDS
from envs.worlds.mazes import GENERATORS
from envs.worlds.options import whole_turns

READERS = {
    "Case": {"theta_0": ("starts", "fixed")},
    "CornerMaze": {"wall_share": ("generator", "blocks"), "loop_share": ("generator", "braid")},
    "CrossedHistory": {"pairing": ("layout", "train"), "dose": ("layout", "train")},
    "DecorrelatedMaze": {},
    "DiamondGhost": {},
    "DishMaze": {
        "wall_share": ("generator", "blocks"), "loop_share": ("generator", "braid"), "dose": ("layout", "train")
    },
    "FruitTask": {},
    "GemShape": {"dose": ("layout", "train")},
    "KeysAndChests": {},
    "MultiNeed": {},
    "Triad": {"theta_0": ("starts", "fixed")},
    "TwoDoors": {"dose": ("layout", "train")},
    "Village": {
        "coin_weight": ("coins", True), "study_start": ("drift", True), "study_period": ("drift", True),
        "show_natural": ("twin", True),
    },
}  # fmt: skip
CHOICES = {
    "CrossedHistory": ("train", "crossed", "choice"),
    "DishMaze": ("train", "apart"),
    "GemShape": ("train", "split"),
    "TwoDoors": ("train", "crossed"),
}
OTHER_VALUES = {"wall_share": 0.4, "loop_share": 0.4, "dose": 0.4, "pairing": (1, 0), "theta_0": "E"}
ALL_VALUES = {"generator": GENERATORS, "starts": ("fixed", "uniform")}
"""Values of options that are not `layout`, by which others are read."""
CASES = [
    (name, option, reader, value, other)
    for name, readers in READERS.items()
    for option, (reader, value) in readers.items()
    if reader == "layout" or reader in ALL_VALUES
    for other in (CHOICES[name] if reader == "layout" else ALL_VALUES[reader])
]


def test_every_family_is_listed():
    assert READERS.keys() == WORLDS.keys()
    for name, family in WORLDS.items():
        declared = {field.name: field.metadata.get("reader") for field in dataclasses.fields(family.config)}
        assert {option: reader for option, reader in declared.items() if reader} == READERS[name]


@pytest.mark.parametrize(("name", "option", "reader", "value", "chosen"), CASES)
def test_an_option_changes_the_levels_or_is_refused(name, option, reader, value, chosen):
    """Control: where it is read, the levels are others."""
    given_value, default = OTHER_VALUES[option], getattr(make_world(name).config, option)
    plain = make_world(name, **{reader: chosen, option: default})
    levels = np.arange(100)
    if chosen == value:
        changed = make_world(name, **{reader: chosen, option: given_value})
        assert (changed.begin(levels, 0) != plain.begin(levels, 0)).any()
        return
    with pytest.raises(UserError) as caught:
        make_world(name, **{reader: chosen, option: given_value})
    assert str(caught.value) == (
        f"{option} is {given_value!r}, which {reader} {chosen!r} does not read; leave it at "
        f"{() if option == 'pairing' else default!r} or choose {reader} {value!r}."
    )


@pytest.mark.parametrize("name", list(CHOICES))
def test_a_world_can_be_had_in_its_other_layouts(name):
    world = make_world(name, size=5, dose=0.4, discount=0.9, num_levels=60)
    for layout in CHOICES[name]:
        other = world.in_layout(layout)
        dose = 0.4 if layout == "train" else 0.0
        assert other.config == make_world(name, size=5, discount=0.9, num_levels=60, layout=layout, dose=dose).config
        assert other.in_layout("train").config.dose == dose


def test_the_identity_is_no_pairing_of_its_own():
    history = make_world("CrossedHistory", pairing=[0, 1])
    assert history.config == make_world("CrossedHistory").config and history.config.pairing == (0, 1)
    assert history.in_layout("crossed").config.pairing == ()
    assert make_world("CrossedHistory", layout="choice", pairing=(0, 1)).config.pairing == ()
    assert make_world("CrossedHistory", pairing=(1, 0)).in_layout("choice").in_layout("train").config.pairing == (0, 1)


@pytest.mark.parametrize("name", ["DishMaze", "CrossedHistory"])
def test_an_unknown_layout_is_named_before_what_it_would_read(name):
    with pytest.raises(UserError, match="layout is 'trian', allowed are"):
        make_world(name, layout="trian", dose=0.3)


@pytest.mark.parametrize(
    ("name", "option", "value", "kind"),
    [
        ("MultiNeed", "context", np.array(["shown", "first"]), "are 'shown'"),
        ("CornerMaze", "wall_share", np.full((2, 2), 0.2), "is a number"),
        ("CornerMaze", "size", np.array([[7], [9]]), "is an integer"),
        ("TwoDoors", "rewards", np.ones((4, 2)), "is a tuple or list of four numbers"),
        ("DiamondGhost", "size", np.array([[7], [9]]), "is an odd integer"),
        ("MultiNeed", "continuing", np.ones((2, 2), bool), "are True and False"),
    ],
)
def test_arrays_are_refused_in_one_line(name, option, value, kind):
    with pytest.raises(UserError, match=rf"{option}.* is array\(.*allowed {kind}") as caught:
        make_world(name, **{option: value})
    assert "\n" not in str(caught.value)


def test_an_unknown_world_is_told_from_an_unknown_variant():
    """The families in the one case, the ids of the family in the other; the nearest of all ids in both."""
    known = r"known are Case, CornerMaze, CrossedHistory, [^-]*; .* Did you mean 'TwoDoors'"
    with pytest.raises(UserError, match=known):
        make_world("TwoDoor")
    with pytest.raises(UserError, match=r"known are GemShape, (GemShape-[^ ]+ )*choose .* Did you mean 'GemShape-5x5'"):
        make_world("ValueLab/GemShape-6x5-v0")


@pytest.mark.parametrize(
    ("name", "options", "given_levels", "num_levels"),
    [
        ("CrossedHistory", {"layout": "crossed"}, 1000, 1000),
        ("CrossedHistory", {"layout": "crossed", "num_cues": 3}, 1000, 1008),
        ("CrossedHistory", {"layout": "choice", "num_cues": 3}, 1000, 1002),
        ("CrossedHistory", {"num_cues": 3}, 1000, 1000),
        ("TwoDoors", {"layout": "crossed"}, 5, 8),
        ("TwoDoors", {}, 5, 5),
    ],
)
def test_levels_that_take_turns_come_in_whole_turns(name, options, given_levels, num_levels):
    world = make_world(name, num_levels=given_levels, **options)
    assert world.num_levels == world.levels("test").count == num_levels
    if "layout" in options:
        kinds = world.begin(world.levels("test").ids(), 0)
        shown = [(row[1:] if name == "TwoDoors" else row[1:-1]) >= 0 for row in kinds]
        cues = kinds[:, -1] if name == "CrossedHistory" else np.zeros(len(kinds))
        counts = np.unique(np.column_stack([cues, shown]), axis=0, return_counts=True)[1]
        assert options["layout"] == "choice" or np.ptp(counts) == 0
        assert np.ptp(np.unique(cues, return_counts=True)[1]) == 0


@given(st.integers(1, 10**6), st.integers(1, 64))
def test_whole_turns_are_the_next_multiple(num_levels, turn):
    assert whole_turns(num_levels, turn) % turn == 0 <= whole_turns(num_levels, turn) - num_levels < turn
