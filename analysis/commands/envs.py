"""`valuelab envs`: our worlds, and how to use anybody else's."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from typing import Any

from analysis.commands.printing import say, table
from analysis.docstrings import meanings
from envs.registry import WORLDS, make_world, world_id
from envs.rows import World
from envs.worlds.options import WorldConfig

FOREIGN = """\
Any other Gymnasium environment with Box, Dict or Discrete observations and Discrete actions works as well; text in a
Dict is dropped. MiniGrid comes with valuelab:
  valuelab train MiniGrid-Empty-8x8-v0
For others, name the package that registers them (an installed one, or a module in the current folder):
  valuelab train THEIR-ID --import their_package
They have no kernel, so actor V1 is refused and the swaps of `valuelab probe` are left out; a plan found by search
stands in for the exact optimum where the environment is small and deterministic. One that is registered without a time
limit gets one of 4000 steps; --option max_episode_steps=N sets another."""


def run() -> int:
    """Print a table for each world, and the words on foreign environments."""
    for name in WORLDS:
        _show(name)
    say("Options are given as --option NAME=VALUE, such as --option size=5.", "", FOREIGN)
    return 0


def _show(name: str) -> None:
    config_class, world = WORLDS[name].config, make_world(name)
    texts = meanings(config_class)
    shared = {field.name for field in dataclasses.fields(WorldConfig)}
    fields = sorted(dataclasses.fields(config_class), key=lambda field: field.name in shared)
    rows = [(field.name, _default(field, world), texts.get(field.name, "")) for field in fields]
    table(("option", "default", "meaning"), rows, title=f"{world_id(name)}: {_first_sentence(world)}")
    facts = [("dose", ", ".join(WORLDS[name].dose) or "none"), *_facts(world)]
    facts += [("variants", variant) for variant in _variants(name)]
    say(*(f"  {label + ':':15}{text}" for label, text in facts), "")


def _facts(world: World) -> list[tuple[str, str]]:
    contexts = ", ".join(world.context_names) or "none"
    height, width = world.grid
    return [
        ("contexts", f"{contexts} (in info['context']; what `valuelab probe` looks for)"),
        ("planes", f"{', '.join(world.plane_names)} on {height} x {width} cells"),
        ("vector", ", ".join(world.vector_names) or "none"),
        ("actions", ", ".join(world.action_names)),
        ("components", f"{', '.join(world.component_names)} (reward is their weighted sum)"),
        ("events", ", ".join(world.event_names) or "none"),
        ("time limit", f"{world.time_limit} steps, discount {world.discount}"),
    ]


def _variants(name: str) -> list[str]:
    """The ids of a family's variants, each with the options that it stands for."""
    return [
        f"{world_id(f'{name}-{variant}')} ({', '.join(f'{option}={value}' for option, value in options.items())})"
        for variant, options in WORLDS[name].variants.items()
    ]


def _default(field: dataclasses.Field[Any], world: World) -> str:
    """The default as the world understands it: an empty pairing stands for the identity."""
    return str(getattr(world.config, field.name))


def _first_sentence(world: World) -> str:
    """What the world's module says of it in its first sentence."""
    text = " ".join((inspect.getdoc(sys.modules[world.module]) or "").split())
    return text.partition(": ")[2].partition(".")[0] + "."
