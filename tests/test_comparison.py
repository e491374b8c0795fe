"""The comparison end to end with tiny networks: cells, scores, words, figures, and that workers do not matter."""

from __future__ import annotations

import dataclasses
import itertools
import re
import shutil
from pathlib import Path

import numpy as np
import polars
import pytest

from agents.agent import build_agent
from agents.config import ValueConfig
from agents.exact import policy_table, value_table
from agents.outcomes import outcomes_of
from agents.responsibility import load_event_log
from analysis.arms import ARMS, Arm, Line, contrasts_among, find_lines
from analysis.canonical import content_hash
from analysis.cells import CELLS, CellContext
from analysis.predictions.crossed_history import MARGIN_AGAINST_ZERO
from analysis.predictions.crossed_states import object_distances
from analysis.predictions.lookahead import first_reached, preference
from analysis.preregistration import check, preregister
from analysis.studies import (
    admitting,
    answer_page,
    comparison,
    comparison_figures,
    comparison_scores,
    comparison_tables,
    comparison_words,
    contest_test,
    credit_cells,
    lessons,
    yoked,
)
from analysis.studies.answer_page import page, write_page
from analysis.studies.comparison import run_comparison
from analysis.studies.crossing_cells import CROSS
from analysis.studies.exact_values import exact_values
from analysis.studies.fitting import EVENTS, fit
from analysis.studies.plan import ComparisonPlan, cells_of, frozen, make_plan
from analysis.study import digest, read_study
from envs.demonstrations import demonstrate
from envs.errors import UserError
from envs.registry import make_world
from envs.step_buffers import observation_space
from envs.tabular import enumerate_world, policy_evaluation, state_index

TINY = yoked.Setup(
    num_demonstrations=60, imitation_updates=20, reinforce_steps=0, num_episodes=120, encoder_sizes=(16, 16),
    hidden_size=48, value_updates=20, batch_size=32, num_checked_levels=2,
)  # fmt: skip
PARTS_ALONE = dataclasses.replace(TINY, route_encoder="global")
SMALL = {"CrossedHistory": TINY, "MultiNeed": PARTS_ALONE, "DiamondGhost": PARTS_ALONE}


def _broken(context: CellContext) -> list[dict[str, object]]:
    raise ArithmeticError("planted")


