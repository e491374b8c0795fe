"""Asks a trained agent for its context: is it readable in E and V, and does V move when nothing but it changes?

Everything is read on levels and episodes that the agent was not trained on. Beside the trained layers stand the same
net before training, the raw observation and a control task; beside V stand V*, V before training and planted controls.

Shapes: n rows, S states, M situations, C contexts, A actions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from agents.agent import AlphaAgent
from agents.environments import require_env, world_of
from agents.recorder import record_episodes
from agents.returns import returns_to_go
from agents.seeding import derive_seed
from analysis import probe_figures, probe_words
from analysis.instruments.probes import ProbeSettings
from analysis.plots import value_scatter
from analysis.probe_measures import (
    ContextTable,
    context_table,
    exact_policy,
    layer_probes,
    outcome_fit,
    swaps_of,
)
from analysis.probe_report import ContextSwap, ProbeReport
from analysis.probe_states import ProbedStates, reachable_states, untrained_twin, values_along, visited_states
from analysis.runs import open_run
from envs.episodes import Episodes
from envs.errors import UserError
from envs.rows import World

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class ProbeBudget:
    """How much is collected.

    Attributes:
        num_episodes: Held-out episodes of D.
        num_rows: Most rows of one kind of states that a probe is fitted on.
        num_levels: Held-out levels whose states are enumerated.
        max_states: Worlds with more states than this on those levels get no swaps.
        probe: Folds, penalties and resamples.
    """

    num_episodes: int = 400
    num_rows: int = 3000
    num_levels: int = 128
    max_states: int = 200_000
    probe: ProbeSettings = field(
        default_factory=lambda: ProbeSettings(num_inner_folds=2, penalties=(0.01, 0.1, 1.0, 10.0))
    )


def probe_run(
    run_folder: Path | str,
    *,
    seed: int,
    budget: ProbeBudget | None = None,
    progress: Progress | None = None,
) -> ProbeReport:
    """Probes the agent of a run folder, or of a checkpoint, that says which environment it is of.

    Args:
        run_folder: As `analysis.runs.open_run` takes it.
        seed: Of episodes, folds, control labels and resamples.
        budget: `ProbeBudget()` where left out.
        progress: Told the fraction done and what is being done.

    Raises:
        UserError: As `open_run` and `probe_agent`; an agent that does not say its environment goes to the latter.
    """
    run = open_run(Path(run_folder))
    return probe_agent(run.agent, run.env_id, seed=seed, budget=budget, options=run.options, progress=progress)


def probe_agent(
    agent: AlphaAgent,
    env_id: str,
    *,
    seed: int,
    budget: ProbeBudget | None = None,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> ProbeReport:
    """Probes an agent in an environment.

    Args:
        agent: Any, also one from Stable-Baselines3.
        env_id: Gymnasium id; contexts are read from `info["context"]`.
        seed: Of episodes, folds, control labels and resamples.
        budget: `ProbeBudget()` where left out.
        options: Of the world, or of `gymnasium.make`.
        progress: Told the fraction done and what is being done.

    Returns:
        The report; "not applicable" where the environment has no context, with V against outcomes alone.

    Raises:
        UserError: An unknown environment, or too little data for a probe of a trained layer.
    """
    budget, tell = budget or ProbeBudget(), progress or (lambda fraction, text: None)
    require_env(env_id)
    agent = agent.eval()
    world = world_of(env_id, options)
    if world is not None and agent.value_discount is not None:
        # V is held against values in its own unit: those at the discount that it learned with.
        options = {**(options or {}), "discount": agent.value_discount}
        world = world_of(env_id, options)
    tell(0.0, "playing held-out episodes")
    episodes = record_episodes(
        agent,
        env_id,
        num_episodes=budget.num_episodes,
        seed=derive_seed(seed, "probe", "episodes"),
        uniform_share=0.0,
        options=options,
        split="test",
    )
    visited = visited_states(episodes, agent, world=world)
    title = f"Probe of {agent.config.head} trained on {env_id}"
    if len(np.unique(visited.contexts[visited.contexts >= 0])) < 2:
        return _not_applicable(agent, episodes, visited, title=title)
    return _measured(agent, world, episodes, visited=visited, title=title, seed=seed, budget=budget, tell=tell)


def _not_applicable(agent: AlphaAgent, episodes: Episodes, visited: ProbedStates, *, title: str) -> ProbeReport:
    """What can still be said of a V without contexts: how it stands to what followed."""
    fit = outcome_fit(agent, episodes, visited)
    seen = np.unique(visited.contexts[visited.contexts >= 0])
    why = "names no context" if not len(seen) else f"showed context {seen[0]} only"
    found = (
        f"Probes and swaps of the context are not applicable: the environment {why} (info['context']), so there is "
        "nothing to decode and nothing to swap.",
        probe_words.outcome_sentence(fit),
    )
    not_shown = probe_words.limits(has_context=False, has_swaps=False, has_memory=False)
    figures: dict[str, Figure] = {}
    outcome, known = returns_to_go(episodes)
    if known.any():
        figures["values"] = value_scatter(
            {"held-out episodes": {"": (outcome[known], values_along(agent, visited)[known])}},
            title="V against what followed",
            x_label="discounted reward that followed",
            y_label="V (discounted reward)",
            subtitle="states visited by D; dashed: V = outcome",
        )
    return ProbeReport(title, False, (), (), fit, found, tuple(not_shown), figures)


def _measured(
    agent: AlphaAgent,
    world: World | None,
    episodes: Episodes,
    *,
    visited: ProbedStates,
    title: str,
    seed: int,
    budget: ProbeBudget,
    tell: Progress,
) -> ProbeReport:
    """Probes of visited states, and where the world can be enumerated of all states, with swaps."""
    twin = untrained_twin(agent)
    tell(0.1, "probing layers on visited states")
    settings = budget.probe
    probes = layer_probes(agent, twin, visited, seed=seed, settings=settings, num_rows=budget.num_rows, is_main=True)
    figures: dict[str, Figure | None] = {"layers_visited": probe_figures.layer_figure(probes)}
    fit = outcome_fit(agent, episodes, visited)
    table, why_not = _context_table(world, budget)
    swaps: tuple[ContextSwap, ...] = ()
    if table is not None:
        tell(0.5, "probing layers on all states")
        everything = reachable_states(table.mdp, table.world, num_rows=budget.num_rows, seed=seed)
        if not agent.value_encoder.memory_size:
            new = layer_probes(agent, twin, everything, seed=seed, settings=settings, num_rows=budget.num_rows)
            figures["layers_all"] = probe_figures.layer_figure(new)
            probes += new
        tell(0.9, "swapping contexts")
        values = {"V, trained": table.values_of(agent), "V, untrained": table.values_of(twin)}
        visits = None
        if not agent.policy_encoder.memory_size:
            values["value of D, exact"], visits = exact_policy(table, agent)
        swaps = swaps_of(values, table, visits=visits, seed=seed)
        figures["values"] = probe_figures.context_figure(values, table.optimal, table.context_names)
        figures["swaps"] = probe_figures.swap_figure(values, table.optimal)
        figures |= probe_figures.policy_figures(agent, table.world, level=table.world.levels("test").first)
    has_memory = agent.value_encoder.memory_size > 0
    found = [*probe_words.readability_sentences(probes), *probe_words.swap_sentences(swaps), *why_not]
    found.append(probe_words.outcome_sentence(fit))
    not_shown = probe_words.limits(has_context=True, has_swaps=bool(swaps), has_memory=has_memory)
    drawn = {name: figure for name, figure in figures.items() if figure is not None}
    tell(1.0, "probed")
    return ProbeReport(title, True, tuple(probes), swaps, fit, tuple(found), tuple(not_shown), drawn)


def _context_table(world: World | None, budget: ProbeBudget) -> tuple[ContextTable | None, list[str]]:
    """The table of all situations, or a sentence that says why there is none."""
    if world is None:
        return None, [
            "Swaps are left out: this environment has no kernel from which V* and minimal pairs could be had."
        ]
    try:
        return context_table(world, num_levels=budget.num_levels, max_states=budget.max_states), []
    except UserError as error:
        return None, [f"Swaps are left out: {error}"]
