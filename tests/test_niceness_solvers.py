"""Every solver against all policies written out, on small random DR-MDPs."""

from __future__ import annotations

import dataclasses
import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.niceness.scorecard import score
from analysis.niceness.solved import solve_all
from envs.errors import UserError
from envs.niceness import backward
from envs.niceness import frontier as frontiers
from envs.niceness.backward import Solution
from envs.niceness.building import from_rows
from envs.niceness.case_registry import CASES, make_case
from envs.niceness.contrasts import indistinguishability, judges, regrets
from envs.niceness.cut import cut
from envs.niceness.depth import planned_to_depth
from envs.niceness.drmdp import DRMDP
from envs.niceness.influence import has_influence_incentive, influences, trajectory_law
from envs.niceness.intent import intent
from envs.niceness.measures import behaviour, coupled_manipulation_index, influence, range_of_influence
from envs.niceness.objectives import OBJECTIVES, find_objective, names_for
from envs.niceness.occupancy import best_of_pareto_ud, best_weighted, undominated_by_any
from envs.niceness.pareto import covers, pareto_ud, undominated
from envs.niceness.policies import Policy, expected, inert
from envs.niceness.target_size import target_size
from envs.niceness.utilities import Natural, Present, branches
from tests.niceness_model import episodes, indices, inert_tree, paths, random_case, trees, value

SEEDS = st.integers(0, 2**32 - 1)
SCALAR = ("RT", "FR", "IR", "NS", "NS_lit", "PR-x", "PR-y")


def case_of(seed: int, **options: int) -> DRMDP:
    return random_case(np.random.default_rng(seed), **options)


@pytest.mark.parametrize("name", SCALAR)
@given(seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_maxima_action_sets_and_influence_of_all_optimal_policies(name: str, seed: int) -> None:
    assert_as_by_brute_force(case_of(seed), name)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.source == "paper"])
def test_the_papers_cases_have_the_optima_of_all_policies_written_out(name: str) -> None:
    case = make_case(name)
    for objective in ("RT", "FR", "IR", "NS", "NS_lit", *(f"PR-{theta}" for theta in case.thetas)):
        assert_as_by_brute_force(case, objective)


def assert_as_by_brute_force(case: DRMDP, name: str) -> None:
    """The maximum, the best first actions, and what all optimal policies do, by writing every policy out."""
    coupled = name == "NS"
    worth = [(value(case, tree, name=name, coupled=coupled), tree) for tree in trees(case, coupled=coupled)]
    best = max(v for v, _ in worth)
    optimal = [tree for v, tree in worth if v == best]
    plan = find_objective(name, case).plan(case)
    assert plan.value == best
    assert set(plan.actions(0, plan.memory.start())) == {next(iter(tree.values())) for tree in optimal}
    assert expected(plan.policy(), find_objective(name, case).utility(case)) == best
    found = {(one.mi, one.li) for one in range_of_influence(plan)}
    assert found == {indices(case, tree, coupled=coupled)[:2] for tree in optimal}


@given(seed=SEEDS, horizon=st.sampled_from([2, 3]))
@settings(max_examples=12, deadline=None)
def test_longer_and_wider(seed: int, horizon: int) -> None:
    case = case_of(seed, horizon=horizon, actions=2 if horizon == 3 else 3)
    for name in ("RT", "FR", "NS"):
        best = max(value(case, tree, name=name, coupled=True) for tree in trees(case, coupled=True))
        assert find_objective(name, case).plan(case).value == best


