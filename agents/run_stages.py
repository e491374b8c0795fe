"""The stages of a training run: what each one gets, where its rows go, and what is kept of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from gymnasium.vector import AutoresetMode

from agents.agent import AlphaAgent, restart_value
from agents.checkpoint import save_agent
from agents.config import Stage
from agents.curve import Curve, Row
from agents.environments import discount_of, make_vector, open_stream, world_of
from agents.experts import find_demonstrations
from agents.first_agent import first_agent
from agents.history import keep_in_history
from agents.imitation import imitate
from agents.learner import reinforce
from agents.recorder import record_episodes
from agents.run_folder import CHECKPOINT, Point, RunSettings
from agents.run_keeper import Earnings, RunKeeper
from agents.seeding import derive_seed
from agents.self_improvement import improve
from agents.stopping import StopRequest
from agents.values import fit_values
from envs.episodes import Episodes

SHARES = {"imitate": 0.25, "reinforce": 0.45, "value": 0.25, "search": 0.5, "measure": 0.05}

Progress = Callable[[float, str], None]


class RunStages:
    """A run from the point where it goes on.

    Attributes:
        notes: lines that the user should see at the end; they stand in every checkpoint, and in metrics.json.
    """

    def __init__(
        self,
        settings: RunSettings,
        folder: Path,
        *,
        point: Point,
        curve: Curve,
        device: torch.device,
        notes: list[str],
        stop: StopRequest,
        progress: Progress | None,
        on_row: Callable[[Row], None] | None,
    ) -> None:
        """Cut the curve back to the point, and show `on_row` what is left of it."""
        self.notes = notes + [note for note in point.facts.get("notes", []) if note not in notes]
        self._settings, self._config, self._folder = settings, settings.config, folder
        self._world = world_of(settings.env_id, settings.options)
        self._point, self._curve, self._device, self._stop = point, curve, device, stop
        self._progress, self._on_row = progress, on_row or (lambda row: None)
        self._earnings = Earnings(**point.facts.get("earnings", {}))
        self._record = curve.cut(point.facts.get("curve_bytes", 0))
        for row in self._record:
            self._on_row(row)

    def run(self) -> AlphaAgent:
        """Train all stages that are left, and save the agent after each; returns it on its device."""
        stages, demonstrations = self._config.stages, None
        left = () if self._point.stage is None else stages[stages.index(self._point.stage) :]
        if "imitate" in left:
            demonstrations = self._demonstrations()
        agent = self._point.agent or first_agent(self._settings, self._world, demonstrations=demonstrations)
        agent, self._shown = agent.to(self._device), demonstrations
        trainers = {
            "imitate": self._imitate, "reinforce": self._reinforce, "value": self._value, "search": self._search,
        }  # fmt: skip
        for stage in left:
            agent = trainers[stage](agent)
            facts = {"curve_bytes": self._curve.size(), "earnings": dataclasses.asdict(self._earnings)}
            save_agent(self._folder / CHECKPOINT, agent, extra=self._facts(stage) | facts)
            self._stop.end_patience(f"saved after stage {stage}")
        return agent

    def _demonstrations(self) -> Episodes | None:
        self.tell("imitate", 0.0, "imitate: looking for an expert")
        settings = self._settings
        found = find_demonstrations(settings.env_id, self._config, world=self._world, options=settings.options)
        if isinstance(found, str):
            self.notes.append(f"Stage imitate is left out: {found}")
            return None
        return found

    def _imitate(self, agent: AlphaAgent) -> AlphaAgent:
        """D∘E by cross-entropy on demonstrations; nothing without them."""
        if self._shown is None:
            return agent
        agent, _ = imitate(
            agent, self._shown, self._config.imitation, seed=self._config.seed,
            keeper=self._keeper("imitate", self._shown), inspect=lambda _, row: self._log("imitate", row),
            progress=lambda share, line: self.tell("imitate", share, line),
        )  # fmt: skip
        return agent

    def _reinforce(self, agent: AlphaAgent) -> AlphaAgent:
        """D∘E by clipped policy gradient."""
        env_id, options, config = self._settings.env_id, self._settings.options, self._config.reinforce
        # A foreign env that waits for its reset could not be brought there again by playing its episode.
        mode = AutoresetMode.DISABLED if self._world is None else AutoresetMode.NEXT_STEP
        env = make_vector(env_id, config.num_envs, options=options, autoreset_mode=mode)
        stream = open_stream(env, agent.spec, seed=self._config.seed, name="reinforce")
        keeper = self._keeper("reinforce")
        agent, _ = reinforce(
            agent, stream, config, discount=discount_of(env_id, options), seed=self._config.seed, keeper=keeper,
            on_update=lambda _, row: self._log("reinforce", row),
            progress=lambda share, line: self.tell("reinforce", share, line),
        )  # fmt: skip
        env.close()
        keeper.end(agent)
        return agent

    def _value(self, agent: AlphaAgent) -> AlphaAgent:
        """V∘E on the outcomes of episodes that the frozen D plays."""
        config, seed = self._config.value, self._config.seed
        episodes = record_episodes(
            agent, self._settings.env_id, num_episodes=config.num_episodes, seed=derive_seed(seed, "value"),
            uniform_share=config.uniform_share, options=self._settings.options,
        )  # fmt: skip
        self._keep_in_history(restart_value(agent), 0)
        agent, _ = fit_values(
            agent, episodes, config, seed=seed, keeper=self._keeper("value", episodes), inspect=self._at_mark,
            progress=lambda share, line: self.tell("value", share, line),
        )  # fmt: skip
        return agent

    def _at_mark(self, agent: AlphaAgent, row: Row) -> bool:
        self._keep_in_history(agent, row["step"])
        return self._log("value", row)

    def _keep_in_history(self, agent: AlphaAgent, num_steps: int) -> None:
        if self._config.keep_history:
            keep_in_history(self._folder, agent, num_steps=num_steps, facts=self._facts("value"))

    def _search(self, agent: AlphaAgent) -> AlphaAgent:
        """D∘E and V∘E on their own search."""
        assert self._world is not None, "require_trainable refuses envs without a kernel"
        env = make_vector(self._settings.env_id, self._config.search.num_envs, options=self._settings.options)
        stream = open_stream(env, agent.spec, seed=self._config.seed, name="search")
        keeper = self._keeper("search")
        agent, _ = improve(
            agent, stream, self._config.search, world=self._world, seed=self._config.seed, keeper=keeper,
            on_update=lambda _, row: self._log("search", row),
            progress=lambda share, line: self.tell("search", share, line),
        )  # fmt: skip
        env.close()
        keeper.end(agent)
        return agent

    def _keeper(self, stage: Stage, data: Episodes | None = None) -> RunKeeper:
        """Keeps a stage that learns from `data`, or makes its own."""
        return RunKeeper(
            self._folder, point=self._point, facts=self._facts(stage), every=self._config.checkpoint_every,
            curve=self._curve, record=self._record, earnings=self._earnings, stop=self._stop, data=data,
        )  # fmt: skip

    def _facts(self, stage: Stage) -> dict[str, Any]:
        """What a checkpoint of a stage says beside the agent."""
        facts: dict[str, Any] = {"stage": stage, "notes": self.notes, "computed_with": computed_with(self._device)}
        facts |= {"env_id": self._settings.env_id, "options": dict(self._settings.options)}
        return facts | {"uniform_share": self._config.value.uniform_share} if stage == "value" else facts

    def _log(self, stage: Stage, row: Row) -> bool:
        """Append a row to the curve; returns False, which lets the stage go on."""
        full = {"stage": stage, **row}
        self._curve.append(full)
        self._earnings.add(full)
        self._on_row(full)
        return False

    def tell(self, stage: str, share: float, line: str) -> None:
        """Report the share of the whole run that is done."""
        if self._progress is None:
            return
        parts = (*self._config.stages, "measure")
        total = sum(SHARES[name] for name in parts)
        before = sum(SHARES[name] for name in parts[: parts.index(stage)])
        self._progress((before + share * SHARES[stage]) / total, line)


def computed_with(device: torch.device) -> str:
    """What the bits of a run depend on, beside its settings."""
    return f"torch {torch.__version__} on {device.type} with {torch.get_num_threads()} threads"