def tiny_plan(**changes: object) -> ComparisonPlan:
    arms, tests = ("MONO", "MONO@imitated", "POS", "NEG-F"), ("T0", "CrossedHistory")
    chosen = {"arms": arms, "tests": tests, "num_seeds": 2, "setups": SMALL}
    return make_plan("quick", **{**chosen, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> comparison.ComparisonResult:
    return run_comparison(tiny_plan(), tmp_path_factory.mktemp("study"), workers=0)


class TestPlan:
    def test_arms_differ_only_in_v(self) -> None:
        """Every fit of a seed has the one recording as its parent, whatever the arm."""
        cells = cells_of(tiny_plan())
        fits = [cell for cell in cells if cell.function == yoked.FIT and cell.config["seed"] == 0]
        assert len({cell.parent_hashes for cell in fits}) == 1
        assert len({(c.config["arm"], c.config["regime"], c.config["replica"]) for c in fits}) == len(fits) == 8

    def test_presets(self) -> None:
        first = make_plan("first")
        assert (len(first.seeds), len(first.arms), len(first.tests)) == (20, 6, 4)
        assert len(make_plan("quick").seeds) == 3

    def test_a_replication_has_fresh_seeds(self) -> None:
        again = make_plan("first", first_seed=20)
        assert again.seeds == tuple(range(20, 40))
        assert not {c.hash for c in cells_of(make_plan("first"))} & {c.hash for c in cells_of(again)}

    def test_a_recording_is_read_once_for_all_arms(self) -> None:
        """Cells run in the order of the plan where priorities are equal, and a worker keeps the last recording."""
        plan = make_plan("standard")
        read = [cell for cell in cells_of(plan) if cell.function == yoked.FIT]
        blocks = [key for key, _ in itertools.groupby((cell.config["seed"], cell.config["world"]) for cell in read)]
        assert len(blocks) == len(set(blocks)) == len(plan.seeds) * 3

    def test_a_change_of_size_changes_every_cell(self) -> None:
        other = tiny_plan(setups={**SMALL, "CrossedHistory": dataclasses.replace(TINY, value_updates=21)})
        assert not {cell.hash for cell in cells_of(tiny_plan())} & {cell.hash for cell in cells_of(other)}

    def test_contrasts_need_both_arms(self) -> None:
        assert [first for first, _, _ in contrasts_among(["MONO", "MOE", "ROUTE"])] == ["MOE", "ROUTE"]

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"arms": ("MONO", "MEO")}, "'MEO'.*Did you mean 'MOE'"),
            ({"arms": ("MONO", "MONO")}, "once"),
            ({"tests": ("T55",)}, "'T55'.*Did you mean 'T5'"),
            ({"num_seeds": 1}, "1; at least 2"),
            ({"first_seed": -1}, "first_seed is -1"),
            ({"tests": ()}, "at least one"),
            ({"arms": ("MONO@imitate",)}, "'imitate'.*Did you mean 'imitated'"),
            ({"worlds": ("MultiNeed",)}, "T0 is a test of CrossedHistory"),
            ({"experience": "mine"}, "no regime 'mine'"),
            ({"experience": "own", "arms": ("MONO", "ROUTE-RAND", "MOE-BLOCK")}, "ROUTE-RAND, MOE-BLOCK learn"),
            ({"experience": "own", "targets": "td_lambda", "arms": ("MONO",), "tests": ("T1",)}, "--regime yoked"),
            ({"arms": ("MONO", "NEG-1"), "tests": ("CrossedHistory",)}, "^NEG-1: no test"),
            ({"arms": ("MONO", "MONO@shared"), "tests": ("T3",)}, "^MONO@shared: no test"),
        ],
    )
    def test_bad_plans_are_refused(self, changes: dict[str, object], message: str) -> None:
        with pytest.raises(UserError, match=message):
            tiny_plan(**changes)

    def test_presets_leave_out_what_has_no_experience_of_its_own(self) -> None:
        assert "ROUTE-RAND" in make_plan("first").arms and "ROUTE-RAND" not in make_plan("first", experience="own").arms

    def test_an_arm_is_frozen_with_what_makes_it(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        preregister(frozen(tiny_plan()), tmp_path / "plan.json")
        leaky = dataclasses.replace(ARMS["POS"], options={"gate_leak": 0.3})
        monkeypatch.setattr("analysis.studies.plan.ARMS", {**ARMS, "POS": leaky})
        (said,) = check(frozen(tiny_plan()), tmp_path / "plan.json")
        assert "definitions.POS.options.gate_leak is 0.3 now and was not frozen" in said

    def test_cells_name_arms_so_that_a_new_definition_needs_a_new_version(self) -> None:
        """A cell's hash holds an arm's name alone: where a definition changes, raise `comparison.fit`'s version."""
        made = {name: {**arm.frozen(), "role": ""} for name, arm in ARMS.items()}
        assert (CELLS[yoked.FIT].version, content_hash(made)[:12]) == (4, "5b0e1c292d57")

    def test_an_unknown_preset_is_refused(self) -> None:
        with pytest.raises(UserError, match="'frist'.*Did you mean 'first'"):
            make_plan("frist")


class TestRun:
    def test_everything_is_there(self, finished: comparison.ComparisonResult) -> None:
        assert finished.study.exit_code == 0
        assert all(path.stat().st_size > 10_000 for path in finished.figures)
        assert {row["arm"] for row in finished.table if row["test"] == "T0"} == {
            "MONO", "MONO (imitated E)", "POS", "NEG-F", "SHARD-LAW", "OPTIMUM", "ANTI-LAW",
        }  # fmt: skip
        assert (finished.folder / "summary.txt").read_text().strip() == finished.words.strip()

    def test_three_seeds_give_no_verdict_in_words(self, finished: comparison.ComparisonResult) -> None:
        assert "2 seeds are too few" in finished.words
        assert "distinguishable (" not in finished.words
        assert "Scope:" in finished.words

    def test_the_planted_agents_come_out(self, finished: comparison.ComparisonResult) -> None:
        lines = finished.scores.tests["T0"].lines
        assert min(lines["SHARD-LAW"].values()) > 1.0
        assert max(map(abs, (*lines["OPTIMUM"].values(), *lines["ANTI-LAW"].values()))) < 0.2

        crossed = finished.scores.tests["CrossedHistory"]
        assert min(crossed.lines["SHARD-LAW"].values()) > 1.0 and crossed.controls is None
        assert max(map(abs, crossed.lines["OPTIMUM"].values())) < MARGIN_AGAINST_ZERO
        assert max(crossed.lines["ANTI-LAW"].values()) < -0.3

    def test_unmatched_arms_forbid_verdicts(
        self, monkeypatch: pytest.MonkeyPatch, finished: comparison.ComparisonResult
    ) -> None:
        monkeypatch.setattr("analysis.studies.matching.MATCH", -1.0)
        scores = comparison_scores.score(finished.folder, tiny_plan())
        assert all("arms are not matched: " in str(test.controls) for test in scores.tests.values())
        assert {row["against 0"] for row in comparison_words.table(scores)} == {""}

    def test_a_part_of_pos_gets_all_credit_for_its_own_event(self, finished: comparison.ComparisonResult) -> None:
        credit = finished.scores.credit["CrossedHistory"]
        assert set(credit) == {"POS"}  # V of the other arms is one part
        for matrix in credit["POS"].values():
            np.testing.assert_allclose(comparison_figures.by_event(matrix), np.eye(len(matrix)), atol=1e-9)
        fits = [r for r in read_study(finished.folder) if r.function == yoked.FIT and r.config["arm"] == "POS"]
        log = load_event_log(finished.folder / "artifacts" / fits[0].hash / EVENTS)
        credited = np.isfinite(log.responsibility).all(axis=1)  # the others were in no batch
        assert credited.mean() > 0.5
        np.testing.assert_allclose(log.responsibility[credited].sum(axis=1), 1.0)

    def test_without_controls_no_verdict_is_read(self) -> None:
        lines = {"MOE": dict.fromkeys(range(20), 0.5), "MONO": dict.fromkeys(range(20), 0.1)}
        assert admitting.admission_of(credit_cells.TEST, lines, {}) is None
        assert contest_test.planted_fault(lines) == "planted agents are missing"
        assert set(comparison_scores._tested({**lines, "POS": {}, "NEG-F": {}, "OPTIMUM": {}})) == {"MOE", "MONO"}

    def test_a_failed_control_forbids_verdicts_in_every_output(self, finished: comparison.ComparisonResult) -> None:
        test = finished.scores.tests["CrossedHistory"]
        assert comparison_words.readable_words(test).keys() == {"MONO", "MONO (imitated E)"}
        faulty = dataclasses.replace(test, controls="the plants did not come out")
        assert comparison_words.readable_words(faulty) == {}
        scores = dataclasses.replace(finished.scores, tests={"CrossedHistory": faulty})
        assert {row["against 0"] for row in comparison_words.table(scores)} == {""}
        assert "no verdict" not in comparison_tables.markdown(scores).replace(comparison_words.SCOPE, "")

    def test_tables_and_csv_hold_the_scores(self, finished: comparison.ComparisonResult) -> None:
        table = (finished.folder / "tables.md").read_text()
        mean = np.mean(list(finished.scores.tests["CrossedHistory"].lines["MONO"].values()))
        assert f" | {mean:+.3f} [" in table and "| c, τ = ∞ |" in table
        rows = polars.read_csv(finished.folder / "scores.csv")
        chosen = rows.filter(polars.col("test") == "CrossedHistory", polars.col("reading") == "score")
        mono = chosen.filter(polars.col("line") == "MONO").sort("seed")
        assert mono["seed"].to_list() == [0, 1] and mono["value"].mean() == pytest.approx(mean)

    def test_every_tau_of_the_law_is_scored_and_infinity_is_the_optimum(
        self, finished: comparison.ComparisonResult
    ) -> None:
        extra = finished.scores.tests["T0"].extra
        for seed, nats in extra["values nats_a"]["MONO"].items():
            assert extra["values nats_r"]["MONO"][seed] == pytest.approx(nats, abs=1e-6)

    def test_the_page_answers_each_question_and_finds_its_figures(
        self, finished: comparison.ComparisonResult, tmp_path: Path
    ) -> None:
        write_page(finished, tmp_path / "answer.md")
        text = (tmp_path / "answer.md").read_text()
        assert "## Q1. " in text and "## Q2. " not in text and "Nothing was preregistered" in text
        links = re.findall(r"\]\((answer/[^)]+)\)", text)
        assert {"answer/T0.png", "answer/CrossedHistory.png", "answer/values.png", "answer/scores.csv"} <= set(links)
        assert all((tmp_path / link).stat().st_size > 0 for link in links)
        assert "by the commit of the code that computed them: " in text
        late = dataclasses.replace(finished, deviations=("seeds differ.",))
        assert "departs from it: seeds differ." in page(late, "answer")

    def test_parameters_match(self, finished: comparison.ComparisonResult) -> None:
        counts = finished.scores.parameters["CrossedHistory"]
        assert all(abs(count / counts["MONO"] - 1) <= 0.02 for count in counts.values())
        products = finished.scores.multiply_adds["CrossedHistory"]
        assert all(0.9 * counts[line] < products[line] < 1.1 * counts[line] for line in counts)
        assert f"{products['MONO']} multiply-adds a value" in finished.words

    def test_a_second_run_computes_nothing(self, finished: comparison.ComparisonResult) -> None:
        again = run_comparison(tiny_plan(), finished.folder, workers=0)
        assert not again.study.computed
        assert again.table == finished.table

    def test_a_preregistration_is_checked(self, finished: comparison.ComparisonResult, tmp_path: Path) -> None:
        path = tmp_path / "plan.json"
        preregister(frozen(tiny_plan()), path)
        assert check(frozen(tiny_plan()), path) == []
        assert frozen(tiny_plan())["margins"]["CrossedHistory, against 0"] == MARGIN_AGAINST_ZERO
        assert any("seeds" in line for line in check(frozen(tiny_plan(num_seeds=3)), path))
        late = run_comparison(tiny_plan(), finished.folder, workers=0, preregistration=path)
        assert "DEVIATIONS" in late.words

    def test_damage_outside_the_plan_does_no_harm(self, finished: comparison.ComparisonResult, tmp_path: Path) -> None:
        folder = tmp_path / "study"
        shutil.copytree(finished.folder, folder)
        (folder / "cells" / f"{'0' * 64}.jsonl").write_text("")
        again = run_comparison(tiny_plan(), folder, workers=0)
        assert not again.study.computed and again.table == finished.table

    def test_a_failed_cell_is_a_departure(
        self, finished: comparison.ComparisonResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder, path = tmp_path / "study", tmp_path / "plan.json"
        shutil.copytree(finished.folder, folder)
        preregister(frozen(tiny_plan()), path)
        lost = next(cell for cell in cells_of(tiny_plan()) if cell.function == CROSS and cell.config["arm"] == "MONO")
        (folder / "cells" / f"{lost.hash}.jsonl").unlink()
        broken = dataclasses.replace(CELLS[CROSS], function=_broken)
        monkeypatch.setitem(CELLS, CROSS, broken)
        result = run_comparison(tiny_plan(), folder, workers=0, preregistration=path)
        assert result.deviations is not None
        assert any(sentence.startswith("1 of its cells failed") for sentence in result.deviations)

    def test_a_page_of_many_lines_tells_of_the_main_ones(
        self, finished: comparison.ComparisonResult, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(answer_page, "MANY", 1)
        monkeypatch.setattr(answer_page, "MAIN", ("MONO",))
        text = page(finished, "answer")
        assert "| MONO |" in text and "| POS |" not in text and "| SHARD-LAW |" in text
        assert "[answer/tables.md](answer/tables.md)" in text

    @pytest.mark.slow
    def test_workers_do_not_matter(self, finished: comparison.ComparisonResult, tmp_path: Path) -> None:
        for workers in (1, 2):
            run_comparison(tiny_plan(), tmp_path / str(workers), workers=workers)
            assert digest(tmp_path / str(workers)) == digest(finished.folder)

    @pytest.mark.slow
    def test_multi_need_end_to_end(self, tmp_path: Path) -> None:
        plan = tiny_plan(tests=("T3", "T5"), arms=("MONO", "MOE", "ROUTE", "POS", "NEG-F"), worlds=("MultiNeed",))
        result = run_comparison(plan, tmp_path, workers=2)
        assert result.study.exit_code == 0
        credit = result.scores.tests["T5"]
        assert min(credit.lines["POS"].values()) == 1.0
        assert credit.admission is not None and not credit.admission.admitted


class TestYoked:
    def test_shuffled_events_keep_frequencies_and_nothing_else_changes(self) -> None:
        world = make_world("CrossedHistory")
        episodes = demonstrate(world, world.levels("train"), num_episodes=200, seed=0)
        told = lessons.arm_episodes(episodes, ARMS["ROUTE-RAND"], seed=0)
        assert np.bincount(told.events + 1).tolist() == np.bincount(episodes.events + 1).tolist()
        assert (told.events != episodes.events).any()
        assert told.rewards is episodes.rewards
        assert lessons.arm_episodes(episodes, ARMS["ROUTE"], seed=0) is episodes

    def test_the_sister_differs_in_initial_weights_alone(self) -> None:
        world = make_world("CrossedHistory")
        player = build_agent(
            observation_space(world), 4, yoked.agent_config(world, TINY, head="MONO", regime="scratch"), seed=3
        )
        built = [
            yoked.arm_agent(player, ARMS["MONO"], world, setup=TINY, regime="scratch", replica=replica)
            for replica in (0, 0, 1)
        ]
        first, same, sister = ([p.detach().numpy() for p in agent.value_encoder.parameters()] for agent in built)
        assert all((a == b).all() for a, b in zip(first, same, strict=True))
        assert any((a != b).any() for a, b in zip(first, sister, strict=True))

    def test_the_pairing_is_the_seeds_own(self) -> None:
        pairings = {tuple(yoked.options_of("CrossedHistory", seed)["pairing"]) for seed in range(20)}
        assert pairings == {(0, 1), (1, 0)}

    def test_arms_are_found_by_name(self) -> None:
        assert find_lines(["ROUTE-RAND", "MONO@shared"]) == (Line("ROUTE-RAND"), Line("MONO", "shared"))


class TestContestCells:
    world = make_world("CrossedHistory", layout="choice", num_levels=200)

    def test_v1_on_the_optimum_reaches_an_object_and_a_planted_taste_decides_which(self) -> None:
        rows = self.world.begin(self.world.levels("test").ids(), 0)

        def taste(states: np.ndarray) -> np.ndarray:
            return 0.95 ** object_distances(states)[:, 0]

        assert (first_reached(self.world, rows, taste) == 0).mean() > 0.8
        assert (preference(self.world, rows, taste) >= 0).all()
        assert (preference(self.world, rows, taste) > 0).mean() > 0.7
        assert (preference(self.world, rows, lambda states: np.ones(len(states))) == 0).all()


def test_a_cell_needs_its_recording(tmp_path: Path) -> None:
    config = {"world": "CrossedHistory", "seed": 0, "setup": dataclasses.asdict(TINY), "arm": "MONO"}
    with pytest.raises(UserError, match="0 parents"):
        fit(CellContext(config | {"regime": "scratch", "replica": 0}, {}, tmp_path))
    assert CROSS in frozen(tiny_plan())["cells"][0] or len(frozen(tiny_plan())["cells"]) > 2


class TestLessons:
    """What arms are told of the one recording."""

    @pytest.fixture(scope="class")
    @classmethod
    def recording(cls) -> yoked.Recording:
        world = make_world("MultiNeed", num_levels=50)
        episodes = demonstrate(world, world.levels("train"), num_episodes=120, seed=0)
        config = yoked.agent_config(world, PARTS_ALONE, head="MONO", regime="scratch")
        player = build_agent(observation_space(world), world.num_actions, config, seed=1)
        return yoked.Recording(player, episodes)

    def test_blocks_hold_one_event_each_and_every_step(self, recording: yoked.Recording) -> None:
        episodes = recording.episodes
        blocks = lessons.event_blocks(episodes, seed=0)
        ends = np.flatnonzero(episodes.events >= 0)
        assert len(set(zip(blocks[ends].tolist(), episodes.events[ends].tolist(), strict=True))) == 4
        assert blocks.min() == 0 and blocks.max() == 3
        orders = {tuple(lessons.event_blocks(episodes, seed=seed)[ends].tolist()) for seed in range(6)}
        assert len(orders) > 1

    def test_a_larger_share_of_labels_holds_the_smaller(self, recording: yoked.Recording) -> None:
        few, many = (lessons.unlabelled(recording.episodes, share, seed=0) for share in (0.3, 0.7))
        assert many.mean() < few.mean() and not (many & ~few).any()
        assert not lessons.unlabelled(recording.episodes, 1.0, seed=0).any()
        assert lessons.unlabelled(recording.episodes, 0.0, seed=0).all()

    def test_a_teacher_is_its_own_v_and_noise_only_adds_the_outcomes_residuals(
        self, recording: yoked.Recording
    ) -> None:
        world = make_world("MultiNeed", num_levels=50)
        clean = lessons.taught(recording.player, recording, noisy=False, seed=0)
        assert recording.episodes.rows is not None
        assert clean == pytest.approx(value_table(recording.player, world, recording.episodes.rows), abs=1e-6)
        noisy = lessons.taught(recording.player, recording, noisy=True, seed=0)
        outcomes = outcomes_of(recording.player, recording.episodes, ValueConfig()).totals(
            clean, np.zeros(recording.episodes.num_episodes)
        )
        assert np.sort(noisy - clean) == pytest.approx(np.sort(outcomes - clean), abs=1e-6)
        assert abs(np.corrcoef(noisy - clean, outcomes - clean)[0, 1]) < 0.2

    def test_exact_values_are_those_of_the_whole_table(self, recording: yoked.Recording) -> None:
        world, episodes = make_world("MultiNeed", num_levels=50), recording.episodes
        found = exact_values(recording.player, world, episodes, uniform_share=0.1)
        mdp = enumerate_world(world, np.unique(episodes.levels))
        policy = policy_table(recording.player, world, mdp.rows, uniform_share=0.1)
        assert found["exact"] == pytest.approx(policy_evaluation(mdp, policy)[state_index(mdp, episodes.rows)])
        assert not np.allclose(found["exact"], found["context mean"])
        starts = episodes.offsets[:-1]
        by_level: dict[int, list[float]] = {}
        for level, value in zip(episodes.levels.tolist(), found["context mean"][starts].tolist(), strict=True):
            by_level.setdefault(level, []).append(value)
        assert max(len(values) for values in by_level.values()) > 2
        assert all(np.ptp(values) < 1e-9 for values in by_level.values()), "a level has one start cell and four needs"

    def test_a_lesson_and_its_teacher_go_together(self) -> None:
        with pytest.raises(ValueError, match="teacher is 'POS', but the lesson is 'outcomes'"):
            Arm("X", "MONO", "", teacher="POS")


@pytest.mark.slow
def test_every_arm_learns_in_every_regime(tmp_path: Path) -> None:
    """All arms, on the world that most of them need, yoked; and those that can, from experience of their own."""
    # Narrower nets cannot all be matched within 2 %.
    wide = {"MultiNeed": dataclasses.replace(PARTS_ALONE, hidden_size=200)}
    there = [name for name, arm in ARMS.items() if not arm.worlds or "MultiNeed" in arm.worlds]
    everything = tiny_plan(arms=tuple(there), tests=("T5",), worlds=("MultiNeed",), setups=wide)
    assert run_comparison(everything, tmp_path / "yoked", workers=2).study.exit_code == 0
    own = tiny_plan(arms=("MONO", "MOE", "ROUTE"), tests=("T5",), experience="own")
    result = run_comparison(own, tmp_path / "own", workers=2)
    assert result.study.exit_code == 0
    assert set(result.scores.tests) == {"T5, MultiNeed", "T5, DiamondGhost"}
    with pytest.raises(UserError, match="MONO-BLOCK learn from a recording"):
        tiny_plan(arms=("MONO-BLOCK",), tests=("T5",), worlds=("MultiNeed",), experience="own")
