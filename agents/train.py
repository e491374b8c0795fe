"""A training run: the stages in AlphaGo's order on one environment, into a folder that survives an interruption.

    config.json    environment, options and settings
    curve.jsonl    a row per update or checkpoint of a stage, appended as it happens
    checkpoint/    the agent after the last finished stage
    metrics.json   returns against the optimum, and V against the exact value, when the run is finished

D∘E is imitated from demonstrations and reinforced with its own baseline; then V∘E is fitted afresh to the outcomes of
the frozen D.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.actors import actors_of
from agents.agent import AlphaAgent, build_agent, num_actions_of
from agents.checkpoint import save_agent
from agents.config import AgentConfig, TrainConfig
from agents.device import resolve_device
from agents.environments import describe_env, discount_of, make_vector, open_stream, require_env, world_of
from agents.experts import find_demonstrations
from agents.fields import settings_to_dict
from agents.imitation import imitate
from agents.learner import reinforce
from agents.measuring import RunMeasures, measure_run
from agents.observations import ObservationSpec
from agents.recorder import record_episodes
from agents.seeding import derive_seed, numpy_generator
from agents.values import fit_values
from envs.episodes import Episodes
from envs.errors import UserError
from envs.rows import World
from envs.storage import write_json

CONFIG, CURVE, CHECKPOINT, METRICS = "config.json", "curve.jsonl", "checkpoint", "metrics.json"
SHARES = {"imitate": 0.25, "reinforce": 0.45, "value": 0.25, "measure": 0.05}
SAMPLE_STEPS = 64

Progress = Callable[[float, str], None]


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
    progress: Progress | None = None,
    on_row: Callable[[dict[str, Any]], None] | None = None,
) -> TrainResult:
    """Train an agent and write the run's folder.

    Args:
        env_id: a registered Gymnasium id with Box, Dict or Discrete observations and Discrete actions.
        config: what is trained, and how.
        folder: must not hold a run yet.
        options: of the world, or of `gymnasium.make`.
        progress: called with the share of the run that is done, and a line.
        on_row: called with each row of the curve.

    Returns:
        The run. The same arguments give the same weights on one machine, at one number of threads.

    Raises:
        UserError: before any training: an unknown id, option or name, observations or actions that an agent cannot
            take, a folder that holds a run or cannot be written.
        NonFiniteError: a reward, observation, loss or gradient is NaN or infinite; files written before it stay valid.
    """
    folder = Path(folder)
    if (folder / CONFIG).exists():
        raise UserError(f"'{folder}' holds a run already; choose another --out, or remove that folder.")
    require_env(env_id)
    device, device_line = resolve_device(config.device)
    run = _Run(env_id, config, folder, options=dict(options or {}), progress=progress, on_row=on_row)
    run.notes.append(device_line)
    agent, demonstrations = run.begin()
    agent = agent.to(device)
    for stage in ("imitate", "reinforce", "value"):
        if stage in config.stages:
            agent = getattr(run, stage)(agent, demonstrations)
            save_agent(folder / CHECKPOINT, agent, extra=run.facts(stage))
    measured = measure_run(
        agent, env_id, config, options=run.options, progress=lambda share, line: run.tell("measure", share, line)
    )
    metrics = {"env_id": env_id, "notes": run.notes} | measured.summary()
    write_json(folder / METRICS, metrics)
    return TrainResult(folder, agent, metrics, tuple(run.notes), measured)


class _Run:
    """One run: where its rows go, and its stages."""

    def __init__(
        self,
        env_id: str,
        config: TrainConfig,
        folder: Path,
        *,
        options: dict[str, Any],
        progress: Progress | None,
        on_row: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        self.env_id, self.config, self.folder, self.options = env_id, config, folder, options
        self.world: World | None = world_of(env_id, options)
        self.discount = discount_of(env_id, options)
        self.notes: list[str] = []
        self._progress, self._on_row = progress, on_row

    def begin(self) -> tuple[AlphaAgent, Episodes | None]:
        """Refuse what cannot be trained, write the settings, find demonstrations, and build the agent."""
        spec, num_actions = describe_env(self.env_id, self.options)
        if spec.dropped:
            self.notes.append(f"Dropped from the observations, being text: {', '.join(spec.dropped)}.")
        if self.world is not None and "V1" not in actors_of(self.world):
            count = self.world.max_outcomes
            self.notes.append(f"Actor V1 is left out: {count} outcomes of one action are too many to list.")
        settings, seed = self._agent_settings(), self.config.seed
        build_agent(spec, num_actions, settings, seed=seed)
        write_json(self.folder / CONFIG, self._description())
        demonstrations = self._demonstrations()
        sample = demonstrations.observations if demonstrations is not None else self._sample(spec)
        return build_agent(spec, num_actions, settings, seed=seed, sample=sample), demonstrations

    def _agent_settings(self) -> AgentConfig:
        """The agent's settings, with the world's numbers of contexts and events."""
        settings = self.config.agent
        if self.world is None:
            return settings
        num_contexts, num_events = len(self.world.context_names), len(self.world.event_names)
        return dataclasses.replace(settings, num_contexts=num_contexts, num_events=num_events)

    def _description(self) -> dict[str, Any]:
        return {"env_id": self.env_id, "options": self.options, "settings": settings_to_dict(self.config)}

    def _demonstrations(self) -> Episodes | None:
        if "imitate" not in self.config.stages:
            return None
        self.tell("imitate", 0.0, "imitate: looking for an expert")
        found = find_demonstrations(self.env_id, self.config, world=self.world, options=self.options)
        if isinstance(found, str):
            self.notes.append(f"Stage imitate is left out: {found}")
            return None
        return found

    def _sample(self, spec: ObservationSpec) -> dict[str, Any]:
        """Observations of random play, for levels, statistics and the centre of the encoding."""
        stream = self._stream(spec, num_envs=8, name="sample")
        rng = numpy_generator(self.config.seed, "sample", "actions")
        seen = [stream.observations]
        for _ in range(SAMPLE_STEPS):
            stream.step(rng.integers(num_actions_of(stream.env.single_action_space), size=stream.num_envs))
            seen.append(stream.observations)
        stream.env.close()
        return {name: np.concatenate([one[name] for one in seen]) for name in seen[0]}

    def _stream(self, spec: ObservationSpec, *, num_envs: int, name: str) -> Any:
        env = make_vector(self.env_id, num_envs, options=self.options)
        return open_stream(env, spec, seed=self.config.seed, name=name)

    def imitate(self, agent: AlphaAgent, demonstrations: Episodes | None) -> AlphaAgent:
        """D∘E by cross-entropy on demonstrations; nothing without them."""
        if demonstrations is None:
            return agent
        agent, rows = imitate(
            agent, demonstrations, self.config.imitation, seed=self.config.seed,
            progress=lambda share, line: self.tell("imitate", share, line),
        )  # fmt: skip
        for row in rows:
            self.log("imitate", row)
        return agent

    def reinforce(self, agent: AlphaAgent, demonstrations: Episodes | None) -> AlphaAgent:
        """D∘E by clipped policy gradient."""
        stream = self._stream(agent.spec, num_envs=self.config.reinforce.num_envs, name="reinforce")
        agent, _ = reinforce(
            agent, stream, self.config.reinforce, discount=self.discount, seed=self.config.seed,
            on_update=lambda _, row: self.log("reinforce", row),
            progress=lambda share, line: self.tell("reinforce", share, line),
        )  # fmt: skip
        stream.env.close()
        return agent

    def value(self, agent: AlphaAgent, demonstrations: Episodes | None) -> AlphaAgent:
        """V∘E on the outcomes of episodes that the frozen D plays."""
        settings = self.config.value
        episodes = record_episodes(
            agent, self.env_id, num_episodes=settings.num_episodes, seed=derive_seed(self.config.seed, "value"),
            uniform_share=settings.uniform_share, options=self.options,
        )  # fmt: skip
        agent, _ = fit_values(
            agent, episodes, settings, seed=self.config.seed,
            inspect=lambda _, row: self.log("value", row), progress=lambda share, line: self.tell("value", share, line),
        )  # fmt: skip
        return agent

    def facts(self, stage: str) -> dict[str, Any]:
        """What the checkpoint after a stage says beside the agent."""
        facts = {"env_id": self.env_id, "options": self.options}
        return facts | {"uniform_share": self.config.value.uniform_share} if stage == "value" else facts

    def log(self, stage: str, row: Mapping[str, Any]) -> bool:
        """Append a row to the curve; returns False, which lets the stage go on."""
        full = {"stage": stage, **row}
        with (self.folder / CURVE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(full, sort_keys=True) + "\n")
        if self._on_row is not None:
            self._on_row(full)
        return False

    def tell(self, stage: str, share: float, line: str) -> None:
        """Report the share of the whole run that is done."""
        if self._progress is None:
            return
        parts = (*self.config.stages, "measure")
        total = sum(SHARES[name] for name in parts)
        before = sum(SHARES[name] for name in parts[: parts.index(stage)])
        self._progress((before + share * SHARES[stage]) / total, line)
