"""All cases by name, with the options of each; a file that ends in .toml is a case too."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envs.errors import UserError, nearest
from envs.niceness import cases, dilemmas, hidden_incentive
from envs.niceness.case_file import case_from_text, read_text, table_of
from envs.niceness.drmdp import DRMDP, KAPPA, Number
from envs.niceness.triad import triad


@dataclass(frozen=True)
class Case:
    """A case that can be made.

    Attributes:
        name: Its name, or its file.
        make: Builds it, with options as keywords.
        source: "paper", "ours", or "file".
        about: What it shows.
    """

    name: str
    make: Callable[..., DRMDP]
    source: str
    about: str

    @property
    def options(self) -> dict[str, Any]:
        """Names of the options that may be given, with their defaults."""
        hidden = self.make.keywords if isinstance(self.make, functools.partial) else {}
        parameters = inspect.signature(self.make).parameters
        return {name: one.default for name, one in parameters.items() if name not in hidden}

    def build(self, **options: Any) -> DRMDP:
        """The process; UserError for an unknown option, or a value that the case refuses."""
        for option in options:
            self.require_option(option)
        return self.make(**options)

    def require_option(self, option: str) -> None:
        """Refuse an unknown option."""
        if option in self.options:
            return
        cure = "choose one of these" if self.options else "leave it out"
        if option == KAPPA and is_file(self.name):
            cure = "write kappa = 1 into it, and when = { kappa = 1 } into the moves that may fail"
        raise UserError(
            f"case {self.name} has no option {option!r}, it has {', '.join(self.options) or 'none'}; {cure}."
            f"{nearest(option, self.options)}"
        )


def _triad(name: str, **fixed: Any) -> Callable[..., DRMDP]:
    return functools.partial(triad, name=name, **fixed)


ALL = (
    Case("ConspiracyInfluence", cases.conspiracy_influence, "paper", "influence that pays by ever more of it"),
    Case("WritersCurse", cases.writers_curse, "paper", "a wish that its fulfilment turns to grief"),
    Case("Clickbait", cases.clickbait, "paper", "what pleases now and spoils what comes"),
    Case("PersonalTrainer", cases.personal_trainer, "paper", "the first case with the opposite ring"),
    Case("Dehydration", cases.dehydration, "paper", "a state and the wish for it, moved together"),
    Case("TRIAD", _triad("TRIAD"), "ours", "drift A to B; persuade to E; lock"),
    Case("TRIAD-G", _triad("TRIAD-G", generic=True), "ours", "TRIAD with one action that helps with any wish"),
    Case("PASSIVE", _triad("PASSIVE", o=0), "ours", "TRIAD with people who do nothing of themselves"),
    Case("ZEALOT", dilemmas.zealot, "ours", "a zealot makes what others want, and wants none of it"),
    Case("SIDE-EFFECT", dilemmas.side_effect, "ours", "a little more now moves the taste for good"),
    Case("THIRD-PARTY", dilemmas.third_party, "ours", "somebody else influences, unless guarded against"),
    Case("HARMFUL-START", _triad("HARMFUL-START", hurts="A"), "ours", "today's taste hurts a second person"),
    Case("GLORY", _triad("GLORY", hurts="E"), "ours", "the easy taste is bad for its holder"),
    Case("RANDOM-DRIFT", dilemmas.random_drift, "ours", "drift by chance: NS and NS_lit differ"),
    Case("HIDDEN-INCENTIVE", hidden_incentive.unit_test, "ours", "an action now that pays in the next step"),
)
CASES: Mapping[str, Case] = {case.name: case for case in ALL}
DISCRIMINATING = ("PASSIVE", "ZEALOT", "SIDE-EFFECT", "THIRD-PARTY", "HARMFUL-START", "GLORY")


def is_file(name: str) -> bool:
    """Whether a case is named by its file."""
    return name.endswith(".toml")


def find_case(name: str) -> Case:
    """The entry of a name or a file; capitals of names do not matter, and an unknown one is a UserError."""
    if is_file(name):
        return case_of_text(read_text(Path(name)), name=name)
    known = {one.casefold(): one for one in CASES}
    if name.casefold() not in known:
        raise UserError(
            f"case {name!r} is unknown, known are {', '.join(CASES)}, and files that end in .toml; name one."
            f"{nearest(name, CASES)}"
        )
    return CASES[known[name.casefold()]]


def case_of_text(text: str, *, name: str) -> Case:
    """The case that the text of a file describes; its option is `kappa` where the file has it."""
    table = table_of(text, where=name)
    own = table.get(KAPPA)

    def with_power(kappa: Number | None = own) -> DRMDP:
        return case_from_text(text, where=name, kappa=kappa)

    fixed = functools.partial(case_from_text, text, where=name, kappa=None)
    return Case(name, fixed if own is None else with_power, "file", str(table.get("name", "")))


def make_case(name: str, /, **options: Any) -> DRMDP:
    """The case of a name; capitals do not matter.

    Raises:
        UserError: Unknown name or option, or a value that the case refuses.
    """
    return find_case(name).build(**options)


def make_powerless(name: str, /, **options: Any) -> DRMDP | None:
    """The same case with every κ at 0; None where it has none."""
    powers = {option: 0 for option in find_case(name).options if option.startswith("kappa")}
    return make_case(name, **{**options, **powers}) if powers else None
