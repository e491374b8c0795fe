"""Keeps the stages of a run in its folder: the last state every so many steps, and the agent that earned the most."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.agent import AlphaAgent
from agents.checkpoint import require_intact, save_agent
from agents.curve import Curve, Row
from agents.run_folder import BEST, LAST, Facts, Point
from agents.stopping import Interrupted, StopRequest
from agents.training_state import StageKeeper, State
from envs.archives import digest
from envs.episodes import Episodes
from envs.errors import UserError


@dataclass
class Earnings:
    """What an agent earned while it acted in a stage: the mean undiscounted return of the episodes that ended.

    The agent that is called the best is the one at the checkpoint before which this mean was the highest, counted from
    the checkpoint before that. Its actions were sampled, and other episodes may rank agents otherwise: choosing by the
    same returns that are reported flatters the choice, so evaluate it on fresh ones.

    Attributes:
        highest: mean return of the best so far, None before there is one.
        total: sum of returns since the last checkpoint.
        num_episodes: episodes that ended since.
    """

    highest: float | None = None
    total: float = 0.0
    num_episodes: int = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Count the episodes of a row of the curve that has `mean_return` and `num_episodes`; let others pass."""
        if row.get("mean_return") is not None:
            self.total += row["mean_return"] * row["num_episodes"]
            self.num_episodes += row["num_episodes"]

    def close(self) -> bool:
        """Begin to count anew; returns whether what was counted is the highest mean. Without episodes it goes on."""
        if self.num_episodes == 0:
            return False
        mean = self.total / self.num_episodes
        self.total, self.num_episodes = 0.0, 0
        if self.highest is not None and mean <= self.highest:
            return False
        self.highest = mean
        return True


class RunKeeper(StageKeeper):
    """Keeps one stage of a run.

    Attributes:
        num_steps: gradient steps of the stage so far.
    """

    def __init__(
        self,
        folder: Path,
        *,
        point: Point,
        facts: Facts,
        every: int,
        curve: Curve,
        record: list[Row],
        earnings: Earnings,
        stop: StopRequest,
        data: Episodes | None,
    ) -> None:
        """Take the stage where the run goes on.

        Args:
            folder: of the run.
            point: where the run goes on; its state is restored where it is of this stage.
            facts: what a checkpoint of this stage says beside the agent, `stage` among them.
            every: gradient steps between two checkpoints.
            curve: of the run.
            record: its rows so far.
            earnings: of the run.
            stop: asks the run to stop.
            data: what the stage learns from, which must be the same when it goes on; None where it makes its own.
        """
        here = point.stage == facts["stage"] and point.state is not None
        self._folder, self._every, self._curve, self._earnings, self._stop = folder, every, curve, earnings, stop
        self._state = point.state if here else None
        self._facts = facts | ({} if data is None else {"data_sha256": data_digest(data)})
        self.num_steps: int = point.facts["num_steps"] if here else 0
        rows = [row for row in record if row["stage"] == facts["stage"]]
        self.record = tuple({name: value for name, value in row.items() if name != "stage"} for row in rows)
        if here and point.facts.get("data_sha256") != self._facts.get("data_sha256"):
            raise UserError(
                f"The episodes that stage {facts['stage']} learns from are not those that it began with, so the run in "
                f"'{folder}' cannot be resumed exactly: their file has changed, or the environment does not repeat "
                "itself (`valuelab envs check`). Train anew."
            )

    def restore(self) -> State | None:
        """See `StageKeeper`; from now on a request to stop waits for the end of the update."""
        self._stop.patient = True
        return self._state

    def keep(self, agent: AlphaAgent, *, num_steps: int, state: Callable[[], State]) -> None:
        """See `StageKeeper`. When a checkpoint is due follows from the number of steps alone, never from a stop."""
        is_due = num_steps // self._every > self.num_steps // self._every
        self.num_steps = num_steps
        if is_due:
            self.close(agent)
        signum = self._stop.signum
        if is_due or signum is not None:
            self._save(LAST, agent, state())
        if signum is not None:
            require_intact(self._folder / LAST)
            raise Interrupted(signum, f"saved in stage {self._facts['stage']} after {num_steps} gradient steps")

    def close(self, agent: AlphaAgent) -> None:
        """Save the agent as the best where it is."""
        if self._earnings.close():
            self._save(BEST, agent, {})

    def _save(self, name: str, agent: AlphaAgent, state: State) -> None:
        facts = {
            "num_steps": self.num_steps, "curve_bytes": self._curve.size(),
            "earnings": dataclasses.asdict(self._earnings),
        }  # fmt: skip
        save_agent(self._folder / name, agent, extra=self._facts | facts, state=state)


def data_digest(data: Episodes) -> str:
    """SHA-256 of what happened in recorded episodes; states stand for observations where they are recorded."""
    shown = {f"shown/{name}": array for name, array in data.observations.items()} if data.rows is None else {}
    parts = {"actions": data.actions, "rewards": data.rewards, "offsets": data.offsets}
    return digest({**parts, **shown, **({} if data.rows is None else {"rows": data.rows})})