@pytest.mark.parametrize("with_last", [True, False])
@given(seed=SEEDS)
@settings(max_examples=40, deadline=None)
def test_crt_is_the_best_that_leaves_the_law_of_theta(with_last: bool, seed: int) -> None:
    case = case_of(seed)
    natural = paths(case, inert_tree(case), with_last=with_last)
    lawful = [tree for tree in trees(case, coupled=False) if paths(case, tree, with_last=with_last) == natural]
    worth = [(value(case, tree, name="RT", coupled=False), tree) for tree in lawful]
    best = max(v for v, _ in worth)
    plan = OBJECTIVES["CRT" if with_last else "CRT_without_last"].plan(case)
    assert plan.value == best
    assert set(plan.actions(0, case.start)) == {next(iter(tree.values())) for v, tree in worth if v == best}
    assert not influences(plan.policy(), with_last=with_last)
    assert expected(plan.policy(), Present(case)) == best
    best_of_all = max(value(case, tree, name="RT", coupled=False) for tree in trees(case, coupled=False))
    assert has_influence_incentive(Present(case), with_last=with_last) == (best < best_of_all)


@given(seed=SEEDS)
@settings(max_examples=40, deadline=None)
def test_pareto_ud_against_all_policies_and_the_linear_programme(seed: int) -> None:
    case = case_of(seed)
    vectors = {
        tuple(value(case, tree, name=f"PR-{k}", coupled=False) for k in case.thetas): tree
        for tree in trees(case, coupled=False)
    }
    floor = tuple(value(case, inert_tree(case), name=f"PR-{k}", coupled=False) for k in case.thetas)
    ud = [v for v in vectors if covers(v, floor)]
    wanted = {v for v in ud if not any(covers(o, v) and o != v for o in ud)}
    plan = pareto_ud(case)
    assert set(plan.vectors) == wanted == set(undominated(ud))
    shown = tuple(expected(plan.policy(), find_objective(f"PR-{k}", case).utility(case)) for k in case.thetas)
    assert shown in wanted
    random_best = best_weighted(case, weights=[1.0, 1.0], floor=[float(v) for v in floor])
    assert random_best is not None
    assert sum(random_best) >= float(max(sum(v) for v in wanted)) - 1e-7
    worth = best_of_pareto_ud(case)
    assert sum(best for best, _ in worth.values()) == pytest.approx(sum(random_best), abs=1e-6)
    assert [idle for _, idle in worth.values()] == [float(v) for v in floor]
    assert all(best >= idle - 1e-7 for best, idle in worth.values())
    best = max(vectors, key=sum)
    assert undominated_by_any(case, best)
    for vector in vectors:
        if any(covers(other, vector) and sum(other) > sum(vector) for other in vectors):
            assert not undominated_by_any(case, vector)


@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_myopic_and_pso_by_hand(seed: int) -> None:
    case = case_of(seed, horizon=3)
    plan = OBJECTIVES["Myopic"].plan(case)
    law = case.probability[0, 0, 0]
    for state, theta in np.ndindex(2, 2):
        now = [sum(case.reward[theta, state, theta, a] * law) for a in range(2)]
        assert plan.actions(1, (state, theta)) == tuple(a for a in range(2) if now[a] == max(now))
    # In the edited model θ is the twin's throughout: all sequences of actions by what is seen of (s, s^nat, θ^nat).
    edited, model = _edited(case), cut(case)
    best = max(value(edited, tree, name="RT", coupled=False) for tree in trees(edited, coupled=False))
    assert Solution(Present(model.case)).value == best
    assert OBJECTIVES["PSO"].plan(case).value is None


@given(seed=SEEDS, horizon=st.sampled_from([2, 3]))
@settings(max_examples=8, deadline=None)
def test_pso_does_at_every_real_node_what_is_best_in_the_edited_model(seed: int, horizon: int) -> None:
    """All sequences of the edited model from the place of (s, s^nat, θ^nat), at each coupled node that play reaches."""
    case = case_of(seed, horizon=horizon)
    edited, plan = _edited(case), OBJECTIVES["PSO"].plan(case)
    nodes = {plan.memory.start()}
    for time in range(horizon):
        for node in nodes:
            ahead = dataclasses.replace(edited, start=(2 * node[0] + node[2], node[3]), horizon=horizon - time)
            worth: dict[int, Fraction] = {}
            for tree in trees(ahead, coupled=False):
                first, gain = next(iter(tree.values())), value(ahead, tree, name="RT", coupled=False)
                worth[first] = max(gain, worth.get(first, gain))
            assert set(plan.actions(time, node)) == {a for a, gain in worth.items() if gain == max(worth.values())}
        nodes = {after for node in nodes for a in range(len(case.actions)) for after in branches(plan.memory, node, a)}


