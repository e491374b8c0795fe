"""A case in Python: what its functions raise or return wrongly is one sentence with its place."""

from __future__ import annotations

from typing import Any

import pytest

from envs.errors import UserError
from envs.niceness.building import from_rows, tabulate

TEA: dict[str, Any] = {
    "thetas": ("tea", "coffee"), "actions": ("wait", "praise"), "noop": "wait", "start": ("-", "tea"), "horizon": 2,
    "step": lambda turn, noise: (turn.state, turn.theta), "reward": lambda evaluator, turn, after: 0,
}  # fmt: skip
FIRST = "at state -, theta tea, action wait"


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"step": lambda turn, noise: None}, rf"the result of step of praise {FIRST} is None, allowed is a pair"),
        ({"step": lambda turn, noise: ([1], "tea")}, r"has the state \[1\], which has no hash"),
        ({"step": lambda turn, noise: turn.stat}, rf"step of praise {FIRST} raises AttributeError: .*'stat'"),
        (
            {"step": lambda turn, noise: ("-", "coffe")},
            rf"step of praise {FIRST} leads to theta 'coffe', known are tea, coffee; .*Did you mean 'coffee'",
        ),
        (
            {"step": lambda turn, noise: ("opne", "tea"), "states": ("-", "open")},
            rf"step of praise {FIRST} leads to state 'opne', known are -, open; .*Did you mean 'open'",
        ),
        (
            {"reward": lambda evaluator, turn, after: {"tea": 1}[evaluator]},
            rf"reward of praise for evaluator coffee {FIRST} raises KeyError: 'coffee'",
        ),
        ({"reward": lambda evaluator, turn, after: None}, rf"for evaluator tea {FIRST} is None, allowed is a finite"),
        ({"welfare": lambda turn, after: "much"}, rf"welfare of praise {FIRST} is 'much', allowed is a finite number"),
        ({"thetas": "tea"}, "theta names of praise is 'tea', of type str, allowed is a tuple or list"),
        ({"actions": (1, 2)}, r"action names of praise are \[1, 2\]"),
        ({"start": "tea"}, r"start of praise is 'tea', allowed is a pair \(state, theta\)"),
        ({"states": ("open",)}, "start state '-' is unknown, known are open"),
        ({"states": ("-", 1, "1")}, r"state names of praise are \['-', '1', '1'\]; give at least one, all distinct"),
        ({"channels": {"luck": (-0.3, 1.3)}}, "channel luck of praise has the probability -3/10, and none may be neg"),
        ({"channels": {"luck": 0.5}}, "channel luck of praise is 0.5, of type float"),
    ],
)
def test_faults_are_one_sentence_with_their_place(changes: dict[str, Any], cause: str) -> None:
    with pytest.raises(UserError, match=cause) as caught:
        tabulate("praise", **{**TEA, **changes})
    assert "\n" not in str(caught.value)


def test_rows_are_paid_as_carefully() -> None:
    options = {name: TEA[name] for name in ("thetas", "actions", "noop", "start", "horizon")} | {"states": ("-",)}
    with pytest.raises(UserError, match=rf"reward of rows for evaluator tea {FIRST} raises ZeroDivisionError"):
        from_rows("rows", rows={}, reward=lambda evaluator, turn, after: 1 // 0, **options)
    with pytest.raises(UserError, match="start of rows is 'tea'"):
        from_rows("rows", rows={}, reward=TEA["reward"], **{**options, "start": "tea"})


def test_declared_states_are_all_there_in_their_order() -> None:
    case = tabulate("praise", states=("open", "-"), **TEA)
    assert case.states == ("open", "-") and case.start == (1, 0)
    assert (case.next_state[0] == 0).all() and (case.next_state[1] == 1).all()
    assert tabulate("praise", **TEA).states == ("-",)
