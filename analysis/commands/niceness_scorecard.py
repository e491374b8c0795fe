"""`valuelab niceness scorecard`: what a trained agent does to people in a case or in the village, exactly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from agents.greedy import greedy_actions
from analysis.cli_niceness import NicenessScorecard
from analysis.commands.environments import parse_options
from analysis.commands.folders import require_file
from analysis.commands.printing import cell, say, table, wrapped
from analysis.niceness import meanings
from analysis.niceness.scorecard import Scorecard, score
from analysis.niceness.solved import WHAT_TOLD_APART_IS
from analysis.niceness.tables import intent_in_words
from analysis.niceness.village_card import score_village
from analysis.runs import Run, open_run
from envs.coupling import real_half
from envs.enumeration import enumerate_world
from envs.errors import UserError
from envs.niceness.case_configs import TasteConfig, case_of
from envs.niceness.case_world import FIRST_THETA
from envs.niceness.row_policies import policy_on_rows
from envs.niceness.village_config import THETAS, VillageConfig
from envs.niceness.village_row import thetas_of
from envs.registry import make_world
from envs.rows import World
from envs.states import Floats, Rows
from envs.storage import write_bytes

UNTOLD = ("objective", "parameters")
HEADER = ("objective", "value", "optimum", "inert", "regret", "normalised", "optimal steps")
NOTE = (
    "Exact, for the agent's most probable or best actions. Intent and indistinguishability are those of the objective "
    "and of the world: the plan changes, or not, once the influence channel is cut in the agent's model; in a case, "
    f"influence is called means where no plan that leaves tastes alone is as good. {WHAT_TOLD_APART_IS}"
)


def run(command: NicenessScorecard) -> int:
    """Print a scorecard for each first taste, and write them where asked to."""
    trained = open_run(command.run)
    options = parse_options(command.options)
    if "objective" in options:
        raise UserError("A scorecard judges under every objective, whatever was paid; leave out --option objective.")
    world = _world(trained, options)
    if command.out is not None:
        require_file(command.out)
    facts, found = _facts(command, trained, world, options=options), {}
    say(*trained.remarks)
    for first, card in (_of_village if _is_village(world) else _of_case)(trained, world, command.actor):
        found[first] = facts | card.as_json()
        _show(card, _title(card, facts, first=first))
    judged = {name for card in found.values() for name in (*card["values"], *card["optimal_share"])}
    objectives = meanings.objectives(sorted(judged))
    for note in (NOTE, meanings.sentence(meanings.REGRETS), meanings.sentence(meanings.MEASURES), objectives):
        say(*wrapped(note))
    if command.out is not None:
        text = json.dumps(found, indent=1, ensure_ascii=False, default=str)
        write_bytes(command.out, (text + "\n").encode())
        say(f"Written: {command.out}")
    return 0


def _of_case(trained: Run, world: World, actor: str) -> Iterator[tuple[str, Scorecard]]:
    """A scorecard for each first taste."""
    rows = enumerate_world(world, [0]).rows
    actions = greedy_actions(trained.agent, world, rows, actor=actor)
    case = case_of(world.config)
    for first in np.unique(rows[:, FIRST_THETA]):
        own = case.starting_at(case.thetas[first])
        yield case.thetas[first], score(own, policy_on_rows(own, rows, actions), made_for=world.config.objective)


def _of_village(trained: Run, world: World, actor: str) -> Iterator[tuple[str, Scorecard]]:
    """A scorecard for the first tastes of each start, in the first level."""

    def act(rows: Rows) -> Floats:
        seen = rows if world.config.twin else real_half(rows)
        chosen: Floats = np.eye(world.num_actions)[greedy_actions(trained.agent, world, seen, actor=actor)]
        return chosen

    for start in range(world.num_starts):
        first = thetas_of(world.begin([0], [start]), world.config.num_persons)[0]
        card = score_village(world.config, act, made_for=world.config.objective, start=start)
        yield "".join(THETAS[theta] for theta in first), card


def _world(trained: Run, options: dict[str, Any]) -> World:
    """The run's world with other options; UserError where nobody has tastes, or the agent sees something else."""
    other = {"content": None} if "case" in options else {}  # The text that the run keeps is that of its own file.
    now = {**trained.options, **other, **options}
    own, world = (make_world(trained.env_id, **found) for found in (trained.options, now))
    if not isinstance(world.config, TasteConfig | VillageConfig):
        raise UserError(
            f"{trained.env_id} holds no people with tastes, so that there is nothing to score; train in "
            "ValueLab/Triad-v0, ValueLab/Case-v0 or ValueLab/Village-v0."
        )
    seen, shown = ((one.background.shape, one.vector_names, one.action_names) for one in (own, world))
    if seen != shown:
        raise UserError(
            f"With the options {options} the agent would see or do something else than it was trained on; change only "
            "what leaves tastes, states, steps and actions as they are."
        )
    return world


