"""What a case file may say: keys, names and rules, each refused with its cause where it cannot be meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from envs.errors import UserError, nearest, require_integer
from envs.niceness.drmdp import exact, position

Rule = Mapping[str, Any]
Names = Mapping[str, Sequence[str]]
SITUATION = ("state", "theta", "action")
# What the rules of each kind may name, and what they must say.
FORMS = {
    "move": ((*SITUATION, "when"), "to"),
    "reward": ((*SITUATION, "evaluator", "next_state"), "worth"),
    "welfare": ((*SITUATION, "next_state"), "worth"),
}


def require_keys(table: Rule, *, allowed: Sequence[str], needed: Sequence[str], where: str) -> None:
    """Refuse unknown and missing keys (UserError with the nearest)."""
    for key in table:
        if key not in allowed:
            known = ", ".join(allowed)
            raise UserError(
                f"{where} has the unknown key {key!r}, allowed are {known}; remove or rename it.{nearest(key, allowed)}"
            )
    for key in needed:
        if key not in table:
            raise UserError(f"{where} has no {key!r}; it needs {', '.join(needed)}.")


def require_table(value: Any, where: str) -> Rule:
    """A table; UserError for anything else."""
    if not isinstance(value, Mapping):
        raise UserError(f"{where} is {value!r}, allowed is a table such as {{ theta = 'A' }}; write one.")
    return value


def require_words(value: Any, where: str) -> list[str]:
    """A list of texts; UserError for anything else."""
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise UserError(f"{where} is {value!r}, allowed is a list of texts; write one.")
    return value


def listed(value: Any) -> list[Any]:
    """A list as it is, one thing as a list of it."""
    return value if isinstance(value, list) else [value]


def require_channels(value: Any, where: str) -> dict[str, list[Any]]:
    """Channels by name with the probabilities of their outcomes; `tabulate` refuses what is no law."""
    channels = require_table(value, where)
    for name, law in channels.items():
        if not isinstance(law, list) or not law:
            raise UserError(f"channel {name!r} of {where} is {law!r}, allowed is a list of probabilities; write one.")
    return dict(channels)


def require_rules(value: Any, kind: str, *, names: Names, channels: Mapping[str, list[Any]]) -> list[Rule]:
    """The rules of a kind, each fit to be read (UserError otherwise)."""
    if not isinstance(value, list):
        raise UserError(f"{kind} is {value!r}, allowed are rules under [[{kind}]]; write them so.")
    for number, rule in enumerate(value, start=1):
        where = f"[[{kind}]] number {number}"
        may, must = FORMS[kind]
        require_keys(require_table(rule, where), allowed=(*may, must), needed=(must,), where=where)
        for key in rule.keys() & names.keys():
            if not listed(rule[key]):
                raise UserError(f"{key} of {where} is an empty list, which never fits; name one, or leave it out.")
            for name in listed(rule[key]):
                position(f"{key} of {where}", name, names[key])
        _require_when(rule.get("when", {}), channels, where)
        if kind == "move":
            _require_ends(rule["to"], names, where)
        else:
            exact(f"worth of {where}", rule["worth"])
    return value


def _require_when(when: Any, channels: Mapping[str, list[Any]], where: str) -> None:
    for name, outcome in require_table(when, f"when of {where}").items():
        position(f"channel of {where}", name, list(channels))
        require_integer(f"outcome of channel {name} in {where}", outcome, low=0, high=len(channels[name]) - 1)


def _require_ends(to: Any, names: Names, where: str) -> None:
    """What a move leads to: a table, or a list of tables with probabilities."""
    if not listed(to):
        raise UserError(f"to of {where} is an empty list, of probabilities that sum to 0; give it an outcome.")
    is_unkeyed = isinstance(to, list)
    allowed = ("state", "theta", "probability") if is_unkeyed else ("state", "theta")
    for end in listed(to):
        table = require_table(end, f"to of {where}")
        require_keys(table, allowed=allowed, needed=allowed[2:], where=f"to of {where}")
        for key in table.keys() & names.keys():
            position(f"{key} of {where}", table[key], names[key])