def _edited(case: DRMDP) -> DRMDP:
    """The edited model built anew, its states all pairs (s, s^nat)."""
    shape = (4, *case.probability.shape[1:])
    state, theta = np.zeros(shape, int), np.zeros(shape, int)
    pairs = [(s, n) for s in range(2) for n in range(2)]
    for place in np.ndindex(*shape):
        (s, n), k, a, o = pairs[place[0]], *place[1:]
        state[place] = pairs.index((case.next_state[s, k, a, o], case.next_state[n, k, case.noop, o]))
        theta[place] = case.next_theta[n, k, case.noop, o]
    rows = [s for s, _ in pairs]
    return dataclasses.replace(
        case, states=tuple("abcd"), start=(pairs.index((case.start[0],) * 2), case.start[1]), next_state=state,
        next_theta=theta, probability=case.probability[rows], reward=case.reward[:, rows], welfare=case.welfare[rows],
    )  # fmt: skip


@given(seed=SEEDS)
@settings(max_examples=40, deadline=None)
def test_measures_against_all_episodes(seed: int) -> None:
    case = case_of(seed)
    plan = find_objective("NS", case).plan(case)
    tree = next(t for t in trees(case, coupled=True) if _agrees(case, t, plan.policy()))
    mi, li, changes = indices(case, tree, coupled=True)
    found = influence(plan.policy())
    assert (found.mi, found.li, found.push) == (mi, li, mi - li)
    assert behaviour(plan.policy())[-3] == changes
    apart = sum(
        e.probability * sum(a[1] != b[1] for a, b in zip(e.real, e.twin, strict=True))
        for e in episodes(case, tree, coupled=True)
    )
    assert coupled_manipulation_index(plan.policy()) == Fraction(apart) / case.horizon >= mi


def _agrees(case: DRMDP, tree: dict, policy: Policy) -> bool:
    return all(
        tree[history] == next(iter(policy.law(len(history) - 1, (*history[-1][0], *history[-1][1]))))
        for history in tree
    )


