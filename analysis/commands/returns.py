"""What the actors of one agent earn, as a table against the optimum; used after training and by `valuelab evaluate`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from agents.evaluation import Evaluation
from agents.exact import ValueAccuracy
from agents.measuring import Measured
from agents.optimum import Optimum
from analysis.commands.printing import cell, say, table, wrapped

HEADER = ("actor", "levels", "return", "discounted", "optimum", "share", "steps", "ended")
REACHABLE = "reachable"


def show(lines: Sequence[Measured], *, title: str) -> None:
    """Print the table, and what its numbers are and are not."""
    hidden = any(line.optimum.observed is not None for line in lines)
    rows = [(*_row(line), cell(line.reachable)) if hidden else _row(line) for line in lines]
    table((*HEADER, REACHABLE) if hidden else HEADER, rows, title=title)
    first = lines[0].played
    notes = [
        f"Means over {len(first.returns)} episodes; ± is the 95 % interval over the episodes of this one agent and "
        f"says nothing of other training seeds. Discount {first.discount}; D takes its most probable action; ended: "
        "share of episodes that the world ended, not the time limit."
    ]
    notes += dict.fromkeys(_optimum_note(line.optimum) for line in lines)
    notes += dict.fromkeys(_reachable_note(line) for line in lines if line.optimum.observed is not None)
    notes += [_cut_note(line.played) for line in lines if line.played.num_cut]
    say(*(part for note in notes for part in wrapped(note)))


def show_accuracy(accuracy: ValueAccuracy | None) -> None:
    """Print how near V is to the exact value, nothing where that is not known."""
    say(*([] if accuracy is None else wrapped(accuracy.words)))


def _optimum_note(optimum: Optimum) -> str:
    if optimum.discounted is None:
        return f"Optimum: {optimum.words}."
    if optimum.undiscounted is not None:
        return f"Optimum (undiscounted): {optimum.words}."
    return f"Optimum (discounted): {optimum.words}; an episode has one start, so a share may come out above 100 %."


def _reachable_note(line: Measured) -> str:
    """What a world that hides its state leaves to D."""
    best = line.optimum.observed
    assert best is not None
    start = "Observations hide the state: some states look alike, which the optimum tells apart."
    if best.words:
        return f"{start} What D can reach is not known: {best.words}"
    kind = (
        "the best policy that remembers all it has seen and done"
        if line.remembers
        else "the best deterministic policy without memory, as D's encoder has none"
    )
    return f"{start} Reachable (discounted, exact): {kind}; V1 looks ahead with the kernel, which sees all."


def _cut_note(played: Evaluation) -> str:
    return (
        f"{played.num_cut} of {len(played.returns)} episodes of {played.actor} were cut after {played.given_limit} "
        "steps, since the environment has no time limit (--option max_episode_steps=N of `valuelab train` sets one)."
    )


def _row(line: Measured) -> tuple[str, ...]:
    played, best = line.played, line.optimum
    splits = {"train": "training", "test": "held out", "seeds": "seeds"}
    return (
        played.actor, splits[played.split], _interval(played.returns), _interval(played.discounted_returns),
        cell(best.discounted if best.undiscounted is None else best.undiscounted),
        "–" if line.share is None else f"{line.share:.1%}", f"{played.lengths.mean():.1f}",
        f"{played.terminated.mean():.0%}",
    )  # fmt: skip


def _interval(values: NDArray[np.float64]) -> str:
    """Mean and half-width of the 95 % t interval of one number per episode."""
    if len(values) < 2:
        return f"{values.mean():.3f}"
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.3f} ± {half:.3f}"
