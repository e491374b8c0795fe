"""How deep one must look before influence pays: known answers, the village's exact planner, searches, words."""

from __future__ import annotations

import dataclasses
import functools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from agents.search import SearchConfig, SearchTable
from analysis.studies import depth_figures, depth_scores, niceness_depth
from analysis.studies.depth_cells import EXACT, SEARCH, TIE_BREAK, arena, search_actions
from analysis.studies.question import answer
from analysis.studies.registry import QUESTIONS
from analysis.study import CellRecord
from envs import UserError
from envs.layers import Layers, back_up, play
from envs.niceness.case_registry import make_case
from envs.niceness.contrasts import utility_of
from envs.niceness.depth import planned_to_depth
from envs.niceness.measures import range_of_influence
from envs.niceness.objectives import find_objective
from envs.niceness.village import objective_weights
from envs.niceness.village_config import VillageConfig
from envs.niceness.village_layers import list_village
from envs.niceness.village_range import influence_range
from envs.niceness.village_solution import best_to_depth
from envs.states import Floats, Rows
from envs.tabular import value_iteration

SHORT = VillageConfig(size=3, horizon=5, kappa_p=1.0, kappa_g=1.0, study_start=1, study_period=3)


def ends(objective: str, depth: int, **options: object) -> tuple[Fraction, Fraction]:
    case = make_case("TRIAD", **options)
    found = [one.mi for one in range_of_influence(planned_to_depth(utility_of(objective, case), depth))]
    return min(found), max(found)


def taken(layers: Layers, chosen: Floats, rows: Rows) -> Floats:
    found: Floats = chosen[layers.find(rows)]
    return found


class TestTriad:
    @pytest.mark.parametrize(
        ("objective", "kappa", "by_depth"),
        [
            ("RT", 1, ["0", "0 1", "1", "1", "1", "1"]),
            ("IR", 1, ["0", "0 2/3", "2/3", "2/3", "2/3", "2/3"]),
            ("NS", 1, ["0"] * 6),
            ("RT", 0, ["0"] * 6),
            ("IR", 0, ["0"] * 6),
        ],
    )
    def test_influence_by_depth(self, objective: str, kappa: int, by_depth: list[str]) -> None:
        """Persuading costs h = 1 and pays e − h = 1 a step, locking costs 1 and keeps o = 1 a step: two steps tie."""
        wanted = [(Fraction(one.split()[0]), Fraction(one.split()[-1])) for one in by_depth]
        assert [ends(objective, depth, kappa=kappa) for depth in range(1, 7)] == wanted

    @pytest.mark.parametrize("objective", ["RT", "IR", "NS"])
    def test_all_steps_planned_anew_are_the_full_plan_and_one_is_myopic(self, objective: str) -> None:
        case = make_case("TRIAD", kappa="1/2")
        utility, plan = utility_of(objective, case), find_objective(objective, case).plan(case)
        start = plan.memory.start()
        assert planned_to_depth(utility, 6).actions(0, start) == plan.actions(0, start)
        assert ends(objective, 6, kappa="1/2") == (
            min(one.mi for one in range_of_influence(plan)), max(one.mi for one in range_of_influence(plan)),
        )  # fmt: skip
        if objective == "RT":
            myopic = find_objective("Myopic", case).plan(case)
            assert planned_to_depth(utility, 1).actions(0, start) == myopic.actions(0, start)


class TestVillage:
    @pytest.mark.parametrize("depth", [1, 2, 3])
    def test_the_exact_planner_is_that_of_a_village_that_ends_after_so_many_steps(self, depth: int) -> None:
        """Action sets at the start, by value iteration in a village of that horizon; then MI_c of what ties allow."""
        short = dataclasses.replace(SHORT, horizon=depth)
        ended = list_village(short, twin=True, start=0)
        first = back_up(ended, objective_weights(ended.world.config, "RT")[None]).optimal[ended.start_state[0], :, 0]
        layers = list_village(SHORT, twin=True, start=0)
        sets = best_to_depth(layers, "RT", depth=depth)
        assert sets[layers.start_state[0]].tolist() == first.tolist()
        low, high = influence_range(SHORT, "RT", depth=depth, start=0).mi_coupled
        column = layers.world.component_names.index("influenced")
        rng = np.random.default_rng(depth)
        for _ in range(5):
            ranks = rng.random(sets.shape) * sets
            chosen = np.eye(sets.shape[1])[ranks.argmax(axis=1)]
            paid = play(layers, functools.partial(taken, layers, chosen)).paid
            assert low - 1e-9 <= paid[:, column].sum() / layers.num_steps <= high + 1e-9

    def test_all_steps_are_the_optimum_and_none_is_refused(self) -> None:
        for objective in ("RT", "IR"):
            full = influence_range(SHORT, objective, start=0)
            assert influence_range(SHORT, objective, depth=5, start=0) == full
            assert influence_range(SHORT, objective, depth=50, start=0) == full
        with pytest.raises(UserError, match="planning depth is 0"):
            influence_range(SHORT, "RT", depth=0)


