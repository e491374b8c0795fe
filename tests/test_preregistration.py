"""A plan is frozen once, equal plans give equal files, and every way to leave it is said in words."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import study_cells

from analysis import preregistration
from analysis.canonical import content_hash
from analysis.cli import main
from analysis.preregistration import check, preregister
from analysis.study import run_study
from envs.errors import UserError

PLAN = {
    "tests": ["T0", "CrossedHistory"],
    "margins": {"T0": 0.01, "CrossedHistory": {"against_zero": 0.03, "contrasts": 0.05}},
    "seeds": list(range(20)),
    "arms": ("MONO", "MOE"),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "preregistration.json"


def changed(**parts):
    return {**copy.deepcopy(PLAN), **parts}


def test_the_same_plan_gives_the_same_file_and_no_deviation(path, tmp_path):
    first = preregister(PLAN, path)
    other = tmp_path / "other.json"
    assert preregister(json.loads(json.dumps(PLAN)), other) == first
    assert other.read_bytes() == path.read_bytes()
    assert check(PLAN, path) == []
    assert len(first) == 64


def test_time_stands_in_a_file_of_its_own_and_is_kept(path):
    plan_hash = preregister(PLAN, path)
    time_file = path.with_name("preregistration.time.json")
    before = time_file.read_bytes()
    assert json.loads(before)["sha256"] == plan_hash
    assert json.loads(before)["frozen_utc"].endswith("+00:00")
    assert preregister(PLAN, path) == plan_hash
    assert time_file.read_bytes() == before


@pytest.mark.parametrize(
    ("now", "sentence"),
    [
        (
            changed(margins={"T0": 0.02, "CrossedHistory": PLAN["margins"]["CrossedHistory"]}),
            "margins.T0 was frozen as 0.01 and is 0.02 now.",
        ),
        (changed(seeds=list(range(18))), "seeds lacks [18, 19], which was frozen (20 entries then, 18 now)."),
        (changed(seeds=list(range(21))), "seeds has [20], which was not frozen (20 entries then, 21 now)."),
        (changed(arms=["MOE", "MONO"]), "arms was frozen as ['MONO', 'MOE'] and is ['MOE', 'MONO'] now."),
        (changed(steps=100), "steps is 100 now and was not frozen."),
    ],
)
def test_each_deviation_in_words(path, now, sentence):
    preregister(PLAN, path)
    assert check(now, path) == [sentence]
    with pytest.raises(UserError, match="Another plan is frozen"):
        preregister(now, path)
    assert check(PLAN, path) == []


def test_a_missing_part_is_a_deviation(path):
    preregister(changed(steps=100), path)
    assert check(PLAN, path) == ["steps was frozen as 100 and is missing now."]


def test_a_changed_rule_is_a_deviation(path, monkeypatch):
    preregister(PLAN, path)
    monkeypatch.setattr(preregistration, "RULE_VERSIONS", {**preregistration.RULE_VERSIONS, "verdict": 99})
    assert check(PLAN, path) == ["rule_versions.verdict was frozen as 1 and is 99 now."]


def test_a_question_is_bound_by_its_own_rule_and_by_verdicts_alone(path, monkeypatch):
    question = {"rule": "it holds in 9 of 10 seeds", "seeds": [0, 1], "cells": 4}
    frozen = {**question, "rule_versions": dict(preregistration.RULE_VERSIONS)}
    stands = content_hash(frozen)
    path.write_text(json.dumps({"schema": 1, "sha256": stands, "plan": frozen}))
    path.with_name("preregistration.time.json").write_text(json.dumps({"sha256": stands, "frozen_utc": "2026"}))
    for rule, sentences in {
        "admission": [], "position": [], "verdict": ["rule_versions.verdict was frozen as 1 and is 99 now."]
    }.items():  # fmt: skip
        monkeypatch.setattr(preregistration, "RULE_VERSIONS", {**frozen["rule_versions"], rule: 99})
        assert check(question, path) == sentences
    monkeypatch.undo()
    assert preregister(question, path) == stands


def test_an_edited_file_is_seen_even_with_a_fitting_hash(path):
    preregister(PLAN, path)
    record = json.loads(path.read_text())
    record["plan"]["margins"]["T0"] = 0.5
    path.write_text(json.dumps(record))
    now = changed(margins={"T0": 0.5, "CrossedHistory": PLAN["margins"]["CrossedHistory"]})
    (sentence,) = check(now, path)
    assert "was edited" in sentence
    record["sha256"] = preregister(now, path.with_name("fresh.json"))
    path.write_text(json.dumps(record))
    (sentence,) = check(now, path)
    assert "was edited" in sentence


def test_nothing_frozen_is_a_deviation(path):
    assert check(PLAN, path) == ["Nothing was frozen before the study ran: there is no file 'preregistration.json'."]


def test_cells_computed_before_freezing_are_a_deviation(path, tmp_path):
    early, late = study_cells.study(1), study_cells.study(2)
    run_study(early, tmp_path / "s", workers=0)
    preregister(PLAN, path)
    run_study(late, tmp_path / "s", workers=0)
    hashes = {cell.hash for cell in (*early, *late)}
    (sentence,) = check(PLAN, path, study=tmp_path / "s", cells=hashes)
    assert sentence.startswith("3 cells were computed before the plan was frozen at ")
    run_study(late, tmp_path / "t", workers=0)
    assert check(PLAN, path, study=tmp_path / "t", cells=hashes) == []


def test_cells_of_other_plans_in_the_folder_are_no_deviation(path, tmp_path):
    run_study(study_cells.study(1), tmp_path / "s", workers=0)
    preregister(PLAN, path)
    own = [cell for cell in study_cells.study(2) if cell not in study_cells.study(1)]
    run_study(study_cells.study(2), tmp_path / "s", workers=0)
    assert check(PLAN, path, study=tmp_path / "s", cells=[cell.hash for cell in own]) == []


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({**PLAN, "margins": {}}, "no margins"),
        ({"tests": ["T0"]}, "no margins, seeds, arms"),
        ({**PLAN, "seeds": [1, 1]}, "without repetitions"),
        ({**PLAN, "seeds": 20}, "must be a list"),
        ({**PLAN, "margins": {"T0": float("inf")}}, "Plan.margins.T0 is inf"),
    ],
)
def test_bad_plans_are_refused(path, plan, message):
    with pytest.raises(UserError, match=message):
        preregister(plan, path)
    assert not path.exists()


@pytest.mark.parametrize("study", [["study", "niceness-power"], ["compare"]])
def test_a_plan_that_is_none_is_refused_before_a_study_runs(tmp_path, monkeypatch, capsys, study):
    monkeypatch.chdir(tmp_path)
    Path("empty.json").write_text("{}")
    for name, cause in (("frozn.json", "which is no file"), ("empty.json", "which holds no frozen plan")):
        with pytest.raises(SystemExit) as stop:
            main([*study, "--preregistration", name])
        assert stop.value.code == 2 and f"--preregistration is '{name}', {cause}" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["empty.json"]
