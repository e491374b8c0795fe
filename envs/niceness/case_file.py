"""A case from a TOML file: names, rules for what moves, and rules for what pays. Nothing in it is run.

    name = "Clickbait"
    thetas = ["normal", "disillusioned"]
    actions = ["news", "clickbait"]
    noop = "news"
    start = { theta = "normal" }                 # and state = "...", where there are several
    horizon = 2

    [[move]]                                     # the last rule that fits counts; none: all stays as it is
    action = "clickbait"
    to = { theta = "disillusioned" }             # what is left out stays

    [[reward]]                                   # all rules that fit add up
    evaluator = "normal"
    action = "clickbait"
    worth = 2

A rule fits where all that it names fits: `state`, `theta` (the person's own), `action`, in rewards and welfare also
`next_state`, in rewards `evaluator`; each is a name or a list of names, and what is left out fits always. Numbers may
be written as "1/3". `[[welfare]]` has the form of `[[reward]]` without an evaluator.

`kappa = "1/2"` gives the agent power over the person, which `--kappa` turns: it declares a channel of that name, and a
move with `when = { kappa = 1 }` works with probability κ.

Noise is keyed: `channels = { luck = ["2/3", "1/3"] }` declares independent channels by the probabilities of their
outcomes 0, 1, ..., and a move with `when = { luck = 1 }` fits that outcome alone. Or it is unkeyed: a move gives `to`
as a list of outcomes with their `probability`; such a case has no inert twin, unless it is deterministic.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from envs.errors import UserError
from envs.niceness.building import Reward, Step, Turn, Welfare, from_rows, require_names, tabulate
from envs.niceness.case_rules import (
    FORMS,
    Names,
    Rule,
    listed,
    require_channels,
    require_keys,
    require_rules,
    require_table,
    require_words,
)
from envs.niceness.drmdp import DRMDP, KAPPA, Number, exact, position, require_probability

NEEDED = ("name", "thetas", "actions", "noop", "start", "horizon")
KEYS = (*NEEDED, "states", "channels", KAPPA, *FORMS)
Rows = dict[tuple[str, str, str], dict[tuple[str, str], Fraction]]


def read_text(path: Path) -> str:
    """What a file says, without the mark that some editors begin it with; UserError where there is none, or no text."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"case file {str(path)!r} cannot be read ({error.strerror}); name one that can.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"case file {str(path)!r} is no TOML: {error}; mend it.") from error


def table_of(text: str, *, where: str) -> dict[str, Any]:
    """The table of a file's text; UserError where it is no TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"case file {where!r} is no TOML: {error}; mend it.") from error


def case_from_text(text: str, *, where: str, kappa: Number | None = None) -> DRMDP:
    """The case of a file's text.

    Args:
        text: What the file says.
        where: The file, with which errors begin.
        kappa: In place of its own.

    Raises:
        UserError: No TOML, unknown or missing keys, unknown names, or what `tabulate` and `from_rows` refuse.
    """
    table = table_of(text, where=where)
    try:
        return case_from_table(table if kappa is None else {**table, KAPPA: kappa})
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def case_from_table(table: Mapping[str, Any]) -> DRMDP:
    """The case of a parsed file."""
    require_keys(table, allowed=KEYS, needed=NEEDED, where="the case")
    states = require_words(table.get("states", ["-"]), "states of the case")
    thetas, actions = (require_words(table[key], f"{key} of the case") for key in ("thetas", "actions"))
    require_names(table["name"], state=states, theta=thetas, action=actions)
    names = {"state": states, "next_state": states, "theta": thetas, "evaluator": thetas, "action": actions}
    channels = require_channels(table.get("channels", {}), "channels of the case") | _power(table)
    rules = {kind: require_rules(table.get(kind, []), kind, names=names, channels=channels) for kind in FORMS}
    if KAPPA in table and not any(KAPPA in rule.get("when", {}) for rule in rules["move"]):
        raise UserError(
            "kappa is given, but no move asks for it; write when = { kappa = 1 } into moves that may fail, or drop it."
        )
    start = require_table(table["start"], "start of the case")
    require_keys(start, allowed=("state", "theta"), needed=("theta",), where="start of the case")
    first = (start.get("state", states[0]), start["theta"])
    position("start state", first[0], states)
    pays, helps = _reward(rules["reward"]), _welfare(rules["welfare"])
    name, noop, horizon = str(table["name"]), table["noop"], table["horizon"]
    if any(isinstance(rule["to"], list) for rule in rules["move"]):
        rows = _rows(rules["move"], names, channels)
        return from_rows(
            name, states=states, thetas=thetas, actions=actions, noop=noop, start=first, horizon=horizon, rows=rows,
            reward=pays, welfare=helps,
        )  # fmt: skip
    return tabulate(
        name, thetas=thetas, actions=actions, noop=noop, start=first, horizon=horizon,
        step=_step(rules["move"], channels), reward=pays, welfare=helps, channels=channels, states=states,
    )  # fmt: skip


def _power(table: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The channel of κ, whose outcome 1 is that what it takes works; none where the file gives no power."""
    if KAPPA not in table:
        return {}
    if KAPPA in table.get("channels", {}):
        raise UserError("kappa is a channel of the case and a power too; call the channel something else.")
    kappa = require_probability(KAPPA, table[KAPPA])
    return {KAPPA: [1 - kappa, kappa]}


def _reward(rules: Sequence[Rule]) -> Reward:
    def reward(evaluator: str, turn: Turn, after: Any) -> Fraction:
        return _sum(rules, {**turn._asdict(), "next_state": after, "evaluator": evaluator})

    return reward


def _welfare(rules: Sequence[Rule]) -> Welfare:
    return lambda turn, after: _sum(rules, {**turn._asdict(), "next_state": after})


def _fits(rule: Rule, facts: Mapping[str, Any]) -> bool:
    """Whether all that a rule names is so."""
    return all(fact in listed(rule[key]) for key, fact in facts.items() if key in rule)


def _sum(rules: Sequence[Rule], facts: Mapping[str, Any]) -> Fraction:
    return sum((exact("worth", rule["worth"]) for rule in rules if _fits(rule, facts)), Fraction(0))


def _step(moves: Sequence[Rule], channels: Mapping[str, list[Any]]) -> Step:
    """The step function of rules over keyed noise."""

    def step(turn: Turn, noise: tuple[int, ...]) -> tuple[str, str]:
        drawn = dict(zip(channels, noise, strict=True))
        for rule in reversed(moves):
            due = all(drawn[name] == outcome for name, outcome in rule.get("when", {}).items())
            if due and _fits(rule, turn._asdict()):
                return rule["to"].get("state", turn.state), rule["to"].get("theta", turn.theta)
        return turn.state, turn.theta

    return step


def _rows(moves: Sequence[Rule], names: Names, channels: Mapping[str, list[Any]]) -> Rows:
    """Rows of probabilities of rules over unkeyed noise."""
    if channels:
        raise UserError("a case has channels, or kappa, and moves with a list of outcomes; write its noise one way.")
    rows: Rows = {}
    for place in itertools.product(names["state"], names["theta"], names["action"]):
        fitting = [rule for rule in moves if _fits(rule, Turn(*place)._asdict())]
        for to in listed(fitting[-1]["to"]) if fitting else []:
            after = (to.get("state", place[0]), to.get("theta", place[1]))
            law = rows.setdefault(place, {})
            law[after] = law.get(after, Fraction(0)) + exact("probability", to.get("probability", 1))
    return rows
