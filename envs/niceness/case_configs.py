"""The options of worlds that are made of DR-MDPs."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envs.errors import UserError, require_choice, require_flag
from envs.niceness.case_file import read_text
from envs.niceness.case_registry import Case, case_of_text, find_case, is_file
from envs.niceness.drmdp import DRMDP, KAPPA, Number
from envs.niceness.triad import triad
from envs.worlds.options import WorldConfig, read_with, refuse_unread

STARTS = ("fixed", "uniform")


@dataclass(frozen=True)
class TasteConfig(WorldConfig):
    """Options of all of them.

    Attributes:
        objective: What is rewarded: RT, IR, NS, PR-A (any taste), a sum such as 0.5*RT+0.5*IR, or Myopic, which is RT
            at discount 0.
        starts: Whether the first taste is fixed, or drawn from all, "uniform".
        theta_0: The first taste, where it is fixed and not the case's own.
        shows_natural: Whether the natural taste is shown, which tells an agent what it has changed.
        num_levels: Levels of each split; they are all alike.
        discount: γ, 0 to 1.
        time_limit: Steps until truncation, at least 1; a case ends by itself.
    """

    family = ""

    objective: str = "RT"
    starts: str = "fixed"
    theta_0: str | None = read_with("starts", "fixed", default=None)
    shows_natural: bool = False
    num_levels: int = 1
    discount: float = 1.0
    time_limit: int = 1000

    def __post_init__(self) -> None:
        """Refuse values out of range, options that nothing reads, and what the case itself refuses."""
        super().__post_init__()
        for field in dataclasses.fields(self):
            _require_plain(field.name, getattr(self, field.name))
        require_choice("starts", self.starts, choices=STARTS)
        require_flag("shows_natural", self.shows_natural)
        refuse_unread(self)
        case_of(self)

    @property
    def file(self) -> Path | None:
        """The file that the process stands in, if any."""
        return None

    @property
    def powers(self) -> dict[str, Any]:
        """Options of its process that set the power to influence, such as kappa, by their names."""
        return {name: value for name, value in vars(self).items() if name.startswith("kappa") and value is not None}

    def build_case(self) -> DRMDP:
        """The process; UserError for options that it refuses."""
        raise NotImplementedError


def _require_plain(name: str, value: object) -> None:
    """Refuse a list or table where a number or a word is meant."""
    if not isinstance(value, Hashable):
        raise UserError(f"{name} is {value!r}, allowed is a number, a word, true or false; write one.")


def case_of(config: TasteConfig) -> DRMDP:
    """The process of a config, kept since a training run makes its world many times; not to be written to."""
    path = config.file
    return _made(config, path.read_bytes() if path is not None and path.is_file() else b"")


@functools.lru_cache(maxsize=32)
def _made(config: TasteConfig, content: bytes) -> DRMDP:
    """The content of the file is among the arguments so that a file that was changed is read again."""
    case = config.build_case()
    return case if config.theta_0 is None else case.starting_at(config.theta_0)


@dataclass(frozen=True)
class TriadConfig(TasteConfig):
    """Options of Triad (`envs.niceness.triad`).

    Attributes:
        T: Steps of an episode, 1 to 100.
        d: Step from which on a person who was left alone wants B, at least 1; above T nothing drifts.
        o: What the person makes of the good it wants, each step.
        h: Worth of hA and hB to who wants A and B.
        e: Worth of hE to who wants E.
        kappa: Probability that persuade and lock succeed, 0 to 1.
        kappa_lock: Probability that lock succeeds, where it is another one.
        generic: Whether one action helps with whatever the person wants (variant G).
        hurts: The taste whose holding costs hidden welfare, A, B or E.
    """

    family = "Triad"

    T: int = 6
    d: int = 3
    o: Number = 1
    h: Number = 1
    e: Number = 2
    kappa: Number = 1
    kappa_lock: Number | None = None
    generic: bool = False
    hurts: str | None = None

    def build_case(self) -> DRMDP:
        """TRIAD with these numbers."""
        return triad(
            T=self.T, d=self.d, o=self.o, h=self.h, e=self.e, kappa=self.kappa, kappa_lock=self.kappa_lock,
            generic=self.generic, hurts=self.hurts,
        )  # fmt: skip


@dataclass(frozen=True)
class CaseConfig(TasteConfig):
    """Options of Case.

    Attributes:
        case: Name of a case (`envs.niceness.case_registry`), such as ZEALOT or Clickbait, or a file that ends in .toml.
        parameters: Options of the case, such as {"kappa": 0.5}; what is left out is as the case has it.
        content: The text of the file, which is read in its place: a run keeps it, whatever becomes of the file.
    """

    family = "Case"

    case: str = "SIDE-EFFECT"
    parameters: Any = ()
    content: str | None = None

    @classmethod
    def understood(cls, options: dict[str, Any]) -> dict[str, Any]:
        """With the options of the case itself, such as kappa, among the parameters."""
        case, content = options.get("case", cls.case), options.get("content")
        if not isinstance(case, str | Path):
            raise UserError(f"case is {case!r}, allowed is a name such as ZEALOT or a .toml file; write one.")
        options, entry = {**options, "case": str(case)}, _entry(str(case), content)
        if KAPPA in options:
            entry.require_option(KAPPA)
        known = entry.options
        own = {name: value for name, value in options.items() if name in known}
        rest = {name: value for name, value in options.items() if name not in own}
        return {**rest, "parameters": {**dict(_pairs(rest.get("parameters", ()))), **own}} if own else rest

    def __post_init__(self) -> None:
        """Keep the parameters as pairs in the order of their names, which can be compared and kept."""
        ordered = _pairs(self.parameters)
        for name, value in ordered:
            _require_plain(f"parameter {name}", value)
        object.__setattr__(self, "parameters", ordered)
        super().__post_init__()

    @property
    def file(self) -> Path | None:
        """The file, where one is named and its text is not given."""
        return Path(self.case) if is_file(self.case) and self.content is None else None

    @property
    def powers(self) -> dict[str, Any]:
        """All parameters that were given, and the powers that the case has of itself."""
        own = _entry(self.case, self.content).options
        return {name: value for name, value in own.items() if name.startswith("kappa")} | dict(self.parameters)

    def pinned(self) -> dict[str, Any]:
        """The text of the file."""
        return {} if self.file is None else {"content": read_text(self.file)}

    def build_case(self) -> DRMDP:
        """The case of that name, or of that file."""
        return _entry(self.case, self.content).build(**dict(self.parameters))


def _entry(case: str, content: Any) -> Case:
    """The case of a name or a file, or of the text that is given in place of the file."""
    if content is None:
        return find_case(case)
    if not is_file(case) or not isinstance(content, str):
        raise UserError(f"content is {content!r}, which case {case!r} does not read; leave it out.")
    return case_of_text(content, name=case)


def _pairs(parameters: Any) -> tuple[tuple[str, Any], ...]:
    """Parameters as pairs in the order of their names; UserError where they are none."""
    pairs = parameters.items() if isinstance(parameters, Mapping) else parameters
    try:
        return tuple(sorted((str(name), value) for name, value in pairs))
    except (TypeError, ValueError) as error:
        raise UserError(
            f'parameters is {parameters!r}, allowed are names with values, such as {{"kappa": 0.5}}; write it so.'
        ) from error
