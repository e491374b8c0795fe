"""DR-MDP tables, and TRIAD's rules against trajectories checked by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest

from envs.errors import UserError
from envs.niceness.building import from_rows, tabulate
from envs.niceness.drmdp import DRMDP
from envs.niceness.triad import triad


def play(case: DRMDP, actions: list[str], outcome: int = -1) -> tuple[str, dict[str, Fraction]]:
    """θ_0..θ_H, and the sum of rewards in the eyes of RT, IR and of each θ, where each step has the same outcome."""
    state, theta = case.start
    first, path, sums = theta, case.thetas[theta], dict.fromkeys(("RT", "IR", *case.thetas), Fraction(0))
    for name in actions:
        place = (state, theta, case.actions.index(name), outcome)
        for key, evaluator in (("RT", theta), ("IR", first), *((k, i) for i, k in enumerate(case.thetas))):
            sums[key] += case.reward[evaluator, *place]
        state, theta = int(case.next_state[place]), int(case.next_theta[place])
        path += case.thetas[theta]
    return path, sums


@pytest.mark.parametrize(
    ("actions", "path", "rt", "ir"),
    [
        (["persuade", *["hE"] * 5], "AEEEEEE", 16, 1),
        (["lock", *["hA"] * 5], "AAAAAAA", 11, 11),
        (["hA", "hA", "lock", *["hA"] * 3], "AAAAAAA", 11, 11),
        ([*["hA"] * 3, *["hB"] * 3], "AAABBBB", 12, 6),
        (["wait"] * 6, "AAABBBB", 6, 3),
        (["lock", "persuade", *["hA"] * 4], "AAAAAAA", 10, 10),
        ([*["hA"] * 3, "lock", "hA", "hA"], "AAABBBB", 9, 8),
    ],
)
def test_trajectories_at_full_power(actions: list[str], path: str, rt: int, ir: int) -> None:
    found, sums = play(triad(), actions)
    assert found == path
    assert (sums["RT"], sums["IR"]) == (rt, ir)


def test_nothing_succeeds_without_power_and_failure_leaves_the_drift() -> None:
    assert play(triad(kappa="1/2"), ["persuade", "lock"] * 3, outcome=0)[0] == "AAABBBB"
    powerless = triad(kappa=0)
    to_e = (powerless.next_theta == 2) & (powerless.probability > 0)
    assert not to_e[:, :2].any()


def test_a_persuade_beats_the_drift_of_its_step() -> None:
    assert play(triad(), ["wait", "wait", "persuade", "wait", "wait", "wait"])[0] == "AAAEEEE"


def test_power_of_lock_and_persuade_are_separate() -> None:
    case = triad(kappa=1, kappa_lock=0)
    assert case.channels == ((0, 1), (1, 0))
    assert case.probability[0, 0, 0].tolist() == [0, 0, 1, 0]


def test_generic_help_pays_whoever_wants_it_now() -> None:
    _, sums = play(triad(generic=True), ["assist"] * 6)
    assert (sums["A"], sums["B"], sums["RT"]) == (6, 6, 12)


def test_hidden_welfare_counts_who_holds_the_taste() -> None:
    case = triad(hurts="A")
    assert (case.welfare[:, 0] == -1).all()
    assert (case.welfare[:, 1:] == 0).all()


def test_starting_at_another_taste() -> None:
    assert play(triad(start="B"), ["wait"] * 2)[0] == "BBB"
    assert triad().starting_at("E").start == (0, 2)


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"kappa": 1.5}, "kappa is 1.5, allowed is a probability from 0 to 1"),
        ({"kappa": -0.1}, "kappa is -0.1"),
        ({"kappa_lock": 2}, "kappa_lock is 2"),
        ({"kappa": "much"}, "kappa is 'much', allowed is a finite number"),
        ({"kappa": float("nan")}, "kappa is nan"),
        ({"T": 0}, "T is 0, allowed is an integer from 1"),
        ({"d": 0}, "d is 0"),
        ({"hurts": "a"}, "hurts 'a' is unknown, known are A, B, E"),
        ({"start": "C"}, "start theta 'C' is unknown"),
        ({"generic": 1}, "generic is 1"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], cause: str) -> None:
    with pytest.raises(UserError, match=cause):
        triad(**options)


def rows_case(**changes: object) -> DRMDP:
    given = {
        "states": ["s", "u"], "thetas": ["x", "y"], "actions": ["stay", "go"], "noop": "stay", "start": ("s", "x"),
        "horizon": 2, "rows": {("s", "x", "go"): {("u", "y"): "1/3", ("s", "x"): "2/3"}},
        "reward": lambda evaluator, turn, after: int(evaluator == turn.theta),
    }  # fmt: skip
    return from_rows("hand", **{**given, **changes})


def test_rows_are_padded_and_what_is_left_out_stays() -> None:
    case = rows_case()
    assert case.probability[0, 0].tolist() == [[1, 0], [Fraction(1, 3), Fraction(2, 3)]]
    assert (case.next_state[1, 1, 0, 0], case.next_theta[1, 1, 0, 0]) == (1, 1)
    assert not case.keyed
    assert rows_case(rows={("s", "x", "go"): {("u", "y"): 1}}).keyed


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"rows": {("s", "x", "go"): {("u", "y"): 0.5}}}, "the row at .* has the sum 1/2 and .*; make it sum to 1"),
        ({"rows": {("s", "x", "go"): {("u", "y"): 1.5, ("s", "x"): -0.5}}}, "-1/2"),
        ({"rows": {("s", "z", "go"): {("u", "y"): 1}}}, "theta 'z' is unknown"),
        ({"rows": {("s", "x", "go"): {("v", "y"): 1}}}, "state 'v' is unknown"),
        ({"rows": {("s", "x", "go"): {}}}, "has the sum 0"),
        ({"rows": None}, "rows of hand are None, allowed is a dict"),
        ({"rows": {("s", "x"): {("u", "y"): 1}}}, r"hand has a row at \('s', 'x'\), allowed is a triple"),
        ({"rows": {("s", "x", "go"): [1]}}, r"the row at s, x, go is \[1\], allowed is a dict"),
        ({"rows": {("s", "x", "go"): {("u", "y", 1): 1}}}, r"the row at s, x, go is \{\('u', 'y', 1\): 1\}, allowed"),
        ({"start": ("z", "x")}, "start state 'z' is unknown, known are s, u"),
        ({"start": ("s", "z")}, "start theta 'z' is unknown"),
        ({"noop": "rest"}, "noop 'rest' is unknown"),
        ({"horizon": 0}, "horizon is 0, allowed is an integer from 1"),
        ({"thetas": []}, "theta names of hand are"),
        ({"actions": ["stay", "stay"]}, "action names of hand are"),
        ({"states": ["s", "s", "u"]}, "state names of hand are"),
    ],
)
def test_wrong_rows_are_refused(changes: dict[str, object], cause: str) -> None:
    with pytest.raises(UserError, match=cause):
        rows_case(**changes)


def test_a_twin_on_unkeyed_noise_is_refused() -> None:
    with pytest.raises(UserError, match="NS of hand compares with an inert twin .* unkeyed; declare its noise"):
        rows_case().require_keyed("NS")
    triad(kappa="1/2").require_keyed("NS")


def test_channels_that_are_no_law_and_states_without_end_are_refused() -> None:
    options = {
        "thetas": ["x"], "actions": ["stay"], "noop": "stay", "start": (0, "x"), "horizon": 3,
        "reward": lambda evaluator, turn, after: 0,
    }  # fmt: skip
    with pytest.raises(UserError, match="channel 0 of hand has the probabilities 1/2, 1/4 of sum 3/4"):
        tabulate("hand", step=lambda turn, noise: (turn.state, turn.theta), channels=[("1/2", "1/4")], **options)
    with pytest.raises(UserError, match="hand has more than 10000 states"):
        tabulate("hand", step=lambda turn, noise: (turn.state + 1, turn.theta), **options)


def test_work_pays_the_agent_itself_and_nobody_else() -> None:
    case = triad(work="1/2")
    assert case.thetas == ("A", "B", "E", "self")
    path, sums = play(case, ["work"] * 6)
    assert path == "AAABBBB"
    assert (sums["self"], sums["RT"], sums["IR"]) == (3, 6, 3)
    assert "work" not in triad().actions


def test_who_withholds_makes_nothing_after_a_step_without_help() -> None:
    case = triad(gain=1, withholds=True)
    # The first step finds the person content.
    assert play(case, ["wait"] * 6)[1]["self"] == 1
    assert play(case, ["hA", "hA", "hA", "hB", "hB", "wait"])[1]["self"] == 6
    assert play(case, ["hA", "hB", "wait", "hB", "hB", "wait"])[1]["self"] == 4
    assert play(case, ["lock", *["wait"] * 5])[1]["self"] == 6
    assert play(triad(gain=1), ["wait"] * 6)[1]["self"] == 6
