"""Probes a trained agent: applies instruments to it, each beside its nulls, and says what was found.

Everything is read on levels and episodes that the agent was not trained on. The instruments, and what they are given,
stand in `analysis.probing`; docs/instruments.md explains them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agents.agent import AlphaAgent
from analysis.probing.collecting import Progress, collect
from analysis.probing.instrument import Settings
from analysis.probing.reading import read_with
from analysis.probing.registry import instruments
from analysis.probing.report import ProbeReport
from analysis.probing.states import ContextOf
from analysis.probing.subject import subject_of
from analysis.runs import open_run

__all__ = ["Settings", "probe_agent", "probe_run"]
SECONDS_TO_COLLECT = 2.0


def probe_run(
    run_folder: Path | str,
    *,
    settings: Settings,
    names: Sequence[str] = (),
    context_of: ContextOf | None = None,
    progress: Progress | None = None,
) -> ProbeReport:
    """Probes the agent of a run folder, or of a checkpoint, that says which environment it is of.

    Args:
        run_folder: As `analysis.runs.open_run` takes it.
        settings: Seed, amounts, and how linear probes are fitted.
        names: Instruments; all that are not slow where left out.
        context_of: A context of the user's own, in place of `info["context"]`.
        progress: Told the fraction done and what is being done.

    Raises:
        UserError: As `open_run` and `probe_agent`; an agent that does not say its environment goes to the latter.
    """
    run = open_run(Path(run_folder))
    return probe_agent(
        run.agent, run.env_id, settings=settings, names=names, options=run.options, context_of=context_of,
        progress=progress, run=run.folder,
    )  # fmt: skip


def probe_agent(
    agent: AlphaAgent,
    env_id: str,
    *,
    settings: Settings,
    names: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    context_of: ContextOf | None = None,
    progress: Progress | None = None,
    run: Path | None = None,
) -> ProbeReport:
    """Probes an agent in an environment; the arguments are those of `probe_run` and of `collect`.

    `run` is the folder of the run that the agent is of: what was kept of its training is read there.

    Returns:
        The report. An instrument that has nothing to measure, or too little to measure it on, says so in its place.

    Raises:
        UserError: An unknown instrument or environment, or a context function that does not fit.
    """
    chosen, tell = instruments(names), progress or (lambda fraction, text: None)
    total = SECONDS_TO_COLLECT + sum(one.seconds for one in chosen)
    material = collect(
        agent, env_id, seed=settings.seed, collection=settings.collection, options=options, context_of=context_of,
        progress=lambda fraction, text: tell(fraction * SECONDS_TO_COLLECT / total, text),
    )  # fmt: skip
    material = dataclasses.replace(material, run=run)
    readings, done = [], SECONDS_TO_COLLECT
    for one in chosen:
        tell(done / total, one.name)
        readings.append(read_with(one, material, settings))
        done += one.seconds
    tell(1.0, "probed")
    return ProbeReport(subject_of(agent, env_id, options, run=run), tuple(readings))
