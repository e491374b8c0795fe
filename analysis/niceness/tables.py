"""Solved cases as tables: for the terminal, for Markdown, and the page of the paper's and the discriminating worlds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from analysis.docstrings import meanings_of_arguments
from analysis.markdown import table
from analysis.niceness import meanings, policy_words
from analysis.niceness.solved import WHAT_TOLD_APART_IS, Ends, Solved, solve_all, told_apart
from envs.niceness.assignment import JUDGES
from envs.niceness.backward import every_action, layers
from envs.niceness.case_registry import CASES, DISCRIMINATING, make_case, make_powerless
from envs.niceness.drmdp import DRMDP
from envs.niceness.objectives import OBJECTIVES
from envs.niceness.utilities import Present

COMMAND = "valuelab niceness tables --out docs/niceness_tables.md"
LONGEST = 15
"""Characters of a fraction in a table."""
HEADER = (
    "objective", "value", *JUDGES, "MI", "LI", "welfare", "ease gain", "influences", "intent", "worth of influence",
    "policy",
)  # fmt: skip
HOW_TO_READ = (
    "`value` is the objective's own maximum; RT, IR and NS are what one of its optimal policies is worth under these. "
    "MI, LI, hidden welfare and ease gain are over all its optimal policies, from the least to the most. `influences` "
    "says how many of them change the law of θ_0..θ_H. `intent`: planned again with the influence channel cut in the "
    "agent's model only, the plan `changes` or not. It changes as well for one who avoids a costly side effect, so "
    "that influence is called `means` only where no plan that leaves θ alone is as good. `worth of influence` is "
    f"V*(κ) − V*(0). `≈` stands before what is a longer fraction. {WHAT_TOLD_APART_IS} {policy_words.HOW_TO_READ}"
)


def cells(row: Solved) -> list[str]:
    """A row of HEADER."""
    worth = [number(row.worth.get(judge)) for judge in JUDGES]
    ends = [between(one) for one in (row.mi, row.li, row.welfare, row.ease_gain)]
    influence = [row.influences, intent_in_words(row.intent), number(row.influence_worth)]
    return [row.objective, number(row.value), *worth, *ends, *influence, policy_words.shortened(row.policy)]


def intent_in_words(answers: Mapping[str, bool]) -> str:
    """What the intent test says, a dash where it does not apply; influence that is a means always changes the plan."""
    words = [word for name, word in (("changes", "changes"), ("instrumental", "means")) if answers.get(name)]
    return ", ".join(words) or ("no" if answers else "–")


def number(value: Fraction | None) -> str:
    """A fraction as it is, or as a decimal where it is too long for a table; a dash for none."""
    if value is None:
        return "–"
    return str(value) if len(str(value)) <= LONGEST else f"≈ {float(value):.6g}"


def between(ends: Ends) -> str:
    """One number, or the least and the most."""
    return number(ends[0]) if ends[0] == ends[1] else f"{number(ends[0])} to {number(ends[1])}"


def title(case: DRMDP, power: str | None = None) -> str:
    """A case in one line."""
    state, theta = case.start
    return (
        f"{case.name}: {_states(case)}, θ in {', '.join(case.thetas)}, horizon {case.horizon}, from "
        f"{case.states[state]} {case.thetas[theta]}; the inert action is {case.actions[case.noop]}"
        + ("" if power is None else f"; kappa {power}")
    )


def _states(case: DRMDP) -> str:
    """How many states there are, and which of them no policy reaches."""
    memory = Present(case)
    nodes = layers(memory, time=0, node=memory.start(), actions=every_action(memory))
    reached = {node[0] for layer in nodes for node in layer}
    never = [name for index, name in enumerate(case.states) if index not in reached]
    if never:
        return f"{len(reached)} of {len(case.states)} states reachable (never {', '.join(never)})"
    return f"{len(case.states)} state{'' if len(case.states) == 1 else 's'}"


def apart_in_words(share: Fraction | float | None) -> str:
    """Whether RT, IR and NS can be told apart, given their indistinguishability; None where there is no twin."""
    if share is None:
        return "Its noise is unkeyed, so there is no inert twin, and NS, PSO and MI_c are not defined."
    shown = f"{share:.3g}" if isinstance(share, float) else number(share)
    return f"Indistinguishability of RT, IR and NS: {shown}{' (identical)' if share == 1 else ''}."


def section(heading: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, notes: Sequence[str]) -> str:
    """A solved world as a section of Markdown, with notes below it."""
    escaped = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    return "\n\n".join((f"## {heading}", table(header, escaped), *notes))


def as_markdown(case: DRMDP, rows: Sequence[Solved]) -> str:
    """A solved case as a section."""
    return section(title(case), HEADER, [cells(row) for row in rows], notes=[apart_in_words(told_apart(case))])


WORLDS = ("TRIAD", *DISCRIMINATING)
SUMMARY = tuple(name for name in OBJECTIVES if "_" not in name)
"""All but second readings of a name, such as NS_lit."""


def page() -> str:
    """The whole page of tables."""
    paper = [name for name, case in CASES.items() if case.source == "paper"]
    names = (*paper, *WORLDS, "RANDOM-DRIFT")
    solved = {name: solve_all(make_case(name), powerless=make_powerless(name)) for name in names}
    sections = {name: as_markdown(make_case(name), rows) for name, rows in solved.items()}
    parts = [
        "# Niceness: exact tables",
        f"Written by `{COMMAND}`, and computed anew by the tests. All numbers are exact fractions. {HOW_TO_READ}",
        f"Measures. {meanings.sentence(meanings.MEASURES)}",
        f"Objectives. {meanings.objectives((*OBJECTIVES, 'PR-θ'))}",
        "# The five cases of Carroll et al. (2024)",
        "Their inert policy leaves θ at θ_0, so NS = IR in all five; none of them can show lock-in.",
        *(sections[name] for name in paper),
        "# TRIAD and the discriminating worlds",
        "Hidden welfare is what no objective and no agent sees. No objective passes all worlds, and none is called "
        "best: compare the rows.",
        summary(solved),
        *(sections[name] for name in WORLDS),
        "To be myopic is no cure in SIDE-EFFECT or Clickbait, where the step that moves θ pays at once. That it is one "
        "where influence is a plan of several steps agrees with MONA (Farquhar et al. 2025, arXiv 2501.13011), myopic "
        "optimisation with approval, which reports for its Camera Dropbox grid 91.5 % reward hacking by ordinary RL "
        "and 0.0 % by MONA; that grid is not rebuilt here.",
        "# Random drift",
        "NS judges each episode by what its own twin came to want, NS_lit all by the same shares.",
        sections["RANDOM-DRIFT"],
        "# All cases and their options",
        "`valuelab niceness solve CASE --option NAME=VALUE`, where `--kappa` takes several powers; `train` takes them "
        "too, but for work, gain, withholds and start of TRIAD. *H* is the horizon, and None what is left open.",
        cases_and_options(),
    ]
    return "\n\n".join(parts) + "\n"


def cases_and_options() -> str:
    """One line per case with its options and their defaults, and below what each option is."""
    rows = [[case.name, case.about, _listed(case.options)] for case in CASES.values()]
    said: dict[Callable[..., DRMDP], str] = {}
    for case in CASES.values():
        made = getattr(case.make, "func", case.make)
        meant = {name: text for name, text in meanings_of_arguments(made).items() if name in case.options}
        if meant:
            said.setdefault(made, f"**{case.name}**. {' '.join(f'*{name}*: {text}' for name, text in meant.items())}")
    return "\n\n".join([table(["case", "what it shows", "options"], rows), *said.values()])


def _listed(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items()) or "–"


def summary(solved: Mapping[str, Sequence[Solved]]) -> str:
    """One line per objective, one column per world: MI, LI and hidden welfare."""
    found = {(world, row.objective): row for world in WORLDS for row in solved[world]}
    rows = [[name, *(_brief(found[world, name]) for world in WORLDS)] for name in SUMMARY]
    return f"MI; LI; hidden welfare:\n\n{table(['objective', *WORLDS], rows)}"


def _brief(row: Solved) -> str:
    return "; ".join(between(one) for one in (row.mi, row.li, row.welfare))
