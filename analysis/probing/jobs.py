"""Several runs probed by several instruments, in worker processes or in this one: the numbers are the same.

A task is one instrument on one run, as text. Every process collects the material of a run once for all of its
instruments, which takes about a second; it follows from the seed.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.fields import settings_from_dict, settings_to_dict
from analysis.commands.environments import import_packages
from analysis.executors import Executor, LocalExecutor, SerialExecutor, TaskResult
from analysis.probing.collecting import Progress, collect
from analysis.probing.comparing import require_comparable
from analysis.probing.instrument import Instrument, Settings
from analysis.probing.material import Material
from analysis.probing.reading import Reading, from_text, read_with, to_text, without_finding
from analysis.probing.registry import instrument, instruments, require_instruments
from analysis.probing.report import ProbeReport
from analysis.probing.states import ContextOf
from analysis.probing.subject import Subject, subject_of
from analysis.runs import Run, open_run
from envs.errors import UserError, nearest


@dataclass(frozen=True)
class Job:
    """What is to be probed, and how.

    Attributes:
        runs: Folders as `analysis.runs.open_run` takes them.
        settings: Seed, amounts, and how linear probes are fitted.
        names: Instruments; all that are not slow where left out.
        context: "module:function", the user's own context, "" for the environments'.
        imports: Packages that register environments.
        device: Where the networks run.
    """

    runs: tuple[Path, ...]
    settings: Settings
    names: tuple[str, ...] = ()
    context: str = ""
    imports: tuple[str, ...] = ()
    device: str = "cpu"


def probe_runs(job: Job, *, workers: int = 0, progress: Progress | None = None) -> list[ProbeReport]:
    """Probe each run with each instrument.

    Args:
        job: What to do.
        workers: Processes; 0 for this one.
        progress: Told the fraction done and what is being done.

    Returns:
        One report for each run, in their order. An instrument whose process died or raised stands there as failed.

    Raises:
        UserError: A run that cannot be opened, runs that do not compare, an unknown instrument, a context function that
            does not fit.
    """
    opened, chosen = checked_runs(job), instruments(job.names)
    # The longest first, so that no process is left alone with one at the end; all of a run before the next run.
    tasks = [(run, one) for run in job.runs for one in sorted(chosen, key=lambda one: -one.seconds)]
    readings = _answers(
        tasks, job, workers=min(workers, len(tasks)), progress=progress or (lambda fraction, text: None)
    )
    return [ProbeReport(_subject(one), tuple(readings[one.folder, each.name] for each in chosen)) for one in opened]


def checked_runs(job: Job) -> list[Run]:
    """Open the runs of a job and refuse what can be refused before the work; raises as `probe_runs`."""
    import_packages(job.imports)
    require_instruments(job.names)
    if job.context:
        context_function(job.context)
    opened = [open_run(run) for run in job.runs]
    if len(opened) > 1:
        require_comparable([_subject(run) for run in opened])
    return opened


def _answers(
    tasks: Sequence[tuple[Path, Instrument]], job: Job, *, workers: int, progress: Progress
) -> Mapping[tuple[Path, str], Reading]:
    """Readings by run and instrument."""
    several = len(job.runs) > 1
    by_name = {one.name + (f" of {run}" if several else ""): (run, one) for run, one in tasks}
    waiting = list(by_name)
    readings: dict[tuple[Path, str], Reading] = {}
    total = sum(one.seconds for _, one in tasks)
    done = 0.0
    executor: Executor = LocalExecutor(workers) if workers > 1 else SerialExecutor()
    try:
        while len(readings) < len(tasks):
            while waiting and executor.num_free:
                name = waiting.pop(0)
                progress(done / total, name)
                executor.submit(name, read_task, _task_text(*by_name[name], job))
            for result in executor.wait():
                run, one = by_name[result.name]
                readings[run, one.name] = _reading(result, one)
                done += one.seconds
                progress(done / total, f"{result.name} done")
    finally:
        executor.close()
        _material.cache_clear()
    return readings


def _reading(result: TaskResult, one: Instrument) -> Reading:
    """What a task gave.

    Raises:
        UserError: It is the user's to put right, and the same for all instruments.
    """
    if result.value is not None:
        return from_text(result.value)
    if result.failure == "UserError":
        raise UserError(result.message)
    return without_finding(one, "failed", f"{result.failure}: {result.message}")


def _subject(run: Run) -> Subject:
    return subject_of(run.agent, run.env_id, run.options, run=run.folder)


def _task_text(run: Path, one: Instrument, job: Job) -> str:
    shared = {"run": str(run), "settings": settings_to_dict(job.settings)}
    shared |= {"context": job.context, "imports": job.imports, "device": job.device}
    return json.dumps({"instrument": one.name, "shared": json.dumps(shared, sort_keys=True)})


def read_task(text: str) -> str:
    """One instrument on one run, from text to text: what worker processes do."""
    task = json.loads(text)
    material, settings = _material(task["shared"])
    return to_text(read_with(instrument(task["instrument"]), material, settings))


@functools.lru_cache(maxsize=1)
def _material(shared: str) -> tuple[Material, Settings]:
    """The material of a run, once for all instruments of a process."""
    job = json.loads(shared)
    import_packages(job["imports"])
    settings, opened = settings_from_dict(Settings, job["settings"]), open_run(Path(job["run"]))
    context_of = context_function(job["context"]) if job["context"] else None
    material = collect(
        opened.agent.to(job["device"]), opened.env_id, seed=settings.seed, collection=settings.collection,
        options=opened.options, context_of=context_of,
    )  # fmt: skip
    return dataclasses.replace(material, run=opened.folder), settings


def context_function(word: str) -> ContextOf:
    """The function that "module:function" names; modules of the current folder are found too.

    Raises:
        UserError: The word has no colon, the module cannot be imported, or has no such function.
    """
    module, colon, name = word.partition(":")
    if not (module and colon and name):
        raise UserError(f"--context is {word!r}; it must be MODULE:FUNCTION, such as my_contexts:has_key.")
    import_packages([module])
    found = getattr(importlib.import_module(module), name, None)
    if not callable(found):
        names = [known for known in vars(importlib.import_module(module)) if not known.startswith("_")]
        raise UserError(f"Module {module!r} has no function {name!r}; check --context.{nearest(name, names)}")
    function: ContextOf = found
    return function