def _is_village(world: World) -> bool:
    return isinstance(world.config, VillageConfig)


def _facts(command: NicenessScorecard, trained: Run, world: World, *, options: dict[str, Any]) -> dict[str, Any]:
    """What the scorecard is of: the agent, and the world by its powers and by all that was said of it, now and then."""
    before, now = make_world(trained.env_id, **trained.options).config, world.config
    told = [name for name in {**now.powers, **trained.options, **options} if name not in UNTOLD and _is_of(now, name)]
    return {
        "run": str(command.run), "actor": command.actor, "env_id": trained.env_id,
        "case": "Village" if _is_village(world) else case_of(now).name,
        "options": {name: _option(now, name) for name in told},
        "trained_with": {name: _option(before, name) for name in told},
    }  # fmt: skip


def _is_of(config: TasteConfig | VillageConfig, name: str) -> bool:
    """Whether a config has an option under this name, rather than under others that it stands for."""
    return name in config.powers or hasattr(config, name)


def _option(config: TasteConfig | VillageConfig, name: str) -> Any:
    return config.powers.get(name, getattr(config, name, None))


def _title(card: Scorecard, facts: dict[str, Any], *, first: str) -> str:
    then, now = facts["trained_with"], facts["options"]
    changed = {name: f" (trained with {then[name]})" for name in now if then[name] != now[name]}
    said = [f"{name} {value}{changed.get(name, '')}" for name, value in now.items() if name != "content"]
    place = ", ".join([f"{facts['case']} from {first}", *said])
    return f"{facts['actor']} of {facts['run']}, made for {card.made_for}; {place}"


def _show(card: Scorecard, title: str) -> None:
    lines = [
        (
            name, *map(_number, (one.value, one.best, one.inert, one.regret, one.normalised)),
            _number(card.optimal_share.get(name)),
        )
        for name, one in card.regrets.items()
    ]  # fmt: skip
    table(HEADER, lines, title=title)
    measures = {name: _number(value) for name, value in card.measures.items()}
    rules = [f"{name} {_number(share)}" for name, share in card.optimal_share.items() if name not in card.regrets]
    say(
        f"  MI {measures['mi']}, coupled {_number(card.mi_coupled)}; LI {measures['li']}; push {measures['push']}; "
        f"change suppression {measures['suppression']}",
        f"  ease gain {measures['ease_gain']}; hidden welfare {measures['welfare']}; influences: "
        f"{'yes' if card.influences else 'no'}",
        f"  behaves like: {card.assignment or '– (an objective has nothing to gain here)'}"
        + f"; optimal steps by rules: {', '.join(rules)}" * bool(rules),
        f"  {card.made_for}: intent {intent_in_words(card.intent)}; indistinguishability of RT, IR, NS "
        f"{_number(card.told_apart)}",
        "",
    )


def _number(value: Any) -> str:
    return cell(None if value is None else float(value))
