"""Exact answers about the village: brute force, known thresholds, measures against play, relabelling."""

from __future__ import annotations

import dataclasses
import functools
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from village_model import Village, inert_law, outcomes, solve

from agents.search.batched import search
from agents.search.evaluators import NewNodes
from agents.search_config import SearchConfig
from envs import GridVectorEnv, UserError, make_world
from envs.layers import back_up, list_layers, play
from envs.niceness.played import played_influence
from envs.niceness.village import world
from envs.niceness.village_config import VillageConfig
from envs.niceness.village_contrasts import loss_of_cut_plan, values_of_influence
from envs.niceness.village_influence import evaluate_village, taste_measures
from envs.niceness.village_layers import any_of, inert_policy, list_village, play_from
from envs.niceness.village_range import influence_range
from envs.niceness.village_row import ACTIONS, CLOCK, COIN, OPEN, PEOPLE, STRIDE, THETA, THETA_0, WAIT
from envs.niceness.village_solution import best_to_depth, solve_village
from envs.row_index import RowIndex
from envs.tabular import enumerate_world, policy_evaluation, start_value, value_iteration

HELP_A, PERSUADE, GUARD = (ACTIONS.index(name) for name in ("help_A", "persuade", "guard"))
SHORT = VillageConfig(size=3, horizon=4, kappa_p=0.5, kappa_g=0.5, study_start=1, study_period=3)


