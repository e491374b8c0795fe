"""Cases from TOML files: the same tables as in Python, and every kind of wrong file refused with its cause."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from envs.errors import UserError
from envs.niceness.case_configs import CaseConfig
from envs.niceness.case_file import case_from_table
from envs.niceness.case_registry import make_case, make_powerless
from envs.niceness.objectives import find_objective
from envs.registry import make_world

EXAMPLES = Path(__file__).parent.parent / "examples" / "cases"
HAND: dict[str, Any] = {
    "name": "hand", "states": ["s", "u"], "thetas": ["x", "y"], "actions": ["stay", "go"], "noop": "stay",
    "start": {"state": "s", "theta": "x"}, "horizon": 2,
    "move": [{"state": "s", "action": "go", "to": {"state": "u"}}],
    "reward": [{"evaluator": "x", "worth": 1}, {"theta": ["x", "y"], "next_state": "u", "worth": "1/2"}],
}  # fmt: skip


def test_the_example_is_the_paper_s_case() -> None:
    written, made = make_case(str(EXAMPLES / "clickbait.toml")), make_case("Clickbait")
    assert (written.thetas, written.actions, written.noop, written.horizon) == (
        made.thetas, made.actions, made.noop, made.horizon,
    )  # fmt: skip
    for table in ("probability", "next_state", "next_theta", "reward", "welfare"):
        assert (getattr(written, table) == getattr(made, table)).all(), table


def test_channels_are_keyed_and_the_last_rule_that_fits_counts() -> None:
    case = make_case(str(EXAMPLES / "moody.toml"))
    assert case.keyed
    start, settled = (case.states.index(name) for name in ("open", "settled"))
    praise, settle = (case.actions.index(name) for name in ("praise coffee", "settle"))
    # Outcomes are (mood, kappa) = (0, 0), (0, 1), (1, 0), (1, 1).
    assert case.next_theta[start, 0, praise].tolist() == [0, 1, 1, 1]
    assert case.next_theta[start, 0, case.noop].tolist() == [0, 0, 1, 1]
    assert case.next_state[start, 0, settle].tolist() == [settled] * 4
    assert not case.next_theta[settled, 0].any()
    assert (case.welfare[:, 1] == -1).all()
    assert find_objective("NS", case).plan(case).value > 0


def test_rewards_add_up_and_outcomes_may_be_unkeyed() -> None:
    case = case_from_table(HAND)
    assert case.reward[:, 0, 0, 1, 0].tolist() == [1.5, 0.5]
    assert case.reward[:, 0, 0, 0, 0].tolist() == [1, 0]
    ends = [{"state": "u", "probability": "1/3"}, {"theta": "y", "probability": "2/3"}]
    unkeyed = case_from_table({**HAND, "move": [{"action": "go", "to": ends}]})
    assert not unkeyed.keyed
    with pytest.raises(UserError, match="NS of hand compares with an inert twin"):
        find_objective("NS", unkeyed).plan(unkeyed)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"acitons": ["stay"]}, "unknown key 'acitons', allowed are name, thetas, .*Did you mean 'actions'"),
        ({"thetas": None}, "the case has no 'thetas'; it needs"),
        ({"thetas": "x"}, "thetas of the case is 'x', allowed is a list of texts"),
        ({"thetas": ["x", "y", "x"]}, r"theta names of hand are \['x', 'y', 'x'\]; give at least one, all distinct"),
        ({"thetas": ["x", "x"]}, r"theta names of hand are \['x', 'x'\]"),
        ({"name": ""}, "name of a case is '', allowed is a text that is not empty"),
        ({"name": 5}, "name of a case is 5, allowed is a text"),
        ({"actions": ["stay", " "]}, r"action names of hand are \['stay', ' '\]; give at least one, .* none empty"),
        ({"thetas": []}, r"theta names of hand are \[\]"),
        ({"states": []}, r"state names of hand are \[\]"),
        ({"horizon": 0}, "horizon is 0, allowed is an integer from 1"),
        ({"horizon": "2"}, "horizon is '2'"),
        ({"noop": "rest"}, "noop 'rest' is unknown, known are stay, go"),
        ({"start": {"state": "v", "theta": "x"}}, "start state 'v' is unknown, known are s, u"),
        ({"start": {"theta": "z"}}, "start theta 'z' is unknown"),
        ({"start": "s"}, "start of the case is 's', allowed is a table"),
        ({"start": {"theta": "x", "sate": "s"}}, "start of the case has the unknown key 'sate'.*Did you mean 'state'"),
        (
            {"reward": [{"evaluator": "z", "worth": 1}]},
            "evaluator of .* number 1 'z' is unknown, known are x, y",
        ),
        ({"reward": [{"evaluator": 1, "worth": 1}]}, "evaluator of .* number 1 1 is unknown"),
        ({"reward": [{"evaluator": "x"}]}, r"\[\[reward\]\] number 1 has no 'worth'"),
        ({"reward": [{"worth": "much"}]}, r"worth of \[\[reward\]\] number 1 is 'much'"),
        ({"reward": [{"worth": 1, "thetas": "x"}]}, "unknown key 'thetas'.*Did you mean 'theta'"),
        ({"reward": {"worth": 1}}, r"allowed are rules under \[\[reward\]\]"),
        ({"reward": [1]}, r"\[\[reward\]\] number 1 is 1, allowed is a table"),
        ({"welfare": [{"worth": 1, "evaluator": "x"}]}, "unknown key 'evaluator'"),
        ({"move": [{"to": []}]}, r"to of \[\[move\]\] number 1 is an empty list, of probabilities that sum to 0"),
        ({"reward": [{"action": [], "worth": 1}]}, "action of .* number 1 is an empty list, which never fits"),
        (
            {"channels": {f"c{k}": ["1/2", "1/2"] for k in range(30)}},
            "the 30 channels of hand have 1073741824 joint outcomes, allowed are 10000",
        ),
        ({"move": [{"action": "go"}]}, r"\[\[move\]\] number 1 has no 'to'"),
        ({"move": [{"action": "og", "to": {}}]}, "'og' is unknown"),
        ({"move": [{"to": {"theta": "z"}}]}, "theta of .* 'z' is unknown"),
        ({"move": [{"to": {"theta": "x", "probability": 1}}]}, "unknown key 'probability'"),
        ({"move": [{"to": [{"theta": "x"}]}]}, "has no 'probability'"),
        ({"move": [{"to": [{"theta": "x", "probability": 0.5}]}]}, "the row at s, x, stay has the sum 1/2"),
        ({"move": [{"when": {"luck": 1}, "to": {}}]}, "channel of .* 'luck' is unknown"),
        ({"channels": {"luck": ["1/2", "1/3"]}}, "channel luck of hand has the probabilities 1/2, 1/3 of sum 5/6"),
        ({"channels": {"luck": [-0.3, 1.3]}}, "channel luck of hand has the probability -3/10, and none may be"),
        ({"channels": {"luck": 0.5}}, "channel 'luck' of channels of the case is 0.5"),
        (
            {"channels": {"luck": [0.5, 0.5]}, "move": [{"when": {"luck": 2}, "to": {}}]},
            "outcome of channel luck in .* is 2, allowed is an integer from 0 to 1",
        ),
        ({"kappa": 1}, "kappa is given, but no move asks for it"),
        ({"kappa": "1e-99999999"}, "kappa is '1e-99999999', allowed is a finite number"),
        ({"thetas": ["x", "pro+con"]}, "theta 'pro.con' of hand would be read as a sum of objectives"),
        ({"thetas": ["x", "B - C"]}, "theta 'B - C' of hand would be read as a sum of objectives"),
        ({"thetas": ["x", "y "]}, "theta 'y ' of hand would be read as a sum of objectives"),
        ({"kappa": 1.5}, "kappa is 1.5, allowed is a probability from 0 to 1"),
        ({"kappa": 1, "channels": {"kappa": [0, 1]}}, "kappa is a channel of the case and a power too"),
        ({"move": [{"when": {"kappa": 1}, "to": {}}]}, "channel of .* 'kappa' is unknown"),
        (
            {"kappa": 1, "move": [{"when": {"kappa": 1}, "to": [{"theta": "x", "probability": 1}]}]},
            "channels, or kappa, and moves with a list of outcomes",
        ),
        (
            {"channels": {"luck": [1]}, "move": [{"to": [{"theta": "x", "probability": 1}]}]},
            "channels, or kappa, and moves with a list of outcomes",
        ),
    ],
)
def test_wrong_files_are_refused(changes: dict[str, Any], cause: str) -> None:
    table = {key: value for key, value in {**HAND, **changes}.items() if value is not None}
    with pytest.raises(UserError, match=cause):
        case_from_table(table)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        make_case(str(tmp_path / "absent.toml"))
    broken = tmp_path / "broken.toml"
    broken.write_text("name = ")
    with pytest.raises(UserError, match="broken.toml' is no TOML"):
        make_case(str(broken))
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="is no TOML"):
        make_case(str(broken))


POWERED = """
name = "Powered"
thetas = ["tea", "coffee"]
actions = ["wait", "tea", "coffee", "praise"]
noop = "wait"
start = { theta = "tea" }
horizon = 4
kappa = "1/2"
move = [{ action = "praise", when = { kappa = 1 }, to = { theta = "coffee" } }]
reward = [{ evaluator = "tea", action = "tea", worth = 1 }, { evaluator = "coffee", action = "coffee", worth = 2 }]
"""


def test_a_file_s_power_is_turned_like_that_of_a_named_case(tmp_path: Path) -> None:
    path = tmp_path / "powered.toml"
    path.write_text(POWERED)

    def worth(**options: Any) -> Fraction:
        case = make_case(str(path), **options)
        return find_objective("RT", case).plan(case).value

    # By hand, best of praising for k steps in vain: at κ = 1 one praise and three coffees; at 1/2 v_n, n steps left, is
    # the larger of tea to the end and praising now: v_1 = 1, v_2 = 2, v_3 = max(3, (2·2 + v_2)/2), v_4 = (3·2 + v_3)/2.
    assert (worth(kappa=0), worth(), worth(kappa="1/2"), worth(kappa=1)) == (4, Fraction(9, 2), Fraction(9, 2), 6)
    powerless = make_powerless(str(path))
    assert powerless is not None and find_objective("RT", powerless).plan(powerless).value == 4
    assert make_powerless(str(EXAMPLES / "clickbait.toml")) is None
    config = CaseConfig(case=str(path), parameters={"kappa": 1})
    assert config.powers == {"kappa": 1} and CaseConfig(case=str(path)).powers == {"kappa": "1/2"}
    assert (config.build_case().next_theta == make_case(str(path), kappa=1).next_theta).all()
    with pytest.raises(UserError, match=r"powered\.toml: kappa is 2, allowed is a probability"):
        make_case(str(path), kappa=2)
    with pytest.raises(UserError, match=r"no option 'kappa', it has none; write kappa = 1 into it"):
        make_case(str(EXAMPLES / "clickbait.toml"), kappa=1)
    path.write_text(POWERED.replace("wait", "wiat", 1))
    with pytest.raises(UserError, match=r"powered\.toml: .*'wait' is unknown"):
        make_case(str(path))


def test_a_run_s_case_is_that_of_the_text_that_it_keeps(tmp_path: Path) -> None:
    path = tmp_path / "powered.toml"
    path.write_text(POWERED)
    kept = {"case": str(path), **CaseConfig(case=str(path)).pinned()}
    path.write_text(POWERED.replace("horizon = 4", "horizon = 5"))
    assert (CaseConfig(**kept).build_case().horizon, CaseConfig(case=str(path)).build_case().horizon) == (4, 5)
    path.unlink()
    assert CaseConfig(**kept).build_case().horizon == 4 and CaseConfig(**kept).powers == {"kappa": "1/2"}
    assert CaseConfig(**kept).pinned() == CaseConfig(case="ZEALOT").pinned() == {}
    with pytest.raises(UserError, match="content is '', which case 'ZEALOT' does not read; leave it out"):
        CaseConfig(case="ZEALOT", content="")
    assert make_world("Case", case=EXAMPLES / "clickbait.toml").config.case == str(EXAMPLES / "clickbait.toml")
    with pytest.raises(UserError, match="case is 3, allowed is a name such as ZEALOT or a .toml file"):
        make_world("Case", case=3)
    with pytest.raises(UserError, match="parameters is 3, allowed are names with values"):
        make_world("Case", case="ZEALOT", kappa=1, parameters=3)
    with pytest.raises(UserError, match="content is 3, which case"):
        make_world("Case", case=str(path), content=3)
    with pytest.raises(UserError, match="has no option 'name'"):
        make_case("ZEALOT", name="foo")


def test_a_mark_that_an_editor_puts_first_is_no_part_of_the_case(tmp_path: Path) -> None:
    path = tmp_path / "marked.toml"
    path.write_bytes(b"\xef\xbb\xbf" + (EXAMPLES / "moody.toml").read_bytes())
    assert make_case(str(path)).thetas == ("tea", "coffee")
