"""`valuelab evaluate`: a trained agent's returns on training and held-out levels, actor by actor."""

from __future__ import annotations

from agents.actors import actors_of
from agents.device import resolve_device
from agents.environments import world_of
from agents.exact import ValueAccuracy, accuracy_on_training_levels
from agents.measuring import measure
from analysis.cli import Evaluate
from analysis.commands.actors import with_settings
from analysis.commands.environments import import_packages
from analysis.commands.printing import say
from analysis.commands.returns import show, show_accuracy
from analysis.progress import showing
from analysis.runs import Run, open_run
from envs.errors import require_integer


def run(command: Evaluate) -> int:
    """Play, and print the table."""
    require_integer("--episodes", command.episodes, low=1, high=10**7)
    require_integer("--seed", command.seed, low=0, high=2**63 - 1)
    actor = "both" if command.actor == "both" and not command.search else with_settings(command.actor, command.search)
    import_packages(command.imports)
    opened = open_run(command.run)
    device, line = resolve_device(command.device)
    say(line, *opened.remarks)
    with showing("evaluate") as display:
        lines = measure(
            opened.agent.to(device), opened.env_id, options=opened.options, actors=_actors(actor, opened),
            num_episodes=command.episodes, seed=command.seed, progress=display.tell,
        )  # fmt: skip
        display.tell(0.9, "comparing V with its exact value")
        accuracy = _accuracy(opened)
    show(lines, title=f"{opened.agent.config.head} on {opened.env_id}")
    show_accuracy(accuracy)
    return 0


def _accuracy(opened: Run) -> ValueAccuracy | None:
    world = world_of(opened.env_id, opened.options)
    if world is None or opened.uniform_share is None:
        return None
    return accuracy_on_training_levels(opened.agent, world, uniform_share=opened.uniform_share)


def _actors(asked: str, opened: Run) -> tuple[str, ...]:
    """The actors to play; "both" leaves V1 out, and says so, where it cannot look ahead."""
    if asked != "both":
        return (asked,)
    world = world_of(opened.env_id, opened.options)
    actors = actors_of(world)
    if "V1" not in actors:
        lacks = "a world's kernel, which {} has not" if world is None else "listed outcomes, of which {} has too many"
        say(f"Actor V1 is left out: it looks ahead with {lacks.format(opened.env_id)}.")
    return actors
