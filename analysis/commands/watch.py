"""`valuelab watch`: a trained agent at play, with V of every state, in the terminal or as an animation."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Iterable, Iterator

from analysis.cli_shown import Watch
from analysis.commands.actors import with_settings
from analysis.commands.environments import import_packages
from analysis.commands.folders import require_file
from analysis.commands.printing import say
from analysis.plots.animation import Frame, require_suffix, save_animation, with_caption
from analysis.runs import open_run
from analysis.shown import Show
from analysis.terminal import show_screen
from analysis.watching import Sight, watch
from envs.errors import require_integer, require_number
from envs.registry import is_world_id
from envs.render import colours_of_planes

LAST_STATE = 4
"""How many times as long as the others the last state of an episode is shown."""
NUM_LINES, LINE_LENGTH = 3, 44
"""Of what a picture's caption says of a step."""


def run(command: Watch) -> int:
    """Play, and show or write every state."""
    require_integer("--episodes", command.episodes, low=1, high=10**6)
    require_integer("--seed", command.seed, low=0, high=2**63 - 1)
    require_number("--delay", command.delay, low=0.0, high=60.0)
    if command.out is not None:
        require_suffix(command.out)
        require_file(command.out)
    actor = with_settings(command.actor, command.search)
    import_packages(command.imports)
    opened = open_run(command.run)
    split = command.split or ("test" if is_world_id(opened.env_id) else None)
    show = Show(opened.env_id, options=opened.options, split=split, as_text=command.out is None)
    sights = watch(opened.agent, show, actor=actor, num_episodes=command.episodes, seed=command.seed)
    if command.out is None:
        _in_the_terminal(sights, show, seconds=command.delay)
    else:
        count = save_animation(_frames(sights, show, seconds=command.delay), command.out)
        say(f"{command.out}: {count} frames of {command.episodes} episodes of {actor} on {opened.env_id}.")
    return 0


def _seconds(sight: Sight, seconds: float) -> float:
    return seconds * (LAST_STATE if sight.moment.ending else 1)


def _in_the_terminal(sights: Iterable[Sight], show: Show, *, seconds: float) -> None:
    """Show one state after the other; where stdout is no terminal, all of them below each other at once."""
    for sight in sights:
        show_screen("\n".join((sight.words(), sight.values(), show.text(sight.stream))))
        if sys.stdout.isatty():
            time.sleep(_seconds(sight, seconds))


def _frames(sights: Iterable[Sight], show: Show, *, seconds: float) -> Iterator[Frame]:
    """One captioned picture for each state: colours, V, the step, and what the observation shows beside the room."""
    legend = {} if show.world is None else colours_of_planes(show.world)
    for sight in sights:
        step = textwrap.wrap(sight.words(), LINE_LENGTH, max_lines=NUM_LINES)
        lines = [sight.values(), *show.shown(sight.stream), *step, *[""] * (NUM_LINES - len(step))]
        yield Frame(with_caption(show.picture(sight.stream), lines, legend=legend), _seconds(sight, seconds))
