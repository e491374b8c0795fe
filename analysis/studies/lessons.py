"""What an arm learns from: the one recording, as the arm is told it.

Arms differ in the event labels that they see, in the order of the steps, and in what V shall be at each step; the
observations are the same for all.

Shapes: n recorded steps, E episodes.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from agents.agent import AlphaAgent
from agents.batches import all_values
from agents.config import ValueConfig
from agents.outcomes import outcomes_of
from agents.returns import Flags, Floats
from agents.seeding import numpy_generator
from agents.streams import Indices
from analysis.arms import Arm
from analysis.cells import CellContext
from analysis.studies.exact_values import EXACT, read_values
from analysis.studies.yoked import Recording, fitted_agent
from envs.episodes import Episodes, episode_of_step


@dataclasses.dataclass(frozen=True)
class Lesson:
    """Arguments of `agents.values.fit_values` in which arms differ.

    Attributes:
        episodes: The recording, with the event labels that the arm is told.
        withheld: bool[n], steps whose label is withheld; None withholds none.
        blocks: int64[n], the block of each step for an arm that learns one event after the other; else None.
        totals: float64[n], what V shall be; None for the recorded outcomes.
    """

    episodes: Episodes
    withheld: Flags | None
    blocks: Indices | None
    totals: Floats | None


def lesson_of(context: CellContext, arm: Arm, recording: Recording) -> Lesson:
    """What the arm of a fit's cell learns from; reads its teacher's, or the exact, values from the cell's parents."""
    seed, episodes = int(context.config["seed"]), recording.episodes
    return Lesson(
        episodes=arm_episodes(episodes, arm, seed=seed),
        withheld=None if arm.labelled_share == 1.0 else unlabelled(episodes, arm.labelled_share, seed=seed),
        blocks=event_blocks(episodes, seed=seed) if arm.in_blocks else None,
        totals=_totals(context, arm, recording),
    )


def arm_episodes(episodes: Episodes, arm: Arm, *, seed: int) -> Episodes:
    """The recording with the event labels that the arm is told: ROUTE-RAND gets those of other episodes.

    One shuffle per seed, over the episodes that hold an event; frequencies are kept, and no other array changes. An
    episode whose events are several has those of one kind, as on Triad, and gets another's kind for all of them.
    """
    if not arm.shuffled_events:
        return episodes
    events = episodes.events.copy()
    steps = np.flatnonzero(events >= 0)
    _, first, holder = np.unique(episode_of_step(episodes)[steps], return_index=True, return_inverse=True)
    events[steps] = numpy_generator(seed, "comparison", "shuffled events").permutation(events[steps[first]])[holder]
    return dataclasses.replace(episodes, events=events)


def unlabelled(episodes: Episodes, labelled_share: float, *, seed: int) -> Flags:
    """bool[n], the steps of the episodes whose event label is not told; larger shares hold the smaller."""
    draws = numpy_generator(seed, "comparison", "labelled episodes").random(len(episodes.levels))
    withheld: Flags = (draws >= labelled_share)[episode_of_step(episodes)]
    return withheld


def event_blocks(episodes: Episodes, *, seed: int) -> Indices:
    """The block int64[n] of each step: that of its episode's last event, in an order of events drawn per seed.

    An episode without an event goes to the block of a randomly drawn episode, so that every step is learned.
    """
    rng = numpy_generator(seed, "comparison", "blocks")
    last = np.full(len(episodes.levels), -1, np.int64)
    steps = np.flatnonzero(episodes.events >= 0)
    last[episode_of_step(episodes)[steps]] = episodes.events[steps]
    last = np.where(last >= 0, last, rng.choice(last[last >= 0], size=len(last)))
    names, block = np.unique(last, return_inverse=True)
    blocks: Indices = rng.permutation(len(names))[block][episode_of_step(episodes)]
    return blocks


def _totals(context: CellContext, arm: Arm, recording: Recording) -> Floats | None:
    if arm.lesson == "outcomes":
        return None
    if arm.teacher is None:
        return read_values(context.parent(EXACT).folder)[arm.lesson]
    teacher = fitted_agent(context)
    return taught(teacher, recording, noisy=arm.lesson == "noisy teacher", seed=context.config["seed"])


def taught(teacher: AlphaAgent, recording: Recording, *, noisy: bool, seed: int) -> Floats:
    """A teacher's V at every recorded step, float64[n].

    Args:
        teacher: V∘E, with the player's encoding.
        recording: The episodes.
        noisy: Add the outcomes' residuals around the teacher, shuffled over all steps: the noise of outcomes, telling
            nothing of them.
        seed: Of the shuffle.
    """
    values, final_values = all_values(teacher.value_head, recording.encoded, encoder=teacher.value_encoder)
    if not noisy:
        return values
    outcomes = outcomes_of(teacher, recording.episodes, ValueConfig()).totals(values, final_values)
    shuffled = numpy_generator(seed, "comparison", "noise of outcomes").permutation(outcomes - values)
    return np.asarray(values + shuffled)
