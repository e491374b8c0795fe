"""`valuelab play`: an environment by hand, shown as text; finished episodes can be recorded for imitation."""

from __future__ import annotations

import dataclasses
import itertools
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from agents.playing import Played, play
from agents.recorder import episodes_from
from agents.seeding import derive_seed
from analysis.cli_shown import Play
from analysis.commands.environments import import_packages, parse_options, require_options
from analysis.commands.folders import require_writable
from analysis.commands.printing import say
from analysis.hand_play import QUIT, RESET, Abandoned, Hand, bindings, legend
from analysis.shown import Show, ShownStream
from analysis.terminal import key_names, show_screen, typed_characters
from envs.episodes import Episodes, concatenate, episode_returns, save_episodes
from envs.errors import UserError, require_integer


def run(command: Play) -> int:
    """Play until the keys run out, then write what was asked for."""
    require_integer("--seed", command.seed, low=0, high=2**31 - 1)
    if command.record is not None:
        _require_new(command.record)
    import_packages(command.imports)
    options = parse_options(command.options)
    require_options(command.env_id, options)
    show = Show(command.env_id, options=options, split=command.split, as_text=True)
    bound = bindings(show.action_names)
    if not sys.stdout.isatty():
        say(legend(show.action_names), "")
    parts: list[Episodes] = []
    # Whoever stops by Ctrl-C keeps what was finished.
    with _keys([*bound, QUIT, RESET]) as keys, suppress(KeyboardInterrupt):
        for played in _finished(command, show, keys, bound=bound):
            parts.append(episodes_from(played, show.world, env_id=command.env_id, options=options))
    _conclude(parts, command)
    return 0


def _require_new(path: Path) -> None:
    """Refuse a file that is there, and one that cannot be written."""
    if path.exists():
        raise UserError(f"'{path}' is there already, and episodes played by hand are not overwritten; choose another.")
    require_writable(path.parent)


@contextmanager
def _keys(known: list[str]) -> Iterator[Iterator[str]]:
    """Keys by name: as they are typed on a terminal, else those of one line of stdin, of which all must be known."""
    if sys.stdin.isatty():
        with typed_characters(sys.stdin.fileno()) as characters:
            yield key_names(characters)
        return
    line = [key for key in key_names(sys.stdin.readline()) if not key.isspace()]
    for key in line:
        if key not in known:
            raise UserError(f"Key {key!r} does nothing here; there are {' '.join(known)}.")
    yield iter(line)


def _finished(command: Play, show: Show, keys: Iterator[str], *, bound: dict[str, int]) -> Iterator[Played]:
    """The episodes that came to an end; those that were abandoned are left out."""
    for episode in itertools.count():
        seed = command.seed if episode == 0 else derive_seed(command.seed, "play", episode, bits=31)
        stream = show.begin([seed] if show.world is None else command.seed, episode=episode)

        def draw(stream: ShownStream = stream, episode: int = episode) -> None:
            text = show.text(stream, with_context=command.show_context)
            # A terminal shows one state at a time, so that the keys must stand beside each.
            keys_line = f"\n{legend(show.action_names)}" if sys.stdout.isatty() else ""
            show_screen(f"episode {episode}, {stream.moment.words()}\n{text}{keys_line}")

        is_ours = show.world is not None
        try:
            played = play(
                stream, Hand(keys, bound, draw), episodes_per_env=1, keep_observations=not is_ours, keep_rows=is_ours
            )
        except Abandoned as abandoned:
            if abandoned.key == QUIT:
                return
            continue
        draw()
        yield played if is_ours else _with_seed(played, seed)
        say(f"The episode is over: {RESET} begins the next one, {QUIT} quits.")
        if next((key for key in keys if key in (QUIT, RESET)), QUIT) == QUIT:
            return


def _with_seed(played: Played, seed: int) -> Played:
    """The seed of the reset in the place of a foreign environment's level."""
    return dataclasses.replace(played, levels=np.array([seed], np.int64))


def _conclude(parts: list[Episodes], command: Play) -> None:
    """Say what was earned, and write the episodes where they were asked for."""
    path = command.record
    if not parts:
        say("No episode was finished" + ("." if path is None else f", so '{path}' was not written."))
        return
    episodes = concatenate(parts)
    say(f"{len(parts)} finished, mean return {np.mean(episode_returns(episodes)):.3g}.")
    if path is not None:
        save_episodes(path, episodes)
        given = [("--option", word) for word in command.options] + [("--import", word) for word in command.imports]
        words = [command.env_id, *itertools.chain.from_iterable(given), "--demonstrations", str(path)]
        say(f"Recorded in {path}.", f"Next: valuelab train {shlex.join(words)}")
