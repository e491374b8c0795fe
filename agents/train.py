"""A training run: the stages in AlphaGo's order on one environment, into a folder (`agents.run_folder`).

D∘E is imitated from demonstrations and reinforced with its own baseline; then V∘E is fitted afresh to the outcomes of
the frozen D. A run that was interrupted, or killed at any instant, can go on bit by bit as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.actors import actors_of
from agents.agent import AlphaAgent
from agents.config import TrainConfig
from agents.curve import Curve, Row
from agents.device import resolve_device
from agents.environments import pinned, require_env, world_of
from agents.first_agent import require_trainable
from agents.measuring import RunMeasures, measure_run
from agents.run_folder import CONFIG, CURVE, LAST, METRICS, Point, RunSettings, find_point, require_same
from agents.run_stages import Progress, RunStages, computed_with
from agents.stopping import StopRequest
from envs import storage
from envs.errors import UserError


@dataclass(frozen=True)
class TrainResult:
    """What a run leaves.

    Attributes:
        folder: where it lies.
        agent: after the last stage, on its device.
        metrics: as in metrics.json.
        notes: lines that the user should see: the device, parts of observations that were dropped, a stage left out.
        measured: what the metrics sum up.
    """

    folder: Path
    agent: AlphaAgent
    metrics: dict[str, Any]
    notes: tuple[str, ...]
    measured: RunMeasures


def train(
    env_id: str,
    config: TrainConfig,
    folder: str | Path,
    *,
    options: Mapping[str, Any] | None = None,
    resume: bool = False,
    stop: StopRequest | None = None,
    progress: Progress | None = None,
    on_row: Callable[[Row], None] | None = None,
    announce: Callable[[str], None] | None = None,
) -> TrainResult:
    """Train an agent and write the run's folder.

    Args:
        env_id: a registered Gymnasium id with Box, Dict or Discrete observations and Discrete actions.
        config: what is trained, and how.
        folder: must not hold a run yet, unless it is to be resumed.
        options: of the world, or of `gymnasium.make`.
        resume: go on with the run in the folder, which must have the same settings; begin one where there is none.
        stop: asks the run to save and stop.
        progress: called with the share of the run that is done, and a line.
        on_row: called with each row of the curve, those before the point where the run goes on among them.
        announce: called with a line on where a run goes on, and one for each checkpoint found damaged.

    Returns:
        The run. The same arguments give the same weights on one machine, at one number of threads, however often the
        run was interrupted.

    Raises:
        UserError: before any training: an unknown id, option or name, observations or actions that an agent cannot
            take, a folder that cannot be written or holds a run, with `resume` one that is finished or has other
            settings; later: an env that does not repeat itself, so that its run cannot be resumed.
        NonFiniteError: a reward, observation, loss or gradient is NaN or infinite; files written before it stay valid.
        Interrupted: the run was asked to stop.
    """
    settings, folder = RunSettings(env_id, pinned(env_id, options), config), Path(folder)
    _require_free(folder, settings, resume=resume)
    require_env(env_id)
    device, device_line = resolve_device(config.device)
    notes = [device_line, *_left_out(settings)]
    if not (folder / CONFIG).exists():
        storage.write_json(folder / CONFIG, settings.to_dict())
    with Curve(folder / CURVE) as curve:
        storage.sweep(folder)
        point = find_point(folder, config.stages)
        for line in _words_on(point, computed_with(device)):
            (announce or (lambda line: None))(line)
        stages = RunStages(
            settings, folder, point=point, curve=curve, device=device, notes=notes, stop=stop or StopRequest(),
            progress=progress, on_row=on_row,
        )  # fmt: skip
        agent = stages.run()
        measured = measure_run(
            agent, env_id, config, options=settings.options,
            progress=lambda share, line: stages.tell("measure", share, line),
        )  # fmt: skip
        metrics = {"env_id": env_id, "notes": stages.notes} | measured.summary()
        storage.write_json(folder / METRICS, metrics)
        for path in (folder / LAST, storage.previous_folder(folder / LAST)):
            storage.remove(path)
    return TrainResult(folder, agent, metrics, tuple(stages.notes), measured)


def _require_free(folder: Path, settings: RunSettings, *, resume: bool) -> None:
    """Refuse a folder with a run that is not to be resumed, or cannot be."""
    if not (folder / CONFIG).exists():
        return
    if not resume:
        raise UserError(
            f"'{folder}' holds a run already; resume it (--resume), choose another --out, or remove that folder."
        )
    require_same(folder, settings)
    if (folder / METRICS).exists():
        raise UserError(f"The run in '{folder}' is finished; nothing is left to resume.")


def _left_out(settings: RunSettings) -> list[str]:
    """Refuse what cannot be trained, and say what will be left out."""
    world, notes = world_of(settings.env_id, settings.options), []
    spec = require_trainable(settings, world)
    if spec.dropped:
        notes.append(f"Dropped from the observations, being text: {', '.join(spec.dropped)}.")
    if world is not None and "V1" not in actors_of(world):
        notes.append(f"Actor V1 is left out: {world.max_outcomes} outcomes of one action are too many to list.")
    return notes


def _words_on(point: Point, computed_now: str) -> list[str]:
    """Lines on where a run goes on, none where it begins."""
    lines = list(point.problems)
    before = point.facts.get("computed_with", computed_now)
    if before != computed_now:
        lines.append(f"The run was computed by {before}, and is now by {computed_now}: other bits may come out.")
    return [*lines, point.line] if point.facts else lines
