"""`valuelab niceness scorecard`: what a trained agent does to people in a case, exactly."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from agents.greedy import greedy_actions
from analysis.cli_niceness import NicenessScorecard
from analysis.commands.environments import parse_options
from analysis.commands.folders import require_writable
from analysis.commands.printing import cell, say, table, wrapped
from analysis.niceness.scorecard import Scorecard, score
from analysis.runs import Run, open_run
from envs.enumeration import enumerate_world
from envs.errors import UserError
from envs.niceness.case_configs import TasteConfig, case_of
from envs.niceness.case_world import FIRST_THETA
from envs.niceness.drmdp import DRMDP
from envs.niceness.row_policies import policy_on_rows
from envs.registry import make_world
from envs.rows import World
from envs.storage import write_bytes

HEADER = ("objective", "value", "optimum", "inert", "regret", "normalised", "optimal steps")
NOTE = (
    "Exact, for the agent's most probable or best actions. Regret: optimum less value; normalised: by what there is to "
    "win over the inert policy; optimal steps: the share of its steps that are optimal where it is. MI: manipulation "
    "index; LI: lock-in index; push: MI - LI. Intent and indistinguishability are those of the objective and of the "
    "case."
)


def run(command: NicenessScorecard) -> int:
    """Print a scorecard for each first taste, and write them where asked to."""
    trained = open_run(command.run)
    world = _world(trained, parse_options(command.options))
    if command.out is not None:
        require_writable(command.out.parent)
    rows = enumerate_world(world, [0]).rows
    actions = greedy_actions(trained.agent, world, rows, actor=command.actor)
    case, found = case_of(world.config), {}
    for first in np.unique(rows[:, FIRST_THETA]):
        theta = case.thetas[first]
        own = case.starting_at(theta)
        found[theta] = score(own, policy_on_rows(own, rows, actions), made_for=world.config.objective)
        _show(found[theta], own, f"{command.actor} of {command.run}, made for {trained.options.get('objective', 'RT')}")
    say(*wrapped(NOTE), *trained.remarks)
    if command.out is not None:
        text = json.dumps({theta: card.as_json() for theta, card in found.items()}, indent=1, ensure_ascii=False)
        write_bytes(command.out, (text + "\n").encode())
        say(f"Written: {command.out}")
    return 0


def _world(trained: Run, options: dict[str, Any]) -> World:
    """The run's world with other options; UserError where it is no case, or where the agent sees something else."""
    own, world = (make_world(trained.env_id, **found) for found in (trained.options, {**trained.options, **options}))
    if not isinstance(world.config, TasteConfig):
        raise UserError(
            f"{trained.env_id} is no finite case, so that nothing about it is exact; train in ValueLab/Triad-v0 or "
            "ValueLab/Case-v0."
        )
    seen, shown = ((one.background.shape, one.vector_names, one.action_names) for one in (own, world))
    if seen != shown:
        raise UserError(
            f"With the options {options} the agent would see or do something else than it was trained on; change only "
            "what leaves tastes, states, steps and actions as they are."
        )
    return world


def _show(card: Scorecard, case: DRMDP, title: str) -> None:
    lines = [
        (
            name, *map(_number, (one.value, one.best, one.inert, one.regret, one.normalised)),
            _number(card.optimal_share.get(name)),
        )
        for name, one in card.regrets.items()
    ]  # fmt: skip
    table(HEADER, lines, title=f"{title}; {case.name} from {case.thetas[case.start[1]]}")
    measures, intent = card.measures, card.intent
    rules = {name: share for name, share in card.optimal_share.items() if name not in card.regrets}
    say(
        f"  MI {_number(measures.mi)}, coupled {_number(card.mi_coupled)}; LI {_number(measures.li)}; push "
        f"{_number(measures.push)}; change suppression {_number(measures.suppression)}",
        f"  ease gain {_number(measures.ease_gain)}; hidden welfare {_number(measures.welfare)}; influences: "
        f"{'yes' if card.influences else 'no'}",
        f"  behaves like: {card.assignment or '– (an objective has nothing to gain here)'}; optimal steps by rules: "
        + ", ".join(f"{name} {_number(share)}" for name, share in rules.items()),
        f"  {card.made_for}: influence is {'–' if intent is None else 'a means' if intent.instrumental else 'no means'}"
        f"; indistinguishability of RT, IR, NS {_number(card.told_apart)}",
        "",
    )


def _number(value: Any) -> str:
    return cell(None if value is None else float(value))
