"""What a comparison runs: arms, tests, worlds, seeds and sizes; presets of these; and the cells that they make.

A plan is data. `frozen` is what a preregistration fixes of it, `cells_of` what the study computes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from agents.stage_config import ValueTarget
from analysis.arms import ARMS, Line, contrasts_among, find_lines
from analysis.cells import Cell
from analysis.studies.bench import Bench
from analysis.studies.line_test import LineTest
from analysis.studies.setups import SETUPS
from analysis.studies.tests import TESTS
from analysis.studies.yoked import FIT, Setup
from envs.errors import UserError, nearest, require_integer

EXPERIENCES = ("yoked", "own")


@dataclasses.dataclass(frozen=True)
class Preset:
    """Arms, tests and number of seeds under one name; `says` tells what it is and costs."""

    says: str
    num_seeds: int
    arms: tuple[str, ...]
    tests: tuple[str, ...]
    worlds: tuple[str, ...] = tuple(SETUPS)


_SIX = ("MONO", "MONO@imitated", "MOE", "ROUTE", "ROUTE-RAND", "POS", "NEG-F")
_SEVEN = ("MONO", "MONO@imitated", "MONO@shared", "MONO-ROUTE", "MOE", "ROUTE", "ROUTE-RAND", "POS", "NEG-F")
_REGIMES = tuple(f"{arm}@{encoder}" for arm in ("MONO", "MOE", "ROUTE") for encoder in ("imitated", "shared"))

PRESETS = MappingProxyType(
    {
        "quick": Preset("six arms, MONO also on an imitated E, 3 seeds, no verdict", 3, _SIX, ("T0", "CrossedHistory")),
        "first": Preset(
            "six arms, MONO also on an imitated E, 20 seeds", 20, _SIX, ("T0", "CrossedHistory", "T3", "T5"),
            ("CrossedHistory", "MultiNeed"),
        ),
        "standard": Preset(
            "the confirmatory family: seven arms, MONO also on an imitated and a shared E, 20 seeds", 20, _SEVEN,
            ("T0", "CrossedHistory", "T5", "T8a"),
        ),
        "full": Preset("all arms and tests, 10 seeds", 10, (*ARMS, *_REGIMES), tuple(TESTS)),
    }
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class ComparisonPlan:
    """What is run.

    Attributes:
        preset: The preset that it started from.
        lines: Arms, each under an E regime.
        tests: Keys of `TESTS`.
        worlds: Keys of `setups`; a test runs on those of its own that are among them.
        seeds: Run seeds.
        setups: Sizes by world.
        experience: "yoked" or "own".
        device: Where networks run, "cpu" or "cuda"; it is part of a cell only where it is not the CPU.
    """

    preset: str
    lines: tuple[Line, ...]
    tests: tuple[str, ...]
    worlds: tuple[str, ...]
    seeds: tuple[int, ...]
    setups: Mapping[str, Setup]
    experience: str = "yoked"
    device: str = "cpu"

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms under the main E regime, `scratch`."""
        return tuple(line.arm for line in self.lines if line.encoder == "scratch")

    def worlds_of(self, test: LineTest) -> tuple[str, ...]:
        """The plan's worlds on which a test runs."""
        return tuple(world for world in test.worlds if world in self.worlds)

    def lines_of(self, test: LineTest, world: str) -> tuple[Line, ...]:
        """The lines that a test scores in a world, in the order of tables."""
        needed = tuple(Line(name) for name in test.needs)
        lines = dict.fromkeys((*self.lines, *needed))
        return tuple(
            line for line in lines
            if (line.encoder == "scratch" or test.encoders)
            and (not test.arms or line.arm in test.arms)
            and (not ARMS[line.arm].worlds or world in ARMS[line.arm].worlds)
        )  # fmt: skip

    def bench(self, world: str) -> Bench:
        """The cells of one world."""
        return Bench(world, self.setups[world], self.seeds, self.experience, self.device)


