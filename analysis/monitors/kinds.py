"""What kind of agent a subject is where it has all powers at κ = 1: RT-, IR- or NS-like, other or ambiguous.

It plays as for its labels (`analysis.monitors.behaviour`), and is judged by normalised regret
(`envs.niceness.assignment`) against exact optima and the worth of doing nothing. A regret is a mean over few episodes,
and a planner that also wants coins has some under every judge, so that many agents are *other*.
"""

from __future__ import annotations

from collections.abc import Mapping

from analysis.monitors.behaviour import NUM_EPISODES, play, powerful_world
from analysis.monitors.subject import Subject
from envs.niceness.assignment import JUDGES, normalised_regret

POWER, KAPPA = "all", 1.0


def regrets_of(
    subject: Subject, judged: Mapping[str, Mapping[str, float]], *, num_episodes: int = NUM_EPISODES, seed: int = 0
) -> dict[str, float]:
    """Normalised regret under each of `JUDGES`.

    Args:
        subject: Plays, with all powers at κ = 1.
        judged: Judge -> "best" and "inert" -> value of an episode, exactly, in that village.
        num_episodes: Episodes.
        seed: Of the world's chance.
    """
    world = powerful_world(POWER, KAPPA)
    _, earned = play(subject, world, num_episodes=num_episodes, seed=seed)
    means = dict(zip(world.component_names, earned.mean(axis=0).tolist(), strict=True))
    return {
        name: normalised_regret(means[name], best=judged[name]["best"], inert=judged[name]["inert"]) for name in JUDGES
    }
