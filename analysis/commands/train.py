"""`valuelab train`: the stages in AlphaGo's order, into a run folder."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agents.config import AgentConfig, TrainConfig
from agents.device import resolve_device
from agents.environments import describe_env
from agents.presets import recommended
from agents.train import TrainResult, train
from analysis.cli import Train
from analysis.commands.curve_figure import draw_curve
from analysis.commands.environments import import_packages, parse_options, require_options
from analysis.commands.folders import require_writable
from analysis.commands.printing import say
from analysis.commands.returns import lines_of, show, show_accuracy
from analysis.progress import Display, showing
from envs.errors import UserError
from envs.storage import remove
from shards.registry import HEADS

DEMONSTRATION_OPTIONS = (
    "num_demonstrations", "demonstration_noise", "demonstration_temperature", "demonstration_shares",
)  # fmt: skip
OnRow = Callable[[dict[str, Any]], None]


def run(command: Train) -> int:
    """Refuse what cannot work, train, and print what the agent earns and what to do next."""
    import_packages(command.imports)
    options = parse_options(command.options)
    require_options(command.env_id, options)
    config, folder = config_of(command), command.out or default_folder(command)
    say(*introduction(command.env_id, options, device=command.device))
    with showing("train") as display:
        result = train_into(folder, command, config, options=options, display=display)
    say(*(note for note in result.notes if not note.startswith(("Device ", "Dropped "))))
    finish(result, command.env_id, config=config)
    return 0


def config_of(command: Train) -> TrainConfig:
    """The settings of a run: what suits the environment (`agents.presets`), but for the fields that the command gives.

    Raises:
        UserError: a wrong value, or one that nothing would read.
    """
    best = recommended(command.env_id, seed=command.seed)
    given = {name: getattr(command, name) for name in DEMONSTRATION_OPTIONS}
    return dataclasses.replace(
        best, agent=_agent_of(command, best.agent), stages=command.stages, device=command.device,
        num_evaluation_episodes=command.episodes,
        demonstrations="auto" if command.demonstrations is None else str(command.demonstrations),
        imitation=dataclasses.replace(best.imitation, **command.imitation),
        reinforce=dataclasses.replace(best.reinforce, **command.reinforce),
        value=dataclasses.replace(best.value, **command.value),
        **{name: value for name, value in given.items() if value is not None},
    )  # fmt: skip


def _agent_of(command: Train, best: AgentConfig) -> AgentConfig:
    agent = dataclasses.replace(
        best, encoder=command.encoder, head=command.value_head, value_encoder=command.value_encoder
    )
    if command.route_encoder is None:
        return agent
    if command.value_head in HEADS and HEADS[command.value_head].credit != "routed":
        routed = ", ".join(name for name, entry in HEADS.items() if entry.credit == "routed")
        raise UserError(
            f"--route-encoder is {command.route_encoder!r}, but value head {command.value_head!r} routes nothing; "
            f"leave it out, or choose --value-head {routed}."
        )
    return dataclasses.replace(agent, route_encoder=command.route_encoder)


def default_folder(command: Train) -> Path:
    """runs/ENV-HEAD-seedN, with the slashes and colons of the id as dashes."""
    name = re.sub(r"[^\w.-]+", "-", command.env_id)
    return Path("runs") / f"{name}-{command.value_head}-seed{command.seed}"


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
    folder: Path, command: Train, config: TrainConfig, *, options: dict[str, Any], display: Display
) -> TrainResult:
    """Train; where that ends before the first row of the curve, no stub of a run is left in the folder."""
    require_writable(folder)
    is_new = not folder.exists()
    try:
        with curve_writer(folder, wanted=command.tensorboard) as on_row:
            return train(command.env_id, config, folder, options=options, progress=display.tell, on_row=on_row)
    except (UserError, KeyboardInterrupt):
        if is_new and folder.is_dir() and {path.name for path in folder.iterdir()} <= {"config.json"}:
            remove(folder)
        raise


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
    with SummaryWriter(folder / "tensorboard") as writer:

        def write(row: dict[str, Any]) -> None:
            for name, value in row.items():
                if isinstance(value, int | float) and name != "step":
                    writer.add_scalar(f"{row['stage']}/{name}", value, row["step"])

        yield write


def finish(result: TrainResult, env_id: str, *, config: TrainConfig) -> None:
    """Print what metrics.json holds, where files lie, and the next commands."""
    lines = lines_of(result.measured.lines)
    show(lines, title=f"{config.agent.head} on {env_id}, seed {config.seed}")
    show_accuracy(result.measured.accuracy)
    figure = draw_curve(result.folder, title=f"{env_id}: return while reinforcing", best=lines[0].optimum.undiscounted)
    say(f"Settings, curve, metrics and checkpoint lie in {result.folder}.")
    say(*([f"Figure: {figure}"] if figure else []), "Next:")
    say(f"  valuelab evaluate {result.folder}", f"  valuelab probe {result.folder}")