@given(seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_the_inert_agent_does_nothing_to_anybody(seed: int) -> None:
    case = case_of(seed, horizon=3)
    assert coupled_manipulation_index(inert(case)) == 0
    found = influence(inert(case))
    assert (found.mi, found.li, found.push, found.ease_gain) == (0, 0, 0, 0)
    assert found.suppression in (0, None)
    assert not influences(inert(case))


def relabelled(case: DRMDP, order: tuple[int, ...] = (1, 0)) -> DRMDP:
    """The same process with its θ in another order: the new k-th one is the old `order[k]`."""
    other, place = list(order), np.argsort(order)
    return dataclasses.replace(
        case, thetas=tuple(case.thetas[k] for k in order), start=(case.start[0], int(place[case.start[1]])),
        probability=case.probability[:, other], next_state=case.next_state[:, other],
        next_theta=place[case.next_theta[:, other]],
        reward=case.reward[other][:, :, other], welfare=case.welfare[:, other],
    )  # fmt: skip


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_relabelling_the_three_tastes_of_triad_changes_nothing_that_a_page_says(order: tuple[int, ...]) -> None:
    case, weak = (make_case("TRIAD", T=4, kappa=kappa, hurts="E") for kappa in ("1/2", 0))
    other, other_weak = relabelled(case, order), relabelled(weak, order)
    rows, twins = (
        {row.objective: row for row in solve_all(one, powerless=powerless)}
        for one, powerless in ((case, weak), (other, other_weak))
    )
    assert indistinguishability(case, ("RT", "IR", "NS")) == indistinguishability(other, ("RT", "IR", "NS"))
    for name, row in rows.items():
        # Of ParetoUD one policy is shown, whose ties are broken by the order of θ.
        given = {"policy": "", **({"worth": {}, "regret": {}} if name == "ParetoUD" else {})}
        assert dataclasses.replace(row, **given) == dataclasses.replace(twins[name], **given)
    for name in ("RT", "IR", "NS", "Myopic"):
        cards = [score(one, find_objective(name, one).plan(one).policy(), made_for=name) for one in (case, other)]
        assert cards[0].as_json() == cards[1].as_json() and cards[0].assignment == cards[1].assignment


@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_relabelling_theta_changes_no_measure(seed: int) -> None:
    case = case_of(seed, horizon=3)
    other = relabelled(case)
    for name in names_for(case):
        plan, twin = (find_objective(name, one).plan(one) for one in (case, other))
        assert plan.value == twin.value
        assert set(range_of_influence(plan)) == set(range_of_influence(twin))
        if name == "ParetoUD":
            # Its one shown policy breaks ties by the order of θ.
            assert {vector[::-1] for vector in plan.vectors} == set(twin.vectors)
            continue
        assert influence(plan.policy()) == influence(twin.policy())
        assert coupled_manipulation_index(plan.policy()) == coupled_manipulation_index(twin.policy())
        names = ("RT", "FR", "IR", "NS", "NS_lit")
        mine, theirs = (regrets(p.policy(), judges(p.memory.case, names)) for p in (plan, twin))
        assert mine == theirs


@given(seed=SEEDS, share=st.fractions(0, 1))
@settings(max_examples=20, deadline=None)
def test_a_mixture_is_worth_the_mixture_of_its_parts(seed: int, share: Fraction) -> None:
    case = case_of(seed)
    plan = find_objective(f"{share} RT + {1 - share} NS", case).plan(case)
    parts = [expected(plan.policy(), utility) for utility in (Present(case), Natural(case))]
    assert plan.value == share * parts[0] + (1 - share) * parts[1]
    best = max(
        share * value(case, tree, name="RT", coupled=True) + (1 - share) * value(case, tree, name="NS", coupled=True)
        for tree in trees(case, coupled=True)
    )
    assert plan.value == best


def test_marginals_can_stay_while_the_trajectory_changes() -> None:
    """θ_1 is a coin either way; `copy` makes θ_2 = θ_1, `flip` makes θ_2 ≠ θ_1: MI cannot tell, the law can."""
    case = from_rows(
        "coin", states=["0", "1", "2"], thetas=["x", "y"], actions=["copy", "flip"], noop="copy", start=("0", "x"),
        horizon=2, reward=lambda evaluator, turn, after: int(turn.action == "flip"),
        rows={
            **{("0", "x", a): {("1", "x"): "1/2", ("1", "y"): "1/2"} for a in ("copy", "flip")},
            **{("1", k, "copy"): {("2", k): 1} for k in "xy"},
            **{("1", k, "flip"): {("2", "y" if k == "x" else "x"): 1} for k in "xy"},
        },
    )  # fmt: skip
    flip = find_objective("RT", case).plan(case).policy()
    assert influence(flip).mi == 0
    assert influences(flip)
    assert not influences(flip, with_last=False)
    assert trajectory_law(flip) == {(0, 0, 1): Fraction(1, 2), (0, 1, 0): Fraction(1, 2)}
    assert OBJECTIVES["CRT"].plan(case).value == 1


def test_what_needs_the_twin_refuses_unkeyed_noise() -> None:
    case = from_rows(
        "rows", states=["s"], thetas=["x", "y"], actions=["wait"], noop="wait", start=("s", "x"), horizon=1,
        rows={("s", "x", "wait"): {("s", "x"): "1/2", ("s", "y"): "1/2"}}, reward=lambda evaluator, turn, after: 1,
    )  # fmt: skip
    for name in ("NS", "PSO", "1/2 RT + 1/2 NS"):
        with pytest.raises(UserError, match="of rows compares with an inert twin .* unkeyed"):
            find_objective(name, case).plan(case)
    with pytest.raises(UserError, match="MI_c of rows compares with an inert twin"):
        coupled_manipulation_index(inert(case))
    assert find_objective("RT", case).plan(case).value == 1


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("RR", "objective 'RR' is unknown, known are RT, FR"),
        ("PR-C", "theta of PR 'C' is unknown, known are A, B, E"),
        ("1/2 RT + 1/2 Myopic", "Myopic in .* is a rule and no utility"),
        ("1/0 RT + NS", "weight is '1/0'"),
        ("RT + NS_", "objective 'NS_' is unknown.*Did you mean 'NS'"),
        ("RT +", "allowed is a name such as RT or a sum"),
    ],
)
def test_wrong_objectives_are_refused(name: str, cause: str) -> None:
    case = make_case("TRIAD")
    with pytest.raises(UserError, match=cause):
        find_objective(name, case).plan(case)


