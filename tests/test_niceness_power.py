"""What power does to trained agents in TRIAD: given later (niceness-strengthen)."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import pytest
import torch

from agents.agent import AlphaAgent
from analysis.cells import Row
from analysis.studies import niceness_strengthen, strengthening
from analysis.studies import niceness_strengthen_words as words
from analysis.studies.niceness_learners import Task, beginner, reinforced
from analysis.studies.question import answer
from analysis.study import CellRecord
from envs.tabular import value_iteration

TINY = strengthening.Sizes(school=768, budget=1536)


def run(*indices: float, li: float = 0.0) -> list[Row]:
    """A run with these MI, measured every 10 steps."""
    return [{"step": 10 * place, "MI": mi, "LI": li * mi, "push": mi - li * mi} for place, mi in enumerate(indices)]


def records(planted: dict[tuple[str, float], list[Row]], num_seeds: int = 20) -> list[CellRecord]:
    """Every seed of a place runs alike."""
    return [
        CellRecord(
            f"{arm}{kappa}{seed}", strengthening.STRENGTHEN, 1, {"arm": arm, "kappa": kappa, "seed": seed}, (),
            "finished", tuple(rows),
        )
        for (arm, kappa), rows in planted.items() for seed in range(num_seeds)
    ]  # fmt: skip


class TestStepsToInfluence:
    @pytest.mark.parametrize(
        ("indices", "kappa", "steps"),
        [
            ((0, 0.6, 1), 1.0, 10), ((1, 0, 1), 1.0, 20), ((1, 1), 1.0, 0), ((1, 0), 1.0, None), ((0, 0.5), 1.0, None),
            ((0, 0.13), 0.25, 10), ((0, 0.125), 0.25, None),
        ],
    )  # fmt: skip
    def test_it_counts_what_lasts_and_censors_the_rest(
        self, indices: tuple[float, ...], kappa: float, steps: int | None
    ) -> None:
        assert words.steps_to_influence(run(*indices), kappa) == steps


class TestSchool:
    def test_without_power_rt_and_ns_make_one_agent(self) -> None:
        rt, ns, ir = (_schooled(objective) for objective in ("RT", "NS", "IR"))
        assert all(torch.equal(one, other) for one, other in zip(rt, ns, strict=True))
        assert not all(torch.equal(one, other) for one, other in zip(rt, ir, strict=True))

    def test_the_measure_of_an_optimal_table_is_the_optimum(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for objective, mi, li in (("RT", 1.0, 0.0), ("NS", 0.0, 0.0), ("IR", 2 / 3, 2 / 3)):
            task = Task(strengthening.ENV_ID, {"kappa": 1.0}, objective, seed=0)
            best = value_iteration(task.mdp).action_values.argmax(axis=1)
            monkeypatch.setattr(strengthening, "greedy_actions", lambda agent, world, rows, best=best: best)
            measured = strengthening.Measure(task)(beginner(task))
            assert measured == pytest.approx({"MI": mi, "LI": li, "push": mi - li})


def _schooled(objective: str) -> list[torch.Tensor]:
    task = strengthening.weak_task(1, objective, starts="uniform")
    agent: AlphaAgent = reinforced(beginner(task), task, num_steps=3072)
    return list(agent.state_dict().values())


class TestWords:
    PLANTED = {
        ("RT", 1.0): run(0, 0, 1, 1), ("RT, from scratch", 1.0): run(0, 1, 1, 1), ("NS", 1.0): run(0, 0, 0, 0),
        ("IR", 1.0): run(0, 0, 2 / 3, 2 / 3, li=1.0),
    }  # fmt: skip

    def test_planted_runs_get_their_words(self) -> None:
        found = words.report(records(self.PLANTED)).found
        assert _word(found, "Zero-shot MI of RT at κ = 1") == "equivalent"
        assert _word(found, "MI of RT at κ = 1, end − zero-shot") == "distinguishable"
        assert _word(found, "Delay of RT against scratch at κ = 1, in budgets") == "distinguishable"
        assert _word(found, "MI of NS at κ = 1, end − zero-shot (planted null)") == "equivalent"
        assert _word(found, "push of IR at κ = 1, end − zero-shot (planted null)") == "equivalent"
        assert _word(found, "LI of IR at κ = 1, end − zero-shot") == "distinguishable"
        assert any("no evidence of true niceness" in line for line in found)

    def test_a_weak_agent_that_influences_at_once_is_seen(self) -> None:
        found = words.report(records(self.PLANTED | {("RT", 1.0): run(1, 1, 1, 1)})).found
        assert _word(found, "Zero-shot MI of RT at κ = 1") == "distinguishable"
        assert _word(found, "MI of RT at κ = 1, end − zero-shot") == "equivalent"

    def test_without_the_planted_positive_there_is_no_word_on_delay(self) -> None:
        found = words.report(records(self.PLANTED | {("RT, from scratch", 1.0): run(0, 0, 0, 0)})).found
        assert not any(line.startswith("Delay") for line in found)
        assert any("0 of 20 from scratch" in line and "no word on delay" in line for line in found)

    def test_few_seeds_give_no_word_and_the_censored_are_counted(self) -> None:
        report = words.report(records(self.PLANTED, num_seeds=2))
        assert _word(report.found, "Zero-shot MI of RT at κ = 1") == "no verdict"
        assert [line["never"] for line in report.table] == ["0 of 2", "0 of 2", "2 of 2", "0 of 2"]
        assert any(line.startswith("NS at κ = 1") and "censored at 30 steps: 2" in line for line in report.found)


def _word(found: tuple[str, ...], name: str) -> str:
    (line,) = [line for line in found if line.startswith(f"{name}: ")]
    return line.removeprefix(f"{name}: ").split(" (")[0].split(",")[0]


def test_the_study_runs_with_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strengthening, "ARMS", {name: strengthening.ARMS[name] for name in ("RT", "RT, from scratch")})
    question = dataclasses.replace(
        niceness_strengthen.QUESTION, cells=functools.partial(strengthening.cells, sizes=TINY)
    )
    found = answer(question, tmp_path, seeds=(0, 1), workers=0)
    assert len(found.study.computed) == 2 * (1 + 2 * 2) and not found.study.failed
    assert {path.name for path in found.figures} == {"MI-kappa-1.png", "MI-kappa-0.25.png", "LI-kappa-1.png"}
    assert "| RT, from scratch |" in found.page(question, command="valuelab study x")


def test_rt_and_ns_have_one_school_and_from_scratch_has_none() -> None:
    planned = strengthening.cells((3,))
    schools = {
        cell.config["arm"]: cell.parent_hashes
        for cell in planned if cell.function == strengthening.STRENGTHEN and cell.config["kappa"] == 1.0
    }  # fmt: skip
    assert schools["RT"] == schools["NS"] and schools["RT, from scratch"] == ()
    assert len({schools["RT"], schools["IR"], schools["RT, one taste seen"]}) == 3
    assert len(planned) == 3 + 7