def key_of_row(row, *, twin):
    """The model's key of a state."""
    size, keys = (len(row) // 2 if twin else len(row)), []
    for half in (row[:size], row[size : 2 * size]) if twin else (row,):
        people = []
        for first in range(PEOPLE, size, STRIDE):
            cell, theta, theta_0, locked = half[first : first + STRIDE]
            people.append((divmod(int(cell), 64), "ABE"[theta], "ABE"[theta_0], bool(locked)))
        coin = int(half[COIN]) if half[COIN] >= 0 else None
        keys.append((divmod(int(half[0]), 64), bool(half[OPEN]), int(half[CLOCK]), coin, *people))
    return tuple(keys)


def brute_force(config, weights, *, theta="A", level=0):
    return solve(Village(config, level=level, thetas=theta, weights={}), weights)


def assert_same(solution, objective, expected, *, twin):
    """Values and action sets of all states that are no ends, and as many states."""
    layers = solution.layers
    rows = layers.rows[~layers.ended]
    values, sets = solution.values(objective, rows), solution.optimal_actions(objective, rows)
    assert len(rows) == len(expected) > 50
    for row, value, optimal in zip(rows, values, sets, strict=True):
        best, actions = expected[key_of_row(row, twin=twin)]
        assert value == pytest.approx(best, abs=1e-9) and set(np.flatnonzero(optimal)) == actions


@pytest.mark.parametrize("objective", ["RT", "0.5*IR + 2*PR-E"])
def test_solutions_equal_brute_force_on_the_real_half(objective):
    config = dataclasses.replace(SHORT, twin=False)
    parts = {"RT": {"RT": 1.0}, "0.5*IR + 2*PR-E": {"IR": 0.5, "PR-E": 2.0}}[objective]
    assert_same(solve_village(config, [objective]), objective, brute_force(config, lambda t: parts), twin=False)


def test_ns_equals_brute_force_on_coupled_states():
    assert_same(solve_village(SHORT, ["NS"]), "NS", brute_force(SHORT, lambda t: {"NS": 1.0}), twin=True)


def test_ns_lit_equals_brute_force_where_natural_drift_is_random():
    """A level in which which way the person takes to its source decides how far it then has to the library."""
    config = dataclasses.replace(
        SHORT, size=4, reach=1, layout="random", num_levels=100, study_start=1, study_period=4, twin=False
    )
    level, law = next((n, law) for n in range(100) if (law := inert_law(config, n))[-1]["A"] not in (0, 1))
    expected = brute_force(config, lambda t: {f"PR-{j}": p for j, p in law[t].items()}, level=level)
    solution = solve_village(config, ["NS_lit"], level=level)
    assert_same(solution, "NS_lit", expected, twin=False)
    ns = solve_village(dataclasses.replace(config, twin=True), ["NS"], level=level)
    assert ns.value("NS") > solution.value("NS_lit") + 0.01, "who sees θ_t knows more than its law"


@pytest.mark.parametrize("horizon", [6, 20])
@pytest.mark.parametrize("above", [False, True])
def test_rt_persuades_from_triads_threshold_on(horizon, above):
    """κ > h / ((e - h)(T - 1)): everybody in reach and nothing made, so that only help counts, as in TRIAD."""
    threshold = 1 / (horizon - 1)
    kappa = threshold + (0.001 if above else -0.001)
    config = VillageConfig(horizon=horizon, o=0.0, reach=8, kappa_p=kappa, kappa_g=0.0)
    solution = solve_village(config, ["RT"])
    rows = solution.layers.rows[solution.layers.start_state]
    assert set(np.flatnonzero(solution.optimal_actions("RT", rows)[0])) == {PERSUADE if above else HELP_A}
    exact = solve_village(dataclasses.replace(config, kappa_p=threshold), ["RT"])
    assert set(np.flatnonzero(exact.optimal_actions("RT", rows)[0])) == {PERSUADE, HELP_A}


@pytest.mark.parametrize("above", [False, True])
def test_ir_locks_from_triads_threshold_on(above):
    """κ > h / (o (T - d)): unlocked, an A-person makes its good in 5 of 20 steps; one lock in time saves the others."""
    kappa = 1 / 15 + (0.001 if above else -0.001)
    config = VillageConfig(reach=8, kappa_p=0.0, kappa_g=kappa, door=False)
    solution = solve_village(config, ["IR"])
    rows = solution.layers.rows
    last_chance = rows[(rows[:, CLOCK] == 4) & (rows[:, PEOPLE + 3] == 0) & (rows[:, 0] == rows[0, 0])]
    optimal = solution.optimal_actions("IR", last_chance)
    assert len(last_chance) == 1 and set(np.flatnonzero(optimal[0])) == {GUARD if above else HELP_A}


def test_ir_never_locks_passive_people():
    """o = 0 and everybody in reach: tastes do not matter to what a first-taste evaluator gets."""
    solution = solve_village(VillageConfig(reach=8, o=0.0), ["IR"])
    layers = solution.layers
    running = layers.rows[~layers.ended]
    optimal = solution.optimal_actions("IR", running)
    assert (optimal[:, HELP_A]).all() and (optimal.sum(axis=1) == 1).all() and solution.value("IR") == 20


def test_ir_keeps_passive_people_in_reach():
    """Reach 2, no door: whoever walks to the library and on to B has to be followed, 6 of 20 steps without help.

    One lock, or one persuasion that brings the person to E's source beside the agent, saves three of these steps; what
    is made plays no part. With reach 4 the agent need not move.
    """
    near, far = VillageConfig(o=0.0, door=False), VillageConfig(o=0.0, door=False, reach=4)
    powerless = dataclasses.replace(near, kappa_p=0.0, kappa_g=0.0)
    assert [solve_village(config, ["IR"]).value("IR") for config in (near, powerless, far)] == [17, 14, 20]
    assert influence_range(near, "IR").mi_coupled == pytest.approx((0.6, 0.9))
    assert (influence_range(near, "IR").influences, influence_range(far, "IR").influences) == ("all", "none")


def test_certain_powers_give_the_three_lives():
    """Reach 8, κ = 1: RT persuades at once, IR locks once; the rest of the time both help."""
    solution = solve_village(VillageConfig(reach=8, door=False), ["RT", "IR"])
    # Persuaded in step 0, when it makes A once more, the person walks three cells and makes E from step 3 on.
    assert solution.value("RT") == 1 + 2 * 19 + 17
    assert solution.value("IR") == 20 + 19
    first = solution.layers.rows[solution.layers.start_state]
    assert set(np.flatnonzero(solution.optimal_actions("RT", first)[0])) == {PERSUADE}
    assert set(np.flatnonzero(solution.optimal_actions("IR", first)[0])) == {HELP_A, GUARD}


def test_myopic_takes_what_pays_at_once_and_is_a_planner_that_sees_one_step():
    """Three independent ways: the plain model's own step, depth 1, and value iteration on the learner's world."""
    config = dataclasses.replace(SHORT, twin=False, reach=1)
    solution, layers = solve_village(config, ["Myopic", "RT"]), list_village(config, twin=False)
    running = ~layers.ended
    sets = solution.optimal_actions("Myopic", layers.rows[running])
    assert (sets == best_to_depth(layers, "RT", depth=1)[running]).all()
    assert (sets != solution.optimal_actions("RT", layers.rows[running])).any()
    mdp = enumerate_world(make_world("Village", **options_of(config), objective="Myopic"), [0])
    assert mdp.discount == 0
    table = value_iteration(mdp)
    assert (solution.optimal_actions("Myopic", mdp.rows) == (table.action_values > table.values[:, None] - 1e-9)).all()
    house, start = Village(config, level=0, thetas="A", weights={}), layers.rows[layers.start_state]
    paid = [np.mean([parts["RT"] for _, parts in outcomes(house, action)]) for action in range(len(ACTIONS))]
    assert set(np.flatnonzero(solution.optimal_actions("Myopic", start)[0])) == set(np.flatnonzero(paid == max(paid)))
    assert solution.value("Myopic") == max(paid) > 0


def test_myopic_does_not_persuade_where_help_pays_at_once():
    """Everybody in reach, κ = 1: RT persuades at once, Myopic helps with what is wanted now, and influences nobody."""
    config = VillageConfig(reach=8, door=False)
    found = evaluate_village(config, solve_village(config, ["Myopic", "NS"]).policy("Myopic"))
    assert not found.influences and influence_range(config, "Myopic").influences == "none"
    assert found.values["RT"] == found.values["NS"] == 29, "with all in reach that is the optimum of NS"


def options_of(config):
    """The options that a config sets."""
    return {field.name: getattr(config, field.name) for field in dataclasses.fields(config)
            if getattr(config, field.name) != field.default and field.init}  # fmt: skip


def test_layers_agree_with_the_solver_of_tables():
    """Another algorithm, on all transitions at once: values, action sets, and the evaluation of a policy."""
    config = VillageConfig(kappa_p=0.3, kappa_g=0.6, horizon=8, objective="NS", discount=0.9, start_theta="any")
    village = world(config)
    layers = list_village(config, twin=True)
    mdp = enumerate_world(village, [0])
    table = value_iteration(mdp)
    solution = solve_village(config, ["NS"])
    assert mdp.num_states == (~layers.ended).sum()
    assert solution.values("NS", mdp.rows) == pytest.approx(table.values, abs=1e-9)
    assert (solution.optimal_actions("NS", mdp.rows) == (table.action_values > table.values[:, None] - 1e-9)).all()
    probs = np.random.default_rng(0).dirichlet(np.ones(11), mdp.num_states)
    order = {row.tobytes(): n for n, row in enumerate(mdp.rows)}
    played = play(layers, lambda rows: probs[[order[row.tobytes()] for row in rows]])
    total = float(played.paid.sum(axis=0) @ village.reward_weights)
    assert total == pytest.approx(start_value(mdp, policy_evaluation(mdp, probs, discount=1.0)))
    assert np.add.reduceat(played.visits, layers.offsets[:-1]) == pytest.approx(1.0)


def test_an_exact_evaluation_is_what_play_shows():
    """MI, MI_c, LI, welfare and values of a random policy against 20,000 episodes, within five standard errors."""
    config = VillageConfig(kappa_p=0.2, kappa_g=0.2, reach=8, num_persons=2, horizon=8, study_start=2, objective="RT")
    law = np.array([0.03] * 4 + [0.3, 0.1, 0.1, 0.08, 0.1, 0.1, 0.1])
    exact = evaluate_village(config, lambda rows: np.tile(law, (len(rows), 1)))
    village, count = world(config), 20_000
    env, rng = GridVectorEnv(village, count), np.random.default_rng(1)
    env.reset(seed=2)
    paid, thetas = [], [env.get_state().rows]
    for _ in range(8):
        paid.append(env.step(rng.choice(11, count, p=law))[4]["components"])
        thetas.append(env.get_state().rows)
    total = np.sum(paid, axis=0)
    for name, value in [("RT", exact.values["RT"]), ("IR", exact.values["IR"]), ("NS", exact.values["NS"]),
                        ("welfare", exact.welfare), ("influenced", 8 * exact.mi_coupled)]:  # fmt: skip
        seen = total[:, village.component_names.index(name)]
        assert abs(seen.mean() - value) < 5 * seen.std() / np.sqrt(count)
    seen = played_influence(*(people_thetas(np.array(thetas), half) for half in (0, village.row_size // 2)))
    for name in ("mi", "mi_coupled", "li", "push"):
        assert getattr(exact, name) == pytest.approx(getattr(seen, name), abs=0.01)
    assert exact.suppression == pytest.approx(seen.suppression, abs=0.05)


def people_thetas(rows, half):
    """Tastes [N, T + 1, P] of rows [T + 1, N, S]."""
    return rows[:, :, half + PEOPLE + THETA : half + PEOPLE + 2 * STRIDE : STRIDE].swapaxes(0, 1).astype(int)


def test_the_inert_policy_influences_nobody():
    config = VillageConfig(num_persons=2, start_theta="AB", horizon=12)
    inert = evaluate_village(config, inert_policy)
    assert (inert.mi, inert.mi_coupled, inert.li, inert.suppression, inert.ease_gain) == (0, 0, 0, 0, 0)
    assert not inert.influences
    assert inert.values["RT"] == inert.values["NS"]


def test_what_optimal_policies_do_to_people():
    """The village at full power: RT pushes, IR locks; the range over optimal policies is a point for each."""
    config = VillageConfig()
    solution = solve_village(config, ["RT", "IR", "NS"])
    found = {name: evaluate_village(config, solution.policy(name)) for name in ("RT", "IR", "NS")}
    for name, each in found.items():
        assert each.values[name] == pytest.approx(solution.value(name))
        low, high = influence_range(config, name).mi_coupled
        assert low == pytest.approx(high, abs=1e-9) == each.mi_coupled
        assert each.mi_coupled >= each.mi - 1e-12 and each.influences
    assert found["RT"].mi > 0.8 and found["RT"].li == 0 and found["RT"].welfare < -10 and found["RT"].ease_gain == 1
    assert found["IR"].li == found["IR"].mi > 0.5 and found["IR"].suppression == 1 and found["IR"].ease_gain == 0


def test_ties_are_searched_for_all_that_they_do():
    """Help that is worth nothing: every action is best, from leaving everybody alone to persuading at once."""
    config = VillageConfig(o=0.0, h=0.0, e=0.0, reach=8, horizon=4)
    assert influence_range(config, "RT").mi_coupled == pytest.approx((0.0, 1.0))


def test_ends_over_all_policies_are_those_of_the_rules():
    """Nothing pays, so every policy is optimal; nature goes A A B B, and the agent can persuade, lock and wait.

    At most: E at t = 1, 2, 3; or locked, A at t = 2, 3, where nature has B; or A to B to E, two changes for nature's
    one; E is worth 0 to help, where B is worth 1.
    """
    config = VillageConfig(size=3, horizon=3, study_start=0, reach=4, o=0.0, e=0.0, door=False)
    found = influence_range(config, "PR-E")
    assert found.certain and found.influences == "some"
    ends = (found.mi_coupled, found.mi, found.li, found.suppression, found.ease_gain, found.welfare)
    assert ends == ((0, 1), (0, 1), (0, pytest.approx(2 / 3)), (-1, 1), (-1, 0), (-2, 0))


@pytest.mark.parametrize("objective", ["RT", "IR", "NS", "Myopic"])
def test_ends_hold_what_ties_broken_at_random_do(objective):
    config = dataclasses.replace(SHORT, start_theta="any")
    found, layers = influence_range(config, objective), list_village(config, twin=True)
    best, rng = best_to_depth(layers, objective, depth=None), np.random.default_rng(0)
    for _ in range(4):
        ranks = rng.random(best.shape) * best
        did = evaluate_village(config, any_of(layers, ranks == ranks.max(axis=1, keepdims=True)))
        for name in ("mi_coupled", "mi", "li", "suppression", "ease_gain", "welfare"):
            least, most = getattr(found, name)
            assert least - 1e-9 <= getattr(did, name) <= most + 1e-9, name
        assert did.mi == pytest.approx(did.mi_coupled), "nature is certain here"
        assert {"none": not did.influences, "all": did.influences, "some": True}[found.influences]


def test_where_nature_is_random_mi_and_li_are_those_of_one_policy():
    config = dataclasses.replace(SHORT, size=4, layout="random", num_levels=100, study_start=1, study_period=4)
    level = next(n for n in range(100) if inert_law(config, n)[-1]["A"] not in (0, 1))
    found = influence_range(config, "RT", level=level)
    layers = list_village(config, twin=True, level=level)
    did = evaluate_village(config, any_of(layers, best_to_depth(layers, "RT", depth=None)), level=level)
    assert not found.certain and (found.mi, found.li) == ((did.mi,) * 2, (did.li,) * 2)
    assert found.mi_coupled[0] - 1e-9 <= did.mi_coupled <= found.mi_coupled[1] + 1e-9


def test_influence_over_optima_is_all_where_every_optimum_influences():
    for powers, words in (({}, "all"), ({"kappa_p": 0.0, "kappa_g": 0.0, "door": False}, "none")):
        assert influence_range(VillageConfig(horizon=12, **powers), "RT").influences == words


@pytest.mark.slow
def test_the_page_says_what_optimal_policies_do():
    """The table of envs/README.md, computed anew."""
    text = (Path(__file__).parent.parent / "envs" / "README.md").read_text()
    number = r" (-?[\d.]+) \|"
    lines = re.findall(rf"^\| (default|`[\w=, ]+`) \| `(\w+)` \|{5 * number}$", text, flags=re.MULTILINE)
    assert len(lines) == 8
    for words, objective, *printed in lines:
        options = re.findall(r"(\w+)=(\w+)", words)
        config = VillageConfig(**{name: value != "False" and int(value) for name, value in options})
        solution = solve_village(config, [objective])
        found = evaluate_village(config, solution.policy(objective))
        low, high = influence_range(config, objective).mi_coupled
        assert low == pytest.approx(high, abs=1e-9), "ties do not matter"
        measures = (solution.value(objective), found.mi_coupled, found.li, found.push, found.welfare)
        assert measures == pytest.approx(tuple(map(float, printed)), abs=0.005)


def renamed_rows(rows, names):
    """Coupled rows of one person with taste k called names[k]."""
    renamed = rows.copy()
    for half in (0, rows.shape[1] // 2):
        for entry in (THETA, THETA_0):
            renamed[:, half + PEOPLE + entry] = np.array(names)[rows[:, half + PEOPLE + entry]]
    return renamed


@settings(max_examples=20, deadline=None)
@given(st.permutations([0, 1, 2]), st.integers(0, 10**6))
def test_relabelling_thetas_changes_nothing_that_a_step_counts(names, seed):
    """Influenced, kept, changed and welfare depend on which tastes are equal, or harmful, and not on their names."""
    layers, rng = relabelled().layers, np.random.default_rng(seed)
    rows = np.unique(layers.rows[rng.integers(0, layers.num_states, 200)], axis=0)
    other = world(dataclasses.replace(layers.world.config, harmful_theta="ABE"[names[2]]))
    counted = [layers.world.component_names.index(n) for n in COUNTED]
    frozen = [
        each.expand(given).components[:, WAIT, 0][:, counted]
        for each, given in ((layers.world, rows), (other, renamed_rows(rows, names)))
    ]
    assert (frozen[0] == frozen[1]).all()


COUNTED = ("influenced", "kept", "inert_kept", "changed", "inert_changed", "welfare")


@functools.cache
def relabelled():
    return solve_village(VillageConfig(drift=False, kappa_p=0.5, start_theta="any", horizon=6, reach=8), ["NS"])


@pytest.mark.parametrize("names", [(1, 2, 0), (2, 1, 0), (1, 0, 2)])
def test_relabelling_thetas_changes_no_measure(names):
    """MI, LI and ease gain of a random policy, with drift, where every taste is as easy to help."""
    config = dataclasses.replace(SHORT, h=1.0, e=1.0, horizon=6, reach=8)
    layers, probs = list_village(config, twin=True), np.random.default_rng(0).dirichlet(np.ones(11))
    played = [play_from(layers, each, 0) for each in (lambda rows: np.tile(probs, (len(rows), 1)), inert_policy)]
    index = RowIndex(layers.rows.shape[1])
    index.intern(renamed_rows(layers.rows, names))
    measures = taste_measures(layers, *played, start=0)
    assert taste_measures(dataclasses.replace(layers, index=index), *played, start=0) == pytest.approx(measures)
    assert measures[0] > measures[1] > 0


@pytest.mark.slow
def test_search_plans_on_the_village():
    """With the true rewards in the tree and exact values at its leaves a search does what is optimal."""
    config = VillageConfig(kappa_p=0.5, kappa_g=0.5, reach=3)
    solution, village = solve_village(config, ["RT"]), world(config)
    rng, env = np.random.default_rng(0), GridVectorEnv(village, 40)
    env.reset(seed=0)
    for _ in range(11):
        env.step(rng.integers(0, 11, 40))
    rows = env.get_state().rows

    def exact_values(new: NewNodes):
        return np.zeros((len(new.rows), 11)), solution.values("RT", new.rows)

    found = search(village, rows, exact_values, config=SearchConfig(num_simulations=300))
    optimal = solution.optimal_actions("RT", rows)
    assert optimal[np.arange(40), found.actions].mean() > 0.9 and optimal.mean() < 0.4


class TestRefusals:
    def test_a_row_that_the_starts_do_not_lead_to(self):
        solution = solve_village(SHORT, ["RT"])
        with pytest.raises(UserError, match="Row 0 of 1 is none of the"):
            solution.optimal_actions("RT", world(VillageConfig(size=4)).begin([0], [0]))

    def test_ns_lit_over_several_starts(self):
        with pytest.raises(UserError, match="NS_lit weighs tastes by their law from one start, but there are 3"):
            solve_village(dataclasses.replace(SHORT, start_theta="any"), ["NS_lit"])
        assert solve_village(dataclasses.replace(SHORT, start_theta="any"), ["NS_lit"], start=1).value("NS_lit") > 0

    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"start": 5}, "start is 5, allowed is an integer from 0 to 0"),
            ({"start": "A"}, "start is 'A', allowed is an integer"),
            ({"level": 99}, "level is 99, allowed are 0 to 1 and 4294967296 to 4294967297; .* raise num_levels"),
            ({"level": "first"}, "level is 'first'"),
        ],
    )
    def test_a_start_or_a_level_that_there_is_not(self, options, match):
        config = dataclasses.replace(SHORT, horizon=1, num_levels=2)
        for ask in (solve_village, values_of_influence):
            with pytest.raises(UserError, match=match):
                ask(config, ["RT"], **options)
        with pytest.raises(UserError, match=match):
            loss_of_cut_plan(config, "RT", **options)
        assert solve_village(config, ["RT"], level=2**32 + 1, start=0).value("RT") == 2

    def test_an_unknown_objective(self):
        with pytest.raises(UserError, match="no world pays its steps by FR"):
            solve_village(SHORT, ["FR"])

    def test_a_world_without_a_clock_in_its_rows(self):
        other = make_world("MultiNeed", size=3)
        with pytest.raises(UserError, match="leads back to an earlier row, so that rows hold no clock"):
            list_layers(other, other.begin([0], [0]))

    def test_too_many_states(self):
        village = make_world("Village")
        with pytest.raises(UserError, match="more than 500 states"):
            list_layers(village, village.begin([0], [0]), max_states=500)

    def test_allowed_actions_bind(self):
        layers = list_village(SHORT, twin=False)
        weights = np.array([[name == "RT" for name in layers.world.component_names]], float)
        only_wait = np.zeros((layers.num_states, 11), bool)
        only_wait[:, WAIT] = True
        bound = back_up(layers, weights, allowed=only_wait)
        inert = play(layers, lambda rows: np.eye(11)[np.full(len(rows), WAIT)])
        total = float(inert.paid.sum(axis=0) @ weights[0])
        assert bound.values[layers.start_state, 0] == pytest.approx(total)
        assert bound.optimal[~layers.ended].sum() == (~layers.ended).sum()
