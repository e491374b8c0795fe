"""A question is frozen before its study runs, and every way to leave what was frozen is said on the page."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import study_cells  # noqa: F401

from analysis.cells import Cell
from analysis.cli_studies import Study
from analysis.commands.study import run as run_study_command
from analysis.preregistration import preregister
from analysis.studies.question import Answer, Question, Report, answer
from analysis.studies.registry import QUESTIONS
from envs.errors import UserError

QUESTION = Question(
    name="means", asks="Is the mean above 0?", rule="it is if the mean exceeds .1", does_not_show="why",
    num_seeds=2, cells=lambda seeds: [Cell("test.record", {"seed": seed}) for seed in seeds],
    report=lambda records: Report((), (f"{len(records)} means.",), {}),
)  # fmt: skip


def other_cells(seeds: Sequence[int]) -> list[Cell]:
    return [Cell("test.record", {"seed": seed, "more": 1}) for seed in seeds]


def answered(tmp_path: Path, *, question: Question = QUESTION, seeds: range = range(2)) -> Answer:
    frozen = tmp_path / "plan.json"
    preregister(QUESTION.frozen(range(2)), frozen)
    return answer(question, tmp_path / "study", seeds=seeds, workers=0, preregistration=frozen)


def test_a_study_that_keeps_to_its_plan_says_so(tmp_path: Path) -> None:
    found = answered(tmp_path)
    assert found.frozen == "Rule, seeds and cells were frozen in plan.json; this run departs from it in nothing."
    assert found.frozen in found.words
    assert found.frozen in found.page(QUESTION, command="valuelab study means")


@pytest.mark.parametrize(
    ("change", "seeds", "says"),
    [
        ({"rule": "it is if the mean exceeds .05"}, range(2), "rule was frozen as it is if the mean exceeds .1"),
        ({}, range(3), "seeds has [2], which was not frozen"),
        ({"cells": other_cells}, range(2), "cells_sha256 was frozen as"),
        ({"does_not_show": "anything"}, range(2), "does_not_show was frozen as why"),
    ],
)
def test_every_departure_is_named(tmp_path: Path, change: dict, seeds: range, says: str) -> None:
    found = answered(tmp_path, question=dataclasses.replace(QUESTION, **change), seeds=seeds)
    assert says in found.frozen


def test_cells_from_before_the_freeze_are_a_departure(tmp_path: Path) -> None:
    answer(QUESTION, tmp_path / "study", seeds=range(2), workers=0)
    assert "2 cells were computed before the plan was frozen" in answered(tmp_path).frozen


def test_without_a_frozen_file_the_page_says_so(tmp_path: Path) -> None:
    assert answer(QUESTION, tmp_path, seeds=range(2), workers=0).frozen == "Nothing was frozen by hash before this run."


@pytest.mark.parametrize("name", list(QUESTIONS))
def test_every_study_can_be_frozen_by_the_command(name: str, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    assert run_study_command(Study(name=name, freeze=file, out=tmp_path / "never")) == 0
    plan = json.loads(file.read_text())["plan"]
    assert plan["rule"] == QUESTIONS[name].rule
    assert len(plan["seeds"]) == QUESTIONS[name].num_seeds
    assert not (tmp_path / "never").exists()


def test_a_question_without_a_rule_cannot_be_frozen(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no rule"):
        preregister({**QUESTION.frozen(range(2)), "rule": ""}, tmp_path / "plan.json")