def make_plan(
    preset: str = "quick",
    *,
    arms: Sequence[str] | None = None,
    tests: Sequence[str] | None = None,
    worlds: Sequence[str] | None = None,
    num_seeds: int | None = None,
    first_seed: int = 0,
    experience: str = "yoked",
    targets: ValueTarget = "monte_carlo",
    device: str = "cpu",
    setups: Mapping[str, Setup] | None = None,
) -> ComparisonPlan:
    """The plan of a preset, with what is given in place of its own.

    Args:
        preset: A key of `PRESETS`.
        arms: Arms, each NAME or NAME@ENCODER.
        tests: Names of tests.
        worlds: Names of worlds.
        num_seeds: Number of seeds; at least 2, since T0 stacks on other seeds.
        first_seed: The lowest seed; the others follow it.
        experience: "yoked" or "own".
        targets: What every V learns from, "monte_carlo" or "td_lambda".
        device: "cpu" or "cuda".
        setups: Sizes by world, for trials with small nets.

    Raises:
        UserError: An unknown name, a repeated one, fewer than 2 seeds, a test without a world, an arm that was named
            and that no test reads, or targets where the regime has its own.
    """
    chosen = PRESETS[_known("preset", preset, PRESETS)]
    count = chosen.num_seeds if num_seeds is None else num_seeds
    if not isinstance(count, int) or count < 2:
        raise UserError(
            f"The number of seeds is {count}; at least 2 are needed, since T0 is fitted on the other seeds."
        )
    require_integer("first_seed", first_seed, low=0, high=2**31)
    plan = ComparisonPlan(
        preset=preset,
        lines=find_lines(_arms_of(chosen, experience) if arms is None else arms),
        tests=_names("test", _tests_of(chosen, experience) if tests is None else tests, TESTS),
        worlds=_names("world", chosen.worlds if worlds is None else worlds, SETUPS),
        seeds=tuple(range(first_seed, first_seed + count)),
        setups=MappingProxyType({
            world: dataclasses.replace(setup, targets=targets) for world, setup in {**SETUPS, **(setups or {})}.items()
        }),
        experience=_known("regime", experience, EXPERIENCES),
        device=device,
    )
    needed = [name for test in plan.tests for name in TESTS[test].needs]
    asked = dict.fromkeys([*(line.arm for line in plan.lines), *needed]) if plan.experience == "own" else {}
    bound = [name for name in asked if ARMS[name].needs_recording]
    if bound:
        raise UserError(
            f"{', '.join(bound)} learn from a recording in ways of their own, so that they have no experience of their "
            "own; leave out them and the tests that need them, or use --regime yoked."
        )
    if plan.experience == "own" and targets != "monte_carlo":
        raise UserError(
            f"targets is {targets!r} and the regime own, whose policy gradient learns V with targets of its own; leave "
            "--targets out, or use --regime yoked."
        )
    homeless = [name for name in plan.tests if not plan.worlds_of(TESTS[name])]
    if homeless:
        raise UserError(
            f"{homeless[0]} is a test of {', '.join(TESTS[homeless[0]].worlds)}, but the worlds of this comparison are "
            f"{', '.join(plan.worlds)}; leave the test out or add its world."
        )
    if arms is not None and (idle := _idle_lines(plan)):
        raise UserError(
            f"{', '.join(line.spec for line in idle)}: no test of this comparison reads it in any of its worlds "
            f"({', '.join(plan.tests)} on {', '.join(plan.worlds)}); leave it out, or add a test or world that does."
        )
    return plan


def _idle_lines(plan: ComparisonPlan) -> list[Line]:
    """Lines of which nothing would be computed."""
    tests = [TESTS[key] for key in plan.tests]
    read = {line for test in tests for world in plan.worlds_of(test) for line in plan.lines_of(test, world)}
    return [line for line in plan.lines if line not in read]


def _arms_of(preset: Preset, experience: str) -> tuple[str, ...]:
    """A preset's arms; of these, the ones that can learn from experience of their own where they must."""
    own = experience == "own"
    return tuple(spec for spec in preset.arms if not (own and ARMS[spec.partition("@")[0]].needs_recording))


def _tests_of(preset: Preset, experience: str) -> tuple[str, ...]:
    """A preset's tests; of these, the ones all of whose arms can learn from experience of their own where they must."""
    own = experience == "own"
    return tuple(key for key in preset.tests if not (own and any(ARMS[n].needs_recording for n in TESTS[key].needs)))


def _fitted(plan: ComparisonPlan) -> list[str]:
    """Names of all arms that the plan trains: its own, those that tests need, and teachers."""
    return sorted({cell.config["arm"] for cell in cells_of(plan) if cell.function == FIT})


def _known(what: str, name: str, names: Sequence[str] | Mapping[str, object]) -> str:
    if name not in names:
        raise UserError(f"There is no {what} {name!r}; there are {', '.join(names)}.{nearest(name, names)}")
    return name


def _names(what: str, names: Sequence[str], known: Mapping[str, object]) -> tuple[str, ...]:
    found = tuple(_known(what, name, known) for name in names)
    if not found or len(set(found)) < len(found):
        raise UserError(f"The {what}s are {list(names)}; name at least one, and each once.")
    return found


def frozen(plan: ComparisonPlan) -> dict[str, Any]:
    """The plan as a JSON object: what a preregistration freezes."""
    tests = {name: TESTS[name] for name in plan.tests}
    margins = {name: test.prediction.margin for name, test in tests.items()}
    margins |= {f"{name}, against 0": test.against_zero for name, test in tests.items() if test.against_zero}
    worlds = [world for world in plan.worlds if any(world in plan.worlds_of(test) for test in tests.values())]
    return {
        "preset": plan.preset, "arms": [line.spec for line in plan.lines], "seeds": list(plan.seeds),
        "definitions": {name: ARMS[name].frozen() for name in _fitted(plan)},
        "worlds": worlds, "experience": plan.experience,
        "tests": {name: test.frozen() for name, test in tests.items()}, "margins": margins,
        "contrasts": [list(contrast) for contrast in contrasts_among(plan.arms)],
        "setups": {world: dataclasses.asdict(plan.setups[world]) for world in worlds},
        "cells": sorted({f"{cell.function} v{cell.version}" for cell in cells_of(plan)}),
    }  # fmt: skip


def cells_of(plan: ComparisonPlan) -> list[Cell]:
    """All cells, each once and behind its parents: recordings, fits, and the tests on them.

    Those of one seed and world stand together, and run so where priorities are equal: what a worker has read of a
    recording then serves all arms (`analysis.studies.yoked.read_recording`). Those over all seeds come last.
    """
    found: dict[Cell, None] = {}
    for name in plan.tests:
        test = TESTS[name]
        for world in plan.worlds_of(test):
            found |= dict.fromkeys(plan.bench(world).of_test(test, plan.lines_of(test, world)))
    return sorted(found, key=lambda cell: (cell.config.get("seed", math.inf), plan.worlds.index(cell.config["world"])))
