"""What a stage needs to go on bit by bit where it was: tensors by name, and who keeps them.

A stage that can be resumed takes a `StageKeeper`, builds what it trains as ever, asks `restore` for the state of an
earlier process, and calls `keep` after each update. It says in one place what its state is:

    gather(optimizer=optimizer.get_state(), loop={"update": update, "generator": generator.get_state()})

Data are no part of a state: demonstrations and recorded episodes follow from the seed and are made again. Nor are the
parameters that a stage leaves alone: it begins with the agent after the stage before it, which is a checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.agent import AlphaAgent

State = Mapping[str, Tensor]


def gather(**parts: Mapping[str, Any]) -> dict[str, Tensor]:
    """One state out of those of its parts; entry `name` of part `part` is called "part/name".

    Args:
        parts: tensors, arrays or numbers by name; they are not copied.
    """
    return {
        f"{part}/{name}": torch.as_tensor(value) for part, entries in parts.items() for name, value in entries.items()
    }


def part(state: State, name: str) -> dict[str, Tensor]:
    """The entries of one part of `gather`, under their own names; none where the part was empty."""
    prefix = f"{name}/"
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}


def arrays(state: State) -> dict[str, NDArray[Any]]:
    """The same as numpy arrays that may be written to."""
    return {name: np.array(tensor.cpu().numpy()) for name, tensor in state.items()}


class StageKeeper:
    """Keeps the state of one stage; this one keeps nothing, so that a stage begins at its beginning.

    Attributes:
        record: the rows of the stage up to the state that `restore` returns.
    """

    record: tuple[dict[str, Any], ...] = ()

    def restore(self) -> State | None:
        """The state to go on from, None where the stage begins. Asked once, when all is built and the loop begins."""
        return None

    def keep(self, agent: AlphaAgent, *, num_steps: int, state: Callable[[], State]) -> None:
        """Keep the state after an update, where it is time to.

        Args:
            agent: as it is now.
            num_steps: gradient steps of the stage so far.
            state: makes the state; called only where it is kept.

        Raises:
            Interrupted: the run was asked to stop; the state has been saved.
        """


NOTHING_KEPT = StageKeeper()