def test_the_mask_of_one_step_lets_a_lock_pass() -> None:
    """Why CRT is solved by the law of the trajectory: before the drift, `lock` moves θ no further than `wait` does."""
    case = make_case("TRIAD", h=0, o=1, e=0)
    mask = OBJECTIVES["CRT_mask"].plan(case)
    assert influences(Policy(mask.memory, lambda t, node: {mask.actions(t, node)[-2 if t == 0 else -1]: Fraction(1)}))
    assert case.actions[mask.actions(0, case.start)[-2]] == "lock"
    exact = OBJECTIVES["CRT"].plan(case)
    assert "lock" not in {case.actions[a] for a in exact.actions(0, case.start)}


def test_long_cases_are_solved_and_what_would_remember_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    case = make_case("TRIAD", T=100)
    assert find_objective("RT", case).plan(case).value == 1 + 3 * 99
    assert planned_to_depth(Present(case), 100).actions(0, case.start) == (case.actions.index("persuade"),)
    assert intent(case, "RT").instrumental
    monkeypatch.setattr(backward, "MAX_NODES", 50)
    with pytest.raises(UserError, match="must be remembered of TRIAD has more than 50 values after .* steps; shorten"):
        _ = find_objective("FR", case).plan(make_case("TRIAD")).value
    with monkeypatch.context() as patched, pytest.raises(UserError, match="TRIAD would be chosen in .* ways at one"):
        patched.setattr(frontiers, "MAX_CHOICES", 5)
        pareto_ud(make_case("TRIAD", T=3))
    with pytest.raises(UserError, match="There are 0 objectives"):
        indistinguishability(make_case("TRIAD"), [])
    with pytest.raises(UserError, match="of which there must be three"):
        target_size(make_case("TRIAD"), objectives=("RT", "IR"))  # type: ignore[arg-type]
    monkeypatch.setattr(frontiers, "MAX_KEYS", 1)
    with pytest.raises(UserError, match="achieve in TRIAD has more than 1 different values"):
        pareto_ud(make_case("TRIAD", T=3))
    with pytest.raises(UserError, match="T is 101, allowed is an integer from 1 to 100"):
        make_case("TRIAD", T=101)


def test_any_policy_has_a_value_under_any_utility_and_none_under_a_rule() -> None:
    case = make_case("TRIAD")
    manipulator = find_objective("RT", case).plan(case).policy()
    worth = regrets(manipulator, judges(case, ("RT", "IR", "NS", "FR")))
    assert [one.value for one in worth.values()] == [16, 1, 1, 15]
    with pytest.raises(UserError, match="PSO is a rule and maximises nothing"):
        judges(case, ["PSO"])
    coin = Policy(Present(case), lambda t, node: {0: Fraction(1, 2), case.noop: Fraction(1, 2)})
    assert regrets(coin, judges(case, ["IR"]))["IR"].value == 3 + 3
    assert {name for name, one in OBJECTIVES.items() if not one.unpaid} == {"RT", "IR", "NS", "Myopic"}
