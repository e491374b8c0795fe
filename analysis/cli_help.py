"""What `valuelab --help` and `valuelab niceness --help` print: the commands, a line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DESCRIPTION = "valuelab: how do agents come to value things, and does it matter how the value head is built?"
EXIT_CODES = "Exit codes: 0 all well, 1 failed cells or faults found, 2 bad input, 130 interrupted, 143 terminated."
HELP = ("-h", "--help")


def groups(commands: Mapping[str, type[Any]]) -> set[str]:
    """First words that are no command of their own: "niceness" of "niceness solve"."""
    return {name.partition(" ")[0] for name in commands} - commands.keys()


def overview(commands: Mapping[str, type[Any]], *, group: str = "") -> str:
    """All commands, or those that begin with the word of a group."""
    listed = {name: one for name, one in commands.items() if name.startswith(f"{group} " if group else "")}
    lines = [f"  {name:21}{(command.__doc__ or '').splitlines()[0]}" for name, command in listed.items()]
    start = f"valuelab {group} COMMAND" if group else "valuelab COMMAND"
    usage = f"usage: {start} [OPTIONS]; {start} --help lists a command's options"
    heading = (f"{usage}.",) if group else (DESCRIPTION, "", f"{usage}; valuelab --version.")
    return "\n".join((*heading, "", "commands:", *lines, "", EXIT_CODES))
