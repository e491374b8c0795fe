"""`valuelab train`: the stages in AlphaGo's order, into a run folder."""

from __future__ import annotations

import dataclasses
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agents.config import AgentConfig, TrainConfig
from agents.device import resolve_device
from agents.environments import describe_env, pinned
from agents.presets import recommended
from agents.run_folder import CONFIG, CURVE, METRICS, RunSettings, read_settings, require_same
from agents.stopping import Interrupted, StopRequest
from agents.train import TrainResult, train
from analysis.cli import Train
from analysis.commands.curve_figure import draw_curve
from analysis.commands.environments import import_packages, is_world_of_people, parse_options, require_options
from analysis.commands.folders import folder_named, require_writable
from analysis.commands.printing import say
from analysis.commands.returns import show, show_accuracy
from analysis.commands.stopping import stopped_by_signals
from analysis.progress import Display, showing
from analysis.runs import to_go_on
from envs.errors import UserError
from envs.storage import remove
from shards.registry import HEADS

RUN_SETTINGS = {
    "stages": "stages", "seed": "seed", "device": "device", "episodes": "num_evaluation_episodes",
    "demonstrations": "demonstrations", "num_demonstrations": "num_demonstrations",
    "demonstration_noise": "demonstration_noise", "demonstration_temperature": "demonstration_temperature",
    "demonstration_shares": "demonstration_shares", "checkpoint_every": "checkpoint_every",
    "keep_history": "keep_history",
}  # fmt: skip
AGENT_SETTINGS = {
    "encoder": "encoder", "value_head": "head", "value_encoder": "value_encoder", "route_encoder": "route_encoder",
}  # fmt: skip
STAGE_SETTINGS = ("imitation", "reinforce", "value", "search")
OnRow = Callable[[dict[str, Any]], None]


def run(command: Train) -> int:
    """Refuse what cannot work, train, and print what the agent earns and what to do next.

    Returns:
        0, or 128 + the number of the signal that stopped the run.
    """
    import_packages(command.imports)
    require_options(command.env_id, parse_options(command.options))
    asked = RunSettings(command.env_id, pinned(command.env_id, parse_options(command.options)), config_of(command))
    folder = command.out or default_folder(asked)
    settings = settings_of(command, asked, folder=folder)
    if command.resume and (folder / METRICS).exists():
        say(f"The run in {folder} is finished; nothing is left to resume. Next:", f"  valuelab evaluate {folder}")
        return 0
    say(*introduction(settings.env_id, dict(settings.options), device=settings.config.device))
    try:
        with stopped_by_signals() as stop, showing("train") as display:
            result = train_into(folder, command, settings, stop=stop, display=display)
    except Interrupted as interrupted:
        return report_stop(interrupted, folder, command)
    say(*(note for note in result.notes if not note.startswith(("Device ", "Dropped "))))
    finish(result, settings)
    return 0


def settings_of(command: Train, asked: RunSettings, *, folder: Path) -> RunSettings:
    """The settings that the command asks for, or those of the run that it resumes.

    Raises:
        UserError: the command gives a setting that is not that of the run to be resumed.
    """
    if not command.resume:
        return asked
    if not (folder / CONFIG).exists():
        say(f"There is no run in {folder} yet; this one begins there.")
        return asked
    require_same(folder, asked, asked=asked_names(command, asked.options))
    return read_settings(folder)


def asked_names(command: Train, options: Mapping[str, Any]) -> set[str]:
    """What the command gives, by its name in config.json: also what it says as it would be if it said nothing."""
    names = {"env_id"} | {f"options.{name}" for name in options}
    names |= {f"settings.{name}" for name in _given(command, RUN_SETTINGS)}
    names |= {f"settings.agent.{name}" for name in _given(command, AGENT_SETTINGS)}
    return names | {f"settings.{stage}.{name}" for stage in STAGE_SETTINGS for name in getattr(command, stage)}


def _given(command: Train, names: Mapping[str, str]) -> dict[str, Any]:
    """Options that were given, by the names of the settings that they are."""
    values = {setting: getattr(command, option) for option, setting in names.items()}
    return {name: str(one) if isinstance(one, Path) else one for name, one in values.items() if one is not None}


def config_of(command: Train) -> TrainConfig:
    """The settings of a run: what suits the environment (`agents.presets`), but for the fields that the command gives.

    Raises:
        UserError: a wrong value, or one that nothing would read.
    """
    best = recommended(command.env_id, options=parse_options(command.options))
    stages = {name: dataclasses.replace(getattr(best, name), **getattr(command, name)) for name in STAGE_SETTINGS}
    return dataclasses.replace(best, agent=_agent_of(command, best.agent), **stages, **_given(command, RUN_SETTINGS))