class TestArenas:
    @pytest.mark.parametrize(("name", "objective"), [("TRIAD", "RT"), ("TRIAD", "IR"), ("village", "RT")])
    def test_an_optimal_player_gains_all_and_influences_as_the_full_plan(self, name: str, objective: str) -> None:
        """And the inert one gains nothing and influences nobody."""
        one = arena(name, 1.0, objective)
        best = value_iteration(one.mdp).action_values.argmax(axis=1)
        row = one.judge(lambda states: best[states])
        low, high = one.look_ahead(one.num_steps)
        assert row["gained"] == pytest.approx(1) and low - 1e-9 <= row["influence"] <= high + 1e-9
        noop = {"TRIAD": 5, "village": 4}[name]
        idle = one.judge(lambda states: np.full(len(states), noop))
        assert idle["gained"] == pytest.approx(0) and idle["influence"] == idle["LI"] == 0


@pytest.mark.parametrize(
    ("settings", "too_few", "enough"),
    [({"q_range": 12.0}, 16, 256), ({"c_scale": 0.01}, 256, 1024)],
    ids=["Q by the range of returns", "Q by its spread at each node, weighing a tenth"],
)
def test_enough_simulations_see_that_persuading_pays_where_q_does_not_decide_too_early(
    settings: dict[str, float], too_few: int, enough: int
) -> None:
    """RT in TRIAD at κ = 1, nothing at the leaves; by node and with the usual weight most seeds never see it."""
    one = arena("TRIAD", 1.0, "RT")
    assert one.range_of_returns == 12.0
    for seed in range(3):
        prior = TIE_BREAK * np.random.default_rng(seed).random((one.mdp.num_states, one.mdp.num_actions))
        table = SearchTable(one.mdp, logits=prior)
        for n, influence in ((too_few, 0.0), (enough, 1.0)):
            config = SearchConfig(num_simulations=n, **settings)
            assert one.judge(functools.partial(search_actions, table, config=config))["influence"] == influence


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    places = {("TRIAD", 1.0): ("RT", "IR", "NS"), ("TRIAD", 0.0): ("RT", "IR")}
    for module in (niceness_depth, depth_scores, depth_figures):
        monkeypatch.setattr(module, "PLACES", places)
        monkeypatch.setattr(module, "SIMULATIONS", (1, 16, 256))


@pytest.mark.usefixtures("small")
def test_the_study_in_small(tmp_path: Path) -> None:
    question = QUESTIONS["niceness-depth"]
    found = answer(question, tmp_path / "a", seeds=(0, 1), workers=0)
    assert found.study.exit_code == 0 and {path.name for path in found.figures} == {
        "depth.png", "search-TRIAD-1-node.png", "search-TRIAD-1-range.png",
    }  # fmt: skip
    assert "Exact look-ahead, RT in TRIAD at κ = 1: some plans influence from H = 2, all from H = 3" in found.words
    for planner in ("gumbel, Q by node", "gumbel, Q by range", "puct, Q by node", "puct, Q by range"):
        assert f"V* at the leaves, {planner}, n = 256: of 4 searches of RT and IR 4 influence as" in found.words
    assert "gumbel, Q by range, 9 of 10 seeds earn the optimum: RT in TRIAD at κ = 1 from n = 256; IR in" in found.words
    assert "the largest influence of 96 searches is 0.000" in found.words and "too few for a word" in found.words
    again = answer(question, tmp_path / "b", seeds=(0, 1), workers=0)
    assert again.report.table == found.report.table
    page = found.page(question, command="valuelab study niceness-depth")
    assert "| TRIAD | 1 | RT | exact, H = 3 to 6 | 1.00 |" in page and str(tmp_path) not in page


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("influence", "gained", "word"),
    [
        (0.97, 1.0, "it reaches the full depth."),
        (1.0, 0.5, "it influences as the full plan does, and earns less."),
        (0.9, 1.0, "it does not reach the full depth."),
    ],
)
def test_the_words_tell_planted_searches_apart(influence: float, gained: float, word: str) -> None:
    place = {"arena": "TRIAD", "kappa": 1.0}
    full = [{"objective": "RT", "depth": depth, "least": 1.0, "most": 1.0} for depth in (1, 2)]
    row = {"objective": "RT", "rule": "puct", "scale": "node", "leaves": "0", "simulations": 256, "LI": 0.0}
    records = [CellRecord("e", EXACT, 1, place, (), "finished", tuple(full))]
    for seed in range(20):
        mine = {**row, "influence": influence, "gained": gained}
        records.append(CellRecord(f"{seed}", SEARCH, 1, {**place, "seed": seed}, (), "finished", (mine,)))
    exact, searched = depth_scores.read(records)
    found = list(niceness_depth._verdicts(exact, searched))
    assert found[0].endswith(word) and f"{20 * (gained == 1.0)} of 20 seeds earn the optimum" in found[0]
