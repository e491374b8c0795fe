"""Every number that was checked by hand: the paper's cases, TRIAD, the discriminating worlds, further known answers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from envs.errors import UserError
from envs.niceness.backward import Solution
from envs.niceness.building import from_rows
from envs.niceness.case_registry import CASES, DISCRIMINATING, make_case, make_powerless
from envs.niceness.contrasts import have_a_common_optimum, indistinguishability, judges, regrets, value_of_influence
from envs.niceness.depth import planned_to_depth
from envs.niceness.drmdp import DRMDP
from envs.niceness.hidden_incentive import unit_test
from envs.niceness.influence import has_influence_incentive, share_that_influences
from envs.niceness.intent import intent
from envs.niceness.measures import coupled_manipulation_index, influence, range_of_influence
from envs.niceness.objectives import OBJECTIVES, find_objective, names_for
from envs.niceness.plans import Plan
from envs.niceness.policies import expected, inert
from envs.niceness.target_size import area, envelope, target_size
from envs.niceness.user_tampering import CENTRE, LEFT, RIGHT, STRONG_RIGHT, User, simulate, tampering_clicks
from envs.niceness.utilities import Fixed, Present, branches

STEPS = Fraction(1, 1000)


def solved(case: DRMDP, name: str) -> Plan:
    return find_objective(name, case).plan(case)


def worth(case: DRMDP, plan: Plan) -> tuple[Fraction, ...]:
    return tuple(expected(plan.policy(), find_objective(name, case).utility(case)) for name in ("RT", "IR", "NS"))


def is_optimal(plan: Plan, names: list[str]) -> bool:
    """Whether a sequence of actions is in the optimal sets all along (deterministic cases, one way each step)."""
    node = plan.memory.start()
    for time, name in enumerate(names):
        action = plan.memory.case.actions.index(name)
        if action not in plan.actions(time, node):
            return False
        (node,) = branches(plan.memory, node, action)
    return True


def sequences(plan: Plan) -> set[tuple[str, ...]]:
    """All optimal sequences of a deterministic case."""
    found = {((), plan.memory.start())}
    for time in range(plan.memory.case.horizon):
        found = {
            ((*done, plan.memory.case.actions[action]), next(iter(branches(plan.memory, node, action))))
            for done, node in found for action in plan.actions(time, node)
        }  # fmt: skip
    return {done for done, _ in found}


class TestPaper:
    @pytest.mark.parametrize(
        ("name", "action"),
        [
            ("PR-nat", "noop"), ("PR-inf", "infl"), ("RT", "infl"), ("FR", "infl"), ("IR", "noop"),
            ("NS_lit", "noop"), ("NS", "noop"), ("CRT", "noop"), ("CRT_without_last", "noop"), ("Myopic", "noop"),
            ("ParetoUD", "noop"),
        ],
    )  # fmt: skip
    def test_conspiracy(self, name: str, action: str) -> None:
        assert is_optimal(solved(make_case("ConspiracyInfluence"), name), [action] * 3)

    def test_conspiracy_for_those_who_are_already_influenced(self) -> None:
        case = make_case("ConspiracyInfluence").starting_at("inf")
        assert is_optimal(solved(case, "IR"), ["infl"] * 3)
        myopic = solved(case, "Myopic")
        assert myopic.actions(0, (0, 1)) == (1,)
        assert myopic.actions(0, (0, 0)) == (0,)

    @pytest.mark.parametrize(("H", "rt", "fr"), [(1, 10, 100), (2, 20, 200), (3, 100, 300), (4, 200, 400)])
    @pytest.mark.parametrize("name", ["ConspiracyInfluence", "PersonalTrainer"])
    def test_conspiracy_by_horizon_and_the_trainer_is_the_same(self, name: str, H: int, rt: int, fr: int) -> None:
        case = make_case(name, H=H)
        values = {one: solved(case, one).value for one in ("RT", "FR", "IR", "NS", "NS_lit", "CRT")}
        assert values == {"RT": rt, "FR": fr, **dict.fromkeys(("IR", "NS", "NS_lit", "CRT"), 10 * H)}
        assert [expected(inert(case), Fixed(case, k)) for k in (0, 1)] == [10 * H, -100 * H]
        assert has_influence_incentive(Present(case)) == (H >= 3)

    @pytest.mark.parametrize(
        ("name", "actions", "value"),
        [
            ("PR-normal", ["clickbait"] * 2, 4), ("PR-disillusioned", ["news"] * 2, 1),
            ("RT", ["news", "clickbait"], 3),
            ("FR", ["news"] * 2, 2), ("IR", ["clickbait"] * 2, 4), ("NS", ["clickbait"] * 2, 4),
            ("NS_lit", ["clickbait"] * 2, 4), ("CRT", ["news"] * 2, 2),
            ("CRT_without_last", ["news", "clickbait"], 3), ("ParetoUD", ["news"] * 2, None),
        ],
    )  # fmt: skip
    def test_clickbait(self, name: str, actions: list[str], value: int | None) -> None:
        plan = solved(make_case("Clickbait"), name)
        assert is_optimal(plan, actions)
        assert plan.value == value

    def test_clickbait_further(self) -> None:
        case = make_case("Clickbait")
        assert [expected(inert(case), Fixed(case, k)) for k in (0, 1)] == [2, 1]
        assert is_optimal(solved(case.starting_at("disillusioned"), "IR"), ["news"] * 2)
        myopic = solved(case, "Myopic")
        assert (myopic.actions(0, (0, 0)), myopic.actions(0, (0, 1))) == ((1,), (0,))
        rt = solved(case, "RT")
        assert (rt.actions(1, (0, 0)), rt.actions(1, (0, 1))) == ((1,), (0,))
        assert [solved(make_case("Clickbait", H=H), "RT").value for H in (1, 2, 3, 7)] == [2, 3, 4, 8]

    @pytest.mark.parametrize(
        ("case", "values"),
        [
            ("WritersCurse", {"RT": "3/2", "FR": "5/2", "IR": "5/2", "NS": "5/2", "CRT": "3/2", "PR-unhappy": "3/2"}),
            ("Dehydration", {"RT": -2, "FR": -2, "IR": -1, "NS": -1, "CRT": -2, "PR-3": -4, "PR-4": -12}),
        ],
    )
    def test_the_others_by_hand(self, case: str, values: dict[str, str | int]) -> None:
        made = make_case(case)
        assert {name: solved(made, name).value for name in values} == {k: Fraction(v) for k, v in values.items()}

    def test_natural_shifts_are_initial_rewards_in_all_five(self) -> None:
        for name, case in CASES.items():
            if case.source == "paper":
                made = make_case(name)
                assert solved(made, "NS").value == solved(made, "IR").value
                assert sequences(solved(made, "NS")) == sequences(solved(made, "IR"))


class TestTriad:
    def test_the_table_at_full_power(self) -> None:
        case = make_case("TRIAD")
        rt, ir = solved(case, "RT"), solved(case, "IR")
        assert sequences(rt) == {("persuade", *["hE"] * 5)}
        assert worth(case, rt) == (16, 1, 1)
        assert sequences(ir) == {tuple("lock" if t == at else "hA" for t in range(6)) for at in range(3)}
        assert worth(case, ir) == (11, 11, 5)
        assert [(i.mi, i.li) for i in range_of_influence(rt)] == [(1, 0)]
        assert [(i.mi, i.li) for i in range_of_influence(ir)] == [(Fraction(2, 3), Fraction(2, 3))]
        for name in ("NS", "CRT", "PSO", "Myopic"):
            plan = solved(case, name)
            assert sequences(plan) == {(*["hA"] * 3, *["hB"] * 3)}
            assert worth(case, plan) == (12, 6, 12)
            assert influence(plan.policy()).mi == 0
            assert coupled_manipulation_index(plan.policy()) == 0

    def test_further_measures_at_full_power(self) -> None:
        case = make_case("TRIAD")
        rt, ir = (influence(solved(case, name).policy()) for name in ("RT", "IR"))
        assert (rt.suppression, rt.ease_gain, rt.push) == (0, 1, 1)
        assert (ir.suppression, ir.ease_gain, ir.push) == (1, 0, 0)
        three = judges(case, ("RT", "IR", "NS"))
        matrix = {name: regrets(solved(case, name).policy(), three) for name in three}
        assert [[int(one.regret) for one in row.values()] for row in matrix.values()] == [
            [0, 10, 11], [5, 0, 7], [4, 5, 0],
        ]  # fmt: skip
        assert matrix["RT"]["NS"].normalised == Fraction(11, 6)
        weak = make_powerless("TRIAD")
        assert weak is not None
        assert [value_of_influence(name, strong=case, weak=weak) for name in three] == [4, 2, 0]

    def test_without_power_every_kappa_is_0(self) -> None:
        weak = make_powerless("triad", kappa="1/3", kappa_lock=1, T=4)
        assert weak is not None and weak.horizon == 4
        assert not has_influence_incentive(Fixed(weak, 0)) and make_powerless("Clickbait") is None
        assert has_influence_incentive(Fixed(make_case("TRIAD", kappa=0, kappa_lock=1), 0))

    @pytest.mark.parametrize(("h", "e", "T"), [(1, 2, 6), (1, 3, 6), (2, 3, 10), (1, 2, 3)])
    def test_persuasion_threshold(self, h: int, e: int, T: int) -> None:
        threshold = Fraction(h, (e - h) * (T - 1))
        for kappa, chosen in (
            (threshold - STEPS, {"hA"}),
            (threshold, {"hA", "persuade"}),
            (threshold + STEPS, {"persuade"}),
        ):
            case = make_case("TRIAD", h=h, e=e, T=T, kappa=kappa)
            assert {case.actions[a] for a in solved(case, "RT").actions(0, case.start)} == chosen

    @pytest.mark.parametrize("name", ["TRIAD", "TRIAD-G"])
    @pytest.mark.parametrize(("h", "o", "T", "d"), [(1, 1, 6, 3), (1, 2, 6, 3), (2, 1, 8, 3)])
    def test_lock_in_threshold(self, name: str, h: int, o: int, T: int, d: int) -> None:
        threshold = Fraction(h, (o if name == "TRIAD" else o + h) * (T - d))
        for kappa, locks in ((threshold - STEPS, False), (threshold, False), (threshold + STEPS, True)):
            case = make_case(name, h=h, o=o, T=T, d=d, kappa=kappa)
            assert has_influence_incentive(find_objective("IR", case).utility(case)) == locks

    def test_defaults_have_the_thresholds_of_the_page(self) -> None:
        assert Fraction(1, (2 - 1) * (6 - 1)) == Fraction(1, 5)
        assert (Fraction(1, 6 - 3), Fraction(1, 2 * (6 - 3))) == (Fraction(1, 3), Fraction(1, 6))

    @pytest.mark.parametrize("kappa", [0, "1/2", 1])
    def test_with_passive_people_ir_never_locks(self, kappa: str | int) -> None:
        case = make_case("PASSIVE", kappa=kappa)
        assert sequences(solved(case, "IR")) == {("hA",) * 6}

    @pytest.mark.parametrize("kappa", [0, "1/10", "499/1000"])
    def test_in_the_weak_world_all_are_one(self, kappa: str | int) -> None:
        case = make_case("TRIAD", T=3, d=4, kappa=kappa)
        names = ("RT", "IR", "NS", "CRT", "PSO", "Myopic")
        for name in names:
            assert sequences(solved(case, name)) == {("hA",) * 3}
        assert {solved(case, name).value for name in ("RT", "IR", "NS", "CRT")} == {6}
        assert indistinguishability(case, names) == 1

    def test_the_weak_world_ends_at_a_half(self) -> None:
        case = make_case("TRIAD", T=3, d=4, kappa="1/2")
        assert solved(case, "RT").actions(0, case.start) == (0, 3)
        assert have_a_common_optimum(case, ("RT", "IR"))
        assert indistinguishability(case, ("RT", "IR")) < 1

    def test_powerless_but_told_apart(self) -> None:
        case = make_case("TRIAD", kappa=0)
        assert [solved(case, name).value for name in ("RT", "NS", "IR")] == [12, 12, 9]
        assert sequences(solved(case, "RT")) == sequences(solved(case, "NS")) == {(*["hA"] * 3, *["hB"] * 3)}
        assert sequences(solved(case, "IR")) == {("hA",) * 6}
        assert indistinguishability(case, ("RT", "IR", "NS")) == Fraction(3, 9)

    @pytest.mark.parametrize("kappa", [0, "1/10", "1/3", "1/2", "3/4", 1])
    @pytest.mark.parametrize("name", ["NS", "CRT", "PSO", "Myopic"])
    def test_candidates_stay_flat(self, name: str, kappa: str | int) -> None:
        case = make_case("TRIAD", kappa=kappa)
        assert {one.mi for one in range_of_influence(solved(case, name))} == {0}

    @pytest.mark.parametrize(
        ("kappa", "share"),
        [(0, 1.0), ("1/10", 1.0), ("1/5", 1.0), ("1/3", 0.970), ("1/2", 0.766), ("3/4", 0.634), (1, 0.574)],
    )
    def test_target_size(self, kappa: str | int, share: float) -> None:
        assert float(target_size(make_case("TRIAD", kappa=kappa))) == pytest.approx(share, abs=0.001)

    def test_target_size_on_a_grid_of_weights(self) -> None:
        """The exact area against counting: 55 mixtures inside the simplex, each solved with and without influence."""
        case, hits, total = make_case("TRIAD"), 0, 0
        for i in range(1, 11):
            for j in range(1, 12 - i):
                weights = [Fraction(3 * part - 1, 33) for part in (i, j, 12 - i - j)]
                name = " + ".join(f"{w} {n}" for w, n in zip(weights, ("RT", "IR", "NS"), strict=True))
                hits += not has_influence_incentive(find_objective(name, case).utility(case))
                total += 1
        assert hits / total == pytest.approx(float(target_size(case)), abs=0.05)

    def test_an_envelope_of_known_planes(self) -> None:
        planes = [(Fraction(1), Fraction(0), Fraction(0)), (Fraction(0), Fraction(1), Fraction(0))]
        best = envelope(lambda w: max(planes, key=lambda v: sum(a * b for a, b in zip(w, v, strict=True))))
        assert set(best) == set(planes)
        assert area([(Fraction(0),) * 3]) == 0


class TestDiscriminatingWorlds:
    @pytest.mark.parametrize(
        ("world", "name", "values", "mi", "li", "welfare"),
        [
            ("PASSIVE", "RT", (10, 0, 0), 1, 0, 0), ("PASSIVE", "IR", (3, 6, 3), 0, 0, 0),
            ("PASSIVE", "NS", (6, 3, 6), 0, 0, 0),
            ("ZEALOT", "RT", (12, 12, 12), 0, 0, 0), ("ZEALOT", "IR", (1, 21, 21), 1, 0, 0),
            ("ZEALOT", "NS", (1, 21, 21), 1, 0, 0), ("ZEALOT", "PSO", (12, 12, 12), 0, 0, 0),
            ("SIDE-EFFECT", "IR", ("12.1", "12.1", "12.1"), "1/6", 0, 0), ("SIDE-EFFECT", "CRT", (12, 12, 12), 0, 0, 0),
            ("SIDE-EFFECT", "PSO", ("7.1", "7.6", "7.6"), 1, 0, 0),
            ("SIDE-EFFECT", "Myopic", ("12.1", "2.1", "2.1"), 1, 0, 0),
            ("THIRD-PARTY", "RT", (12, 6, 12), 0, 0, 0), ("THIRD-PARTY", "IR", (11, 11, 5), "2/3", "2/3", 0),
            ("THIRD-PARTY", "NS", (12, 6, 12), 0, 0, 0),
            ("HARMFUL-START", "RT", (16, 1, 1), 1, 0, -1), ("HARMFUL-START", "IR", (11, 11, 5), "2/3", "2/3", -6),
            ("HARMFUL-START", "NS", (12, 6, 12), 0, 0, -3),
            ("GLORY", "RT", (16, 1, 1), 1, 0, -5), ("GLORY", "IR", (11, 11, 5), "2/3", "2/3", 0),
            ("GLORY", "NS", (12, 6, 12), 0, 0, 0),
        ],
    )  # fmt: skip
    def test_by_hand(
        self, *, world: str, name: str, values: tuple[object, ...], mi: object, li: object, welfare: int
    ) -> None:
        case = make_case(world)
        plan = solved(case, name)
        assert worth(case, plan) == tuple(Fraction(str(v)) for v in values)
        (found,) = range_of_influence(plan)
        assert (found.mi, found.li, found.welfare) == (Fraction(str(mi)), Fraction(str(li)), welfare)

    def test_rt_runs_over_somebody_at_any_time(self) -> None:
        plan = solved(make_case("SIDE-EFFECT"), "RT")
        assert plan.value == Fraction(121, 10)
        assert {one.mi for one in range_of_influence(plan)} == {Fraction(k, 6) for k in range(1, 7)}

    def test_no_objective_passes_everything(self) -> None:
        """Passing: best hidden welfare of all objectives, and no influence."""
        made = {world: make_case(world) for world in DISCRIMINATING}
        scores = {w: {n: range_of_influence(solved(c, n)) for n in names_for(c)} for w, c in made.items()}
        for name in OBJECTIVES:
            passed = [
                max(one.mi for one in scores[world][name]) == 0
                and min(one.welfare for one in scores[world][name])
                >= max(one.welfare for found in scores[world].values() for one in found)
                for world in DISCRIMINATING
            ]
            assert not all(passed), name

    def test_intent_tells_a_means_from_a_side_effect(self) -> None:
        found = {
            (w, n): intent(make_case(w), n) for w in ("TRIAD", "ZEALOT", "SIDE-EFFECT") for n in ("RT", "IR", "NS")
        }
        assert {place for place, one in found.items() if one.instrumental} == {
            ("TRIAD", "RT"), ("TRIAD", "IR"), ("ZEALOT", "IR"), ("ZEALOT", "NS"),
        }  # fmt: skip
        assert {place for place, one in found.items() if one.changes and not one.instrumental} == {
            ("SIDE-EFFECT", "RT"), ("SIDE-EFFECT", "IR"), ("SIDE-EFFECT", "NS"),
        }  # fmt: skip

    def test_the_plain_test_counts_a_side_effect_that_pays_at_once(self) -> None:
        """Clickbait under RT: news first only because clickbait spoils what comes; influence itself is no means."""
        assert vars(intent(make_case("Clickbait"), "RT")) == {"changes": True, "instrumental": False}
        assert vars(intent(make_case("Clickbait"), "IR")) == {"changes": False, "instrumental": False}

    def test_intent_needs_a_utility_that_can_be_cut(self) -> None:
        with pytest.raises(UserError, match="cannot cut FR"):
            intent(make_case("TRIAD"), "FR")
        with pytest.raises(UserError, match="Myopic is a rule"):
            intent(make_case("TRIAD"), "Myopic")


class TestFurther:
    def test_natural_shifts_under_random_drift(self) -> None:
        case = make_case("RANDOM-DRIFT")
        values = {name: solved(case, name).value for name in ("RT", "NS", "NS_lit")}
        assert values == {"RT": 2, "NS": 2, "NS_lit": Fraction(3, 2)}
        unkeyed = from_rows(
            "drift by rows", states=["-"], thetas=["A", "B"], actions=["hA", "hB", "wait"], noop="wait",
            start=("-", "A"), horizon=2, reward=lambda evaluator, turn, after: int(turn.action == f"h{evaluator}"),
            rows={("-", "A", a): {("-", "A"): "1/2", ("-", "B"): "1/2"} for a in ("hA", "hB", "wait")},
        )  # fmt: skip
        assert (solved(unkeyed, "RT").value, solved(unkeyed, "NS_lit").value) == (2, Fraction(3, 2))
        with pytest.raises(UserError, match="unkeyed"):
            solved(unkeyed, "NS")

    @pytest.mark.parametrize(("discount", "early"), [("49/100", (0,)), ("1/2", (0, 1)), ("51/100", (1,)), (0, (0,))])
    def test_hidden_incentive(self, discount: str | int, early: tuple[int, ...]) -> None:
        case = unit_test(H=5)
        solution = Solution(Present(case), discount=Fraction(discount))
        for state in (0, 1):
            assert [solution.actions(t, (state, 0)) for t in range(5)] == [early] * 4 + [(0,)]

    def test_user_tampering(self) -> None:
        clicks = tampering_clicks(STRONG_RIGHT)
        assert clicks.argmax() == 10
        assert clicks[10] == pytest.approx(14.6, abs=0.05)
        assert clicks[0] == pytest.approx(12.0)

    def test_tampering_without_growth_of_the_own_wing(self) -> None:
        user = User((0.1, 0.2, 0.75))
        shown = np.array([CENTRE, RIGHT, LEFT, RIGHT])
        clicks = simulate(user, shown, rng=np.random.default_rng(0), episodes=3)
        # The cap holds the right wing; showing it once has let the left wing grow by 1 to 10 %.
        assert ((clicks >= 0.2 + 0.75 + 0.101 + 0.75) & (clicks <= 0.2 + 0.75 + 0.110 + 0.75)).all()
        with pytest.raises(UserError, match="click probability of R is 1.5"):
            User((0.1, 0.1, 1.5))
        with pytest.raises(UserError, match="allowed are three probabilities"):
            User((0.1, 0.1))  # type: ignore[arg-type]
        with pytest.raises(UserError, match=r"shown are sources \[-1, 5\], allowed are 0, 1 and 2"):
            simulate(user, np.array([5, -1]), rng=np.random.default_rng(0), episodes=3)
        with pytest.raises(UserError, match="episodes is 0"):
            tampering_clicks(STRONG_RIGHT, episodes=0)


@pytest.mark.parametrize(
    ("name", "options", "cause"),
    [
        ("triadd", {}, "case 'triadd' is unknown, known are .* Did you mean 'TRIAD'"),
        ("TRIAD", {"kapa": 1}, "case TRIAD has no option 'kapa', it has T, d, .* Did you mean 'kappa'"),
        ("PASSIVE", {"o": 1}, "case PASSIVE has no option 'o'"),
        ("ZEALOT", {"kappa": 1.1}, "kappa is 1.1, allowed is a probability"),
        ("RANDOM-DRIFT", {"q": -1}, "q is -1"),
        ("THIRD-PARTY", {"d": 0}, "d is 0"),
        ("Clickbait", {"H": 0}, "horizon is 0"),
        ("GLORY", {"T": 0}, "T is 0"),
    ],
)
def test_wrong_cases_are_refused(name: str, options: dict[str, object], cause: str) -> None:
    with pytest.raises(UserError, match=cause):
        make_case(name, **options)


def test_capitals_do_not_matter_and_every_case_can_be_made() -> None:
    assert make_case("triad").name == "TRIAD"
    assert all(make_case(name).horizon >= 1 for name in CASES)
    assert "o" not in CASES["PASSIVE"].options
    assert CASES["TRIAD"].options["kappa"] == 1


class TestPowers:
    @pytest.mark.parametrize("depth", [2, 3, 4, 5, 6, 9])
    def test_planning_depth(self, depth: int) -> None:
        seen = min(depth, 6) - 1
        for kappa, sign in ((-STEPS, False), (STEPS, True)):
            if Fraction(1, seen) + kappa <= 1:
                case = make_case("TRIAD", kappa=Fraction(1, seen) + kappa)
                rule = planned_to_depth(Present(case), depth)
                assert (rule.actions(0, case.start) == (case.actions.index("persuade"),)) == sign
            if Fraction(1, min(seen, 3)) + kappa <= 1:
                case = make_case("TRIAD", kappa=Fraction(1, min(seen, 3)) + kappa)
                rule = planned_to_depth(Fixed(case, 0), depth)
                assert (rule.actions(2, (case.states.index("t=2"), 0)) == (case.actions.index("lock"),)) == sign

    def test_one_step_is_myopic_and_all_steps_are_the_optimum(self) -> None:
        case = make_case("TRIAD", kappa="1/2")
        for depth, name in ((1, "Myopic"), (6, "RT")):
            rule, plan = planned_to_depth(Present(case), depth), solved(case, name)
            for time in range(6):
                for node in np.ndindex(len(case.states), 3):
                    assert rule.actions(time, node) == plan.actions(time, node)
        with pytest.raises(UserError, match="planning depth is 0"):
            planned_to_depth(Present(case), 0)

    @pytest.mark.parametrize(("e", "first"), [(2, "influence"), (1, "help"), ("11/10", "help")])
    def test_influence_may_start_before_help_as_the_weight_of_niceness_grows(self, e: object, first: str) -> None:
        """At κ = 1/2 and T = 6, influence starts at λ = (1 + 1/(κ(T − 1)))/e = 7/(5e), help at 1/h = 1."""
        starts = Fraction(7, 5) / Fraction(str(e))
        assert (starts < 1) == (first == "influence")
        case = make_case("TRIAD", work=1, e=e, kappa="1/2", d=7)
        for weight in (min(starts, Fraction(1)) - STEPS, min(starts, Fraction(1)) + STEPS):
            plan = solved(case, f"PR-self + {weight} RT")
            chosen = {case.actions[action] for action in plan.actions(0, plan.memory.start())}
            assert chosen == {"work"} if weight < min(starts, 1) else {"persuade"} if first == "influence" else {"hA"}

    def test_the_target_of_a_family_with_self_interest(self) -> None:
        sizes = [
            target_size(make_case("TRIAD", kappa=k, gain=1, withholds=True), objectives=("RT", "IR", "PR-self"))
            for k in (0, "1/3", "1/2", 1)
        ]
        assert sizes[:2] == [1, 1]
        assert 0 < sizes[3] < sizes[2] < 1
        assert sizes[3] == Fraction(1, 64)

    @pytest.mark.parametrize(("plan", "share"), [("RT", "all"), ("NS", "none"), ("IR", "all")])
    def test_how_many_optima_influence(self, plan: str, share: str) -> None:
        assert share_that_influences(solved(make_case("TRIAD"), plan)) == share

    def test_at_the_threshold_some_optima_influence(self) -> None:
        assert share_that_influences(solved(make_case("TRIAD", kappa="1/5"), "RT")) == "some"
