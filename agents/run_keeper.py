"""Keeps the stages of a run in its folder: the last state every so many steps, and the agent that earned the most."""

from __future__ import annotations

import copy
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
from envs.archives import Arrays, digest
from envs.episodes import Episodes
from envs.errors import UserError

NUM_EPISODES = 100
"""Episodes, at least, over which what agents earn is compared."""


@dataclass
class Earnings:
    """What an agent earned while it acted in a stage: mean undiscounted returns over windows of updates.

    A window ends with the first update by which `NUM_EPISODES` episodes have ended in it. The best agent is the one
    after the window with the highest mean. Its actions were sampled, and the highest of many means flatters: evaluate
    it on fresh episodes.

    Attributes:
        highest: mean return of the best so far, None before there is one.
        total: sum of returns in this window.
        num_episodes: episodes that ended in this window.
    """

    highest: float | None = None
    total: float = 0.0
    num_episodes: int = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Count the episodes of a row of the curve that has `mean_return` and `num_episodes`; let others pass."""
        if row.get("mean_return") is not None:
            self.total += row["mean_return"] * row["num_episodes"]
            self.num_episodes += row["num_episodes"]

    def are_best(self, *, at_end: bool = False) -> bool:
        """End the window where it is long enough; returns whether its mean is the highest.

        Args:
            at_end: of the stage, where a short window stands in if there was no other.
        """
        if self.num_episodes < (1 if at_end and self.highest is None else NUM_EPISODES):
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
        self._best: tuple[AlphaAgent, Facts] | None = None
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
        self._compare(agent)
        signum = self._stop.signum
        if is_due or signum is not None:
            self._save_best()
            facts = {"curve_bytes": self._curve.size(), "earnings": dataclasses.asdict(self._earnings)}
            save_agent(self._folder / LAST, agent, extra=self._facts_now() | facts, state=state())
        if signum is not None:
            require_intact(self._folder / LAST)
            raise Interrupted(signum, f"saved in stage {self._facts['stage']} after {num_steps} gradient steps")

    def end(self, agent: AlphaAgent) -> None:
        """The stage has come to its end; `agent` is what came out."""
        self._compare(agent, at_end=True)
        self._save_best()

    def _compare(self, agent: AlphaAgent, *, at_end: bool = False) -> None:
        """Remember the agent where it is the best; it is written with the next state, since a write costs an update."""
        if self._earnings.are_best(at_end=at_end):
            self._best = (copy.deepcopy(agent), self._facts_now() | {"mean_return": self._earnings.highest})

    def _save_best(self) -> None:
        if self._best is not None:
            save_agent(self._folder / BEST, self._best[0], extra=self._best[1])
            self._best = None

    def _facts_now(self) -> Facts:
        return self._facts | {"num_steps": self.num_steps}


def data_digest(data: Episodes) -> str:
    """SHA-256 of what happened in recorded episodes; states stand for observations where they are recorded."""
    parts: Arrays = {"actions": data.actions, "rewards": data.rewards, "offsets": data.offsets}
    parts |= {name: array for name, array in (("labels", data.labels), ("rows", data.rows)) if array is not None}
    if data.rows is None:
        parts |= {f"shown/{name}": array for name, array in data.observations.items()}
    return digest(parts)