def _agent_of(command: Train, best: AgentConfig) -> AgentConfig:
    agent = dataclasses.replace(best, **_given(command, AGENT_SETTINGS))
    if command.route_encoder is None:
        # Routed into E, a sum without a gate does not fit where ROUTE does (`RoutedCredit`).
        return agent if agent.head != "MONO-ROUTE" else dataclasses.replace(agent, route_encoder="global")
    if agent.head in HEADS and HEADS[agent.head].credit != "routed":
        routed = ", ".join(name for name, entry in HEADS.items() if entry.credit == "routed")
        raise UserError(
            f"--route-encoder is {command.route_encoder!r}, but value head {agent.head!r} routes nothing; "
            f"leave it out, or choose --value-head {routed}."
        )
    return agent


def default_folder(settings: RunSettings) -> Path:
    """runs/ENV-HEAD-seedN, with the slashes and colons of the id as dashes."""
    return folder_named(settings.env_id, settings.config.agent.head, f"seed{settings.config.seed}")


def introduction(env_id: str, options: dict[str, Any], *, device: str) -> list[str]:
    """A line on the device, and one on the text parts of observations that an agent does not see.

    Raises:
        UserError: observations or actions that no agent can take, or a device that cannot be used.
    """
    spec, _ = describe_env(env_id, options)
    lines = [resolve_device(device)[1]]
    if spec.dropped:
        lines.append(f"Dropped from the observations, because text cannot be encoded: {', '.join(spec.dropped)}.")
    return lines


def train_into(
    folder: Path, command: Train, settings: RunSettings, *, stop: StopRequest, display: Display
) -> TrainResult:
    """Train; where that ends before the first row of the curve, no stub of a run is left in the folder."""
    require_writable(folder)
    is_new = not folder.exists()
    try:
        with curve_writer(folder, wanted=command.tensorboard) as on_row:
            return train(
                settings.env_id, settings.config, folder, options=settings.options, resume=command.resume, stop=stop,
                progress=display.tell, on_row=on_row, announce=display.print,
            )  # fmt: skip
    except (UserError, KeyboardInterrupt):
        if is_new and is_stub(folder):
            remove(folder)
        raise


def is_stub(folder: Path) -> bool:
    """Whether a folder holds a run of which nothing but the settings is there."""
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()} if folder.is_dir() else {}
    return bool(sizes) and sizes.keys() <= {CONFIG, CURVE} and sizes.get(CURVE, 0) == 0


def report_stop(interrupted: Interrupted, folder: Path, command: Train) -> int:
    """Say what a run that was stopped leaves and how to go on; returns the exit code."""
    name = signal.Signals(interrupted.signum).name
    kept = interrupted.kept or ("the last checkpoint stands" if folder.exists() else "nothing had been learned yet")
    again = to_go_on(command.env_id, folder, imports=command.imports)
    print(f"valuelab: stopped by {name}: {kept}. To go on: {again}", file=sys.stderr)
    return 128 + interrupted.signum


@contextmanager
def curve_writer(folder: Path, *, wanted: bool) -> Iterator[OnRow | None]:
    """What writes the curve for TensorBoard while the block runs, or None.

    Raises:
        UserError: the extra is not installed.
    """
    if not wanted:
        yield None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserError(
            "--tensorboard needs the extra `tensorboard`; install it with pip install 'valuelab[tensorboard]'."
        ) from error
    # A run that goes on shows all its rows again.
    remove(folder / "tensorboard")
    with SummaryWriter(folder / "tensorboard") as writer:

        def write(row: dict[str, Any]) -> None:
            for name, value in row.items():
                if isinstance(value, int | float) and name != "step":
                    writer.add_scalar(f"{row['stage']}/{name}", value, row["step"])

        yield write


def finish(result: TrainResult, settings: RunSettings) -> None:
    """Print what metrics.json holds, where files lie, and the next commands."""
    lines = result.measured.lines
    env_id, config = settings.env_id, settings.config
    show(lines, title=f"{config.agent.head} on {env_id}, seed {config.seed}")
    show_accuracy(result.measured.accuracy)
    figure = draw_curve(result.folder, title=f"{env_id}: return while reinforcing", best=lines[0].optimum.undiscounted)
    say(f"Settings, curve, metrics and checkpoint lie in {result.folder}.")
    say(*([f"Figure: {figure}"] if figure else []), "Next:")
    commands = ["evaluate", "probe", *(["niceness scorecard"] if is_world_of_people(env_id) else [])]
    say(*(f"  valuelab {one} {result.folder}" for one in commands))
