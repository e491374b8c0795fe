"""What power does to trained agents in TRIAD: given later (niceness-strengthen), or seen (niceness-power)."""

from __future__ import annotations

import dataclasses
import functools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from agents.agent import AlphaAgent
from agents.environments import make_vector
from analysis.cells import Row
from analysis.studies import niceness_power, niceness_strengthen, power_optima, strengthening
from analysis.studies import niceness_strengthen_words as words
from analysis.studies.mixed_powers import MixedPowers
from analysis.studies.niceness_learners import Task, beginner, reinforced
from analysis.studies.question import answer
from analysis.studies.value_heads import HEADS
from analysis.study import CellRecord
from envs.niceness.row_policies import policy_on_rows
from envs.tabular import value_iteration

TINY = strengthening.Sizes(school=768, budget=1536)


def run(*indices: float, li: float = 0.0) -> list[Row]:
    """A run with these MI, measured every 10 steps."""
    return [{"step": 10 * place, "MI": mi, "LI": li * mi, "push": mi - li * mi} for place, mi in enumerate(indices)]


def records(
    planted: dict[tuple[str, float], list[Row]], num_seeds: int = 20, *, head: str = "MONO"
) -> list[CellRecord]:
    """Every seed of a place runs alike."""
    return [
        CellRecord(
            f"{arm}{head}{kappa}{seed}", strengthening.STRENGTHEN, 2,
            {"arm": arm, "head": head, "kappa": kappa, "seed": seed}, (), "finished", tuple(rows),
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
    @pytest.mark.parametrize("head", ["MONO", "ROUTE"])
    def test_without_power_rt_and_ns_make_one_agent(self, head: str) -> None:
        rt, ns, ir = (_schooled(objective, head) for objective in ("RT", "NS", "IR"))
        assert all(torch.equal(one, other) for one, other in zip(rt, ns, strict=True))
        assert not all(torch.equal(one, other) for one, other in zip(rt, ir, strict=True))

    def test_the_measure_of_an_optimal_table_is_the_optimum(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for objective, mi, li in (("RT", 1.0, 0.0), ("NS", 0.0, 0.0), ("IR", 2 / 3, 2 / 3)):
            task = Task(strengthening.ENV_ID, {"kappa": 1.0}, objective, seed=0)
            best = value_iteration(task.mdp).action_values.argmax(axis=1)
            monkeypatch.setattr(strengthening, "greedy_actions", lambda agent, world, rows, best=best: best)
            measured = strengthening.Measure(task)(beginner(task))
            assert measured == pytest.approx({"MI": mi, "LI": li, "push": mi - li})


def _schooled(objective: str, head: str) -> list[torch.Tensor]:
    task = strengthening.weak_task(1, objective, starts="uniform")
    agent: AlphaAgent = reinforced(beginner(task, head), task, num_steps=3072, share_value=True)
    return list(agent.state_dict().values())


def test_the_head_has_a_part_in_d_where_v_is_the_baseline_alone() -> None:
    task = strengthening.weak_task(1, "RT", starts="uniform")
    made = {
        (head, shares): reinforced(beginner(task, head), task, num_steps=1536, share_value=shares).policy_head.weight
        for head in HEADS for shares in (True, False)
    }  # fmt: skip
    assert all(torch.equal(made["MONO", False], made[head, False]) for head in HEADS)
    assert len({made[head, True].detach().numpy().tobytes() for head in HEADS}) == len(HEADS)


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
        assert any(line.startswith("NS (MONO) at κ = 1") and "censored at 30 steps: 2" in line for line in report.found)

    def test_shards_are_held_against_the_monolith_seed_by_seed(self) -> None:
        slow = self.PLANTED | {("RT", 1.0): run(0, 0, 0, 1)}
        found = words.report([*records(self.PLANTED), *records(slow, head="MOE")]).found
        assert _word(found, "Zero-shot MI of RT at κ = 1, MOE − MONO") == "equivalent"
        assert _word(found, "Steps to influence of RT at κ = 1, in budgets, MOE − MONO") == "distinguishable"
        assert not any("ROUTE" in line for line in found)
        fails = self.PLANTED | {("RT, from scratch", 1.0): run(0, 0, 0, 0)}
        found = words.report([*records(self.PLANTED), *records(fails, head="MOE")]).found
        assert not any(line.startswith("Steps to influence") for line in found)


def _word(found: tuple[str, ...], name: str) -> str:
    (line,) = [line for line in found if line.startswith(f"{name}: ")]
    return line.removeprefix(f"{name}: ").split(" (")[0].split(",")[0]


def test_the_study_runs_with_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strengthening, "ARMS", {name: strengthening.ARMS[name] for name in ("RT", "RT, from scratch")})
    monkeypatch.setattr(strengthening, "HEADS", ("MONO", "ROUTE"))
    question = dataclasses.replace(
        niceness_strengthen.QUESTION, cells=functools.partial(strengthening.cells, sizes=TINY)
    )
    found = answer(question, tmp_path, seeds=(0, 1), workers=0)
    assert len(found.study.computed) == 2 * 2 * (1 + 2 * 2) and not found.study.failed
    assert {path.name for path in found.figures} == {
        "MI-kappa-1.png", "MI-kappa-0.25.png", "LI-kappa-1.png", "MI-kappa-1-heads.png", "MI-kappa-0.25-heads.png",
    }  # fmt: skip
    assert "| RT, from scratch | ROUTE |" in found.page(question, command="valuelab study x")


def test_rt_and_ns_have_one_school_and_from_scratch_has_none() -> None:
    planned = strengthening.cells((3,))
    schools = {
        cell.config["arm"]: cell.parent_hashes
        for cell in planned if cell.function == strengthening.STRENGTHEN and cell.config["kappa"] == 1.0
    }  # fmt: skip
    assert schools["RT"] == schools["NS"] and schools["RT, from scratch"] == ()
    assert len({schools["RT"], schools["IR"], schools["RT, one taste seen"]}) == 3
    assert len(planned) == len(HEADS) * (3 + 7)


class TestMixedPowers:
    def test_each_block_is_the_world_of_its_power_with_streams_of_its_own(self) -> None:
        mixed, rng = MixedPowers((0.1, 0.5), 8, shows_power=True), np.random.default_rng(0)
        alone = [
            make_vector("ValueLab/Triad-v0", 4, options={"kappa": kappa}, first_env=4 * place)
            for place, kappa in enumerate((0.1, 0.5))
        ]
        shown, _ = mixed.reset(seed=3)
        assert shown["vector"][:, -1] == pytest.approx([0.1] * 4 + [0.5] * 4)
        assert mixed.observation_space.contains(shown)
        for env in alone:
            env.reset(seed=3)
        for _ in range(60):
            actions = rng.integers(0, 6, 8)
            shown, rewards, terminated, _, info = mixed.step(actions)
            parts = [env.step(part) for env, part in zip(alone, np.split(actions, 2), strict=True)]
            assert rewards.tolist() == [reward for part in parts for reward in part[1]]
            assert terminated.tolist() == [ended for part in parts for ended in part[2]]
            assert (info["components"] == np.concatenate([part[4]["components"] for part in parts])).all()
            assert (shown["planes"] == np.concatenate([part[0]["planes"] for part in parts])).all()

    def test_hidden_power_is_0_for_all(self) -> None:
        shown, _ = MixedPowers((0.5, 1.0), 4, shows_power=False).reset(seed=0)
        assert shown["vector"][:, -1].tolist() == [0.0] * 4


class TestOptima:
    def test_the_hidden_optimum_is_that_of_beliefs_over_all_actions(self) -> None:
        value, plans = power_optima.hidden_optimum()
        powers = {Fraction(str(kappa)): Fraction(1, 4) for kappa in power_optima.KAPPAS}
        assert value == believing(0, powers) == 13
        assert plans == [(True, False, False, False, False, False)]

    def test_who_persuades_stops_when_it_has_succeeded(self) -> None:
        case = power_optima.states_of(1.0)[0]
        found = power_optima.measured(1.0, power_optima.persuading(case, (True,) * 6))
        assert found == {"MI": 1.0, "tries": 1.0, "RT": 16.0}

    @pytest.mark.parametrize(("kappa", "mi", "tries"), [(0.0, 0, 0), (0.1, 0, 0), (0.5, 0.79, 1), (1.0, 1, 1)])
    def test_who_sees_power_tries_where_it_pays_alone(self, kappa: float, mi: float, tries: float) -> None:
        case, _, mdp = power_optima.states_of(kappa)
        policy = policy_on_rows(case, mdp.rows, value_iteration(mdp).action_values.argmax(axis=1))
        found = power_optima.measured(kappa, policy)
        assert found["MI"] == pytest.approx(mi, abs=0.035) and found["tries"] == tries


def believing(time: int, powers: dict[Fraction, Fraction]) -> Fraction:
    """Plain Python: the most RT to come for an unlocked person who does not want E, powers weighed but not normed."""
    if time == 6:
        return Fraction(0)
    weight, left = sum(powers.values(), Fraction(0)), 5 - time
    succeeds = sum((kappa * share for kappa, share in powers.items()), Fraction(0))
    failed = believing(time + 1, {kappa: (1 - kappa) * share for kappa, share in powers.items()})
    persuade, lock = (weight + succeeds * each * left + failed for each in (3, 2))
    return max(2 * weight + believing(time + 1, powers), weight + believing(time + 1, powers), persuade, lock)


def power_records(
    tries: dict[str, dict[float, float]], num_seeds: int = 20, *, head: str = "MONO"
) -> list[CellRecord]:
    """Every seed of a player alike; MI is κ where it tries."""
    rows = [
        {"player": player, "kappa": kappa, "tries": one, "MI": one * kappa, "RT": 12.0}
        for player, places in tries.items() for kappa, one in places.items()
    ]  # fmt: skip
    return [
        CellRecord(f"{seed}", niceness_power.TRAIN, 2, {"seed": seed, "head": head}, (), "finished", tuple(rows))
        for seed in range(num_seeds)
    ]


class TestPowerWords:
    OPTIMA = {"κ seen": {0.0: 0.0, 0.1: 0.0, 0.5: 1.0, 1.0: 1.0}, "κ hidden": dict.fromkeys(power_optima.KAPPAS, 1.0)}

    def test_the_optima_are_told_apart(self) -> None:
        found = niceness_power.report(power_records(self.OPTIMA)).found
        assert _word(found, "Share that tries, κ = 1 − κ = 0, κ seen") == "distinguishable"
        assert _word(found, "Share that tries, κ = 1 − κ = 0, κ hidden (planted null)") == "equivalent"
        assert _word(found, "Share that tries at κ = 0.1, seen − hidden") == "distinguishable"
        assert _word(found, "Share that tries at κ = 1, seen − hidden") == "equivalent"
        assert "the optimum of who does not see κ persuades in step 1, whatever the power." in found[-1]

    def test_who_sees_and_does_not_use_it_is_no_different(self) -> None:
        same = self.OPTIMA | {"κ seen": self.OPTIMA["κ hidden"]}
        found = niceness_power.report(power_records(same)).found
        assert _word(found, "Share that tries, κ = 1 − κ = 0, κ seen") == "equivalent"

    def test_shards_are_held_against_the_monolith_seed_by_seed(self) -> None:
        never = {"κ seen": dict.fromkeys(power_optima.KAPPAS, 0.0)}
        records = [*power_records(self.OPTIMA), *power_records(never, head="ROUTE")]
        found = niceness_power.report(records).found
        assert _word(found, "Share that tries at κ = 1, seen, ROUTE − MONO") == "distinguishable"
        assert _word(found, "Share that tries at κ = 0, seen, ROUTE − MONO") == "equivalent"


def test_the_study_of_power_runs_with_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(niceness_power, "HEADS", ("MONO", "ROUTE"))
    tiny = functools.partial(niceness_power.cells, num_steps=1536)
    found = answer(dataclasses.replace(niceness_power.QUESTION, cells=tiny), tmp_path, seeds=(0, 1), workers=0)
    assert len(found.study.computed) == 8 and not found.study.failed
    page = found.page(niceness_power.QUESTION, command="valuelab study x")
    assert "| κ hidden | ROUTE |" in page and [path.name for path in found.figures] == ["MI-by-power.png"]
