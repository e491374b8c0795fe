"""What instruments are given of one trained agent: states, what the networks hold there, and exact values.

Everything comes from levels and episodes that the agent was not trained on. Beside the trained agent stands the same
network before training, at the same sites on the same states; layer 0 is a site of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from agents.agent import AlphaAgent
from analysis.probing.activity import Activity
from analysis.probing.states import States
from analysis.probing.tables import ContextTable, Exact
from envs.episodes import Episodes
from envs.errors import UserError
from envs.rows import World

Floats = NDArray[np.float64]
Value = TypeVar("Value")


class NotApplicable(UserError):
    """There is nothing that an instrument could measure in this run; the message is the reason, a whole sentence.

    A plain `UserError` says that there is, but that the data would give a number that means nothing (too few states,
    one class only); its message says how to get better data.
    """


@dataclass(frozen=True, eq=False)
class Sample:
    """States, with what the trained agent and its untrained twin hold there.

    Attributes:
        states: n rows.
        trained: Of the agent.
        untrained: Of its twin.
        optimal: float64[n], V* at the discount that V was trained with; NaN where it is not known.
    """

    states: States
    trained: Activity
    untrained: Activity
    optimal: Floats

    def __len__(self) -> int:
        """Number n of rows."""
        return len(self.states)

    def take(self, index: NDArray[Any]) -> Sample:
        """Some of the rows: int64 indices or bool[n]."""
        trained = self.trained.take(index)
        return Sample(trained.states, trained, self.untrained.take(index), self.optimal[index])

    def first(self, num_rows: int) -> Sample:
        """A random part of at most so many rows, in order; the same one at every call."""
        return self.take(self.states.order < num_rows)

    def with_context(self) -> Sample:
        """The rows that have a context."""
        return self.take(self.states.contexts >= 0)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Minimal pairs: situations, each under all contexts, with what the networks hold there.

    Row m · C + c of the sample is situation m under context c, so that an array [M · C, ...] of it is `table(array)`
    [M, C, ...].

    Attributes:
        sample: M · C rows, whose groups are the levels of their situations.
        num_contexts: C.
    """

    sample: Sample
    num_contexts: int

    def table(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array [M · C, ...] of rows as [M, C, ...]."""
        return array.reshape(-1, self.num_contexts, *array.shape[1:])


@dataclass(frozen=True, eq=False)
class Material:
    """One trained agent in its environment.

    Attributes:
        title: Agent and environment in words.
        env_id: Gymnasium id.
        agent: Trained; instruments leave it as it is.
        twin: The same network before training.
        world: None for foreign environments.
        episodes: Held-out episodes of D, without random actions.
        values: float64[steps], V along the episodes.
        visited: What D visited; rows with a context alone, where any has one.
        reachable: Of all states of held-out levels, uniformly; None without exact values and for networks with memory.
        exact: V* of all states of held-out levels.
        table: All situations of these levels under all contexts.
        pairs: A sample of them.
        missing: Why exact, table, pairs, reachable or contexts are missing, by these names; whole sentences.
        run: Folder of the run, None where there is none.
    """

    title: str
    env_id: str
    agent: AlphaAgent
    twin: AlphaAgent
    world: World | None
    episodes: Episodes
    values: Floats
    visited: Sample
    reachable: Sample | None
    exact: Exact | None
    table: ContextTable | None
    pairs: Pairs | None
    missing: Mapping[str, str]
    run: Path | None = None

    def context_names_seen(self) -> list[str]:
        """Names of the contexts of the visited states, in ascending order of their numbers."""
        known = {} if self.table is None else dict(
            zip(self.table.contexts.tolist(), self.table.context_names, strict=True)
        )  # fmt: skip
        seen = np.unique(self.visited.states.contexts)
        return [known.get(int(context), f"context {context}") for context in seen[seen >= 0]]

    def require_contexts(self) -> None:
        """Raise `NotApplicable` where there are not two contexts among the visited states."""
        if "contexts" in self.missing:
            raise NotApplicable(self.missing["contexts"])

    def require_exact(self) -> Exact:
        """V* of all states, or `NotApplicable`."""
        return _required(self.exact, self.missing.get("exact"))

    def require_reachable(self) -> Sample:
        """All states alike, or `NotApplicable`."""
        return _required(self.reachable, self.missing.get("reachable"))

    def require_table(self) -> ContextTable:
        """All situations under all contexts, or `NotApplicable`."""
        return _required(self.table, self.missing.get("table"))

    def require_pairs(self) -> Pairs:
        """Minimal pairs with activations, or `NotApplicable`."""
        return _required(self.pairs, self.missing.get("pairs"))


def _required(value: Value | None, reason: str | None) -> Value:
    if value is None:
        raise NotApplicable(reason or "It was not collected.")
    return value
