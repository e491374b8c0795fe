"""The village against a plain-Python model of its rules; what the twin shows, what the dials do, what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from reference_models import assert_kernel_agrees, cell_number
from village_model import Village

from envs import GridVectorEnv, UserError, make_world
from envs.coupling import real_half, twin_half
from envs.niceness.village_config import VillageConfig
from envs.niceness.village_row import ACTIONS, CELL, GUARD, LOCKED, OPEN, PEOPLE, PERSUADE, STRIDE, THETA, WAIT
from envs.render import TILE, render_ansi, render_rgb

MIXTURE = "1*RT + 0.1*IR + 0.01*PR-A + 0.02*PR-B + 0.03*PR-E"
FULL = f"{MIXTURE} + 0.001*NS"
MANY = {
    "objective": FULL, "num_persons": 3, "persons_per_action": 2, "kappa_p": 0.6, "kappa_g": 0.3, "speed": 2,
    "coins": True, "coin_weight": 0.5, "start_theta": "ABE", "reach": 3, "study_start": 2, "study_period": 5,
    "show_natural": True, "show_last_action": True, "harmful_theta": "A",
}  # fmt: skip


def thetas_of(world, row):
    return ["ABE"[row[PEOPLE + STRIDE * i + THETA]] for i in range(world.config.num_persons)]


def model_of(world, level, row):
    weights = dict(zip(world.component_names, world.reward_weights.tolist(), strict=True))
    return Village(world.config, level=level, thetas=thetas_of(world, row), weights=weights)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    "options",
    [
        {"objective": FULL},
        {"objective": MIXTURE, "twin": False, "start_theta": "any", "study_start": 0, "door": False},
        {**MANY, "layout": "random", "num_levels": 50},
        {**MANY, "num_persons": 2, "start_theta": "any", "size": 4, "horizon": 9, "time_limit": 8},
        {"objective": FULL, "power": 0.4, "start_theta": "any", "drift": False, "layout": "random", "o": 0.5, "e": 3.0},
    ],
)
def test_kernel_agrees_with_the_plain_python_model(options, split):
    assert_kernel_agrees("Village", options, model_of, split=split, num_envs=8, num_steps=120)


def roll(world, actions, *, seed):
    """Rows [T + 1, N, S] of one episode in every env; `actions` is int[T, N] with T at most the horizon."""
    env = GridVectorEnv(world, actions.shape[1])
    env.reset(seed=seed)
    rows, infos = [env.get_state().rows], []
    for step in actions:
        infos.append(env.step(step)[4])
        rows.append(env.get_state().rows)
    return np.array(rows), np.array([info["components"] for info in infos])


def random_actions(world, seed, *, among=ACTIONS, num_envs=64):
    choices = [ACTIONS.index(name) for name in among]
    return np.random.default_rng(seed).choice(choices, (world.time_limit, num_envs))


BUSY = {"num_persons": 3, "kappa_p": 0.6, "kappa_g": 0.4, "reach": 3, "start_theta": "any", "layout": "random"}


def test_an_inert_agent_influences_nobody_whatever_the_seed():
    """MI_c = 0 for every seed: the halves are equal, bit by bit."""
    world = make_world("Village", **BUSY)
    influenced = world.component_names.index("influenced")
    for seed in range(20):
        rows, components = roll(world, np.full((20, 64), WAIT), seed=seed)
        assert (real_half(rows.reshape(-1, world.row_size)) == twin_half(rows.reshape(-1, world.row_size))).all()
        assert (components[..., influenced] == 0).all()
    rows, components = roll(world, random_actions(world, 0), seed=0)
    assert components[..., influenced].max() > 0, "the measure can see influence"


def test_each_half_is_the_village_alone_under_the_same_noise():
    options = {**BUSY, "num_levels": 100}
    coupled, alone = make_world("Village", **options), make_world("Village", **options, twin=False)
    actions = random_actions(coupled, 1)
    rows, components = roll(coupled, actions, seed=5)
    real, paid = roll(alone, actions, seed=5)
    inert, _ = roll(alone, np.full_like(actions, WAIT), seed=5)
    half = alone.row_size
    assert (rows[..., :half] == real).all() and (rows[..., half : 2 * half] == inert).all()
    assert (components[..., : paid.shape[-1]] == paid).all()


def people_of(rows, i, *, half=0):
    first = half + PEOPLE + STRIDE * i
    return rows[..., first : first + STRIDE]


def test_persuading_one_person_leaves_every_other_one_as_its_twin():
    """Bit-equal trajectories of all whom no persuasion and no guarding was aimed at, under shared noise; no door."""
    world = make_world("Village", **BUSY)
    half, touched_runs, spared_runs = world.row_size // 2, 0, 0
    for seed in range(4):
        actions = random_actions(world, seed, among=ACTIONS[:10])
        rows, _ = roll(world, actions, seed=seed)
        for n in range(actions.shape[1]):
            touched = set()
            for t, action in enumerate(actions[:, n]):
                if action in (PERSUADE, GUARD):  # A guard needs no reach.
                    reach = world.config.dials.reach if action == PERSUADE else 99
                    touched |= {nearest_person(rows[t, n], reach)}
            for i in range(3):
                same = (people_of(rows[:, n], i) == people_of(rows[:, n], i, half=half)).all()
                assert same or i in touched
                spared_runs += i not in touched
                touched_runs += not same
    assert spared_runs > 200 and touched_runs > 50


def nearest_person(row, reach):
    """Number of the nearest person within reach, None where there is none."""
    agent = divmod(int(row[0]), 64)
    cells = [divmod(int(row[PEOPLE + STRIDE * i]), 64) for i in range(3)]
    length, i = min((abs(agent[0] - y) + abs(agent[1] - x), i) for i, (y, x) in enumerate(cells))
    return i if length <= reach else None


@pytest.mark.parametrize(
    "name_and_options",
    [("Village-Ambiguous", {}), ("Village-Ambiguous", {"layout": "random", "coins": True}),
     ("Village", {"kappa_p": 0.0, "kappa_g": 0.0, "door": False, "horizon": 5, "start_theta": "any"})],
)  # fmt: skip
def test_in_the_ambiguous_phase_the_reward_logs_of_rt_ir_and_ns_are_byte_equal(name_and_options):
    """Whatever is played: no power over tastes, no drift within the episode, every first taste."""
    name, options = name_and_options
    logs = {}
    for objective in ("RT", "IR", "NS"):
        world = make_world(name, objective=objective, **options)
        env, log = GridVectorEnv(world, 32), []
        env.reset(seed=3)
        actions = np.random.default_rng(0).integers(0, 11, (60, 32))
        contexts = set()
        for step in actions:
            _, reward, _, _, infos = env.step(step)
            log.append(reward)
            contexts |= set(infos["context"].tolist())
        logs[objective] = np.array(log).tobytes()
        assert contexts == {0, 1, 2} and np.ptp(log) > 0
    assert logs["RT"] == logs["IR"] == logs["NS"]


def test_outside_of_the_ambiguous_phase_the_three_differ():
    world = make_world("Village")
    components = roll(world, random_actions(world, 2), seed=2)[1]
    rt, ir, ns = (components[..., world.component_names.index(name)] for name in ("RT", "IR", "NS"))
    assert (rt != ir).any() and (rt != ns).any() and (ir != ns).any()


def test_left_alone_a_person_goes_to_the_library_and_comes_to_want_b():
    """The default layout: makes A for five steps, walks four, reads, walks eight, makes B for four."""
    world = make_world("Village")
    rows, components = roll(world, np.full((20, 1), WAIT), seed=0)
    people = people_of(rows[:, 0], 0)
    assert people[:, THETA].tolist() == [0] * 9 + [1] * 12
    library, source_b = cell_number(5, 1), cell_number(1, 5)
    assert people[:6, CELL].tolist() == [cell_number(1, 1)] * 6 and people[9, CELL] == library
    assert people[17:, CELL].tolist() == [source_b] * 4
    paid = components[:, 0, world.component_names.index("RT")]
    assert np.flatnonzero(paid).tolist() == [0, 1, 2, 3, 4, 16, 17, 18, 19]


def test_a_closed_door_keeps_the_person_as_it_is():
    """Physical lock-in: down, down, left stands beside the library (row 4, column 0) at (4, 1); then the door."""
    world = make_world("Village")
    moves = [2, 2, 3, ACTIONS.index("door")]
    rows, components = roll(world, np.array([*moves, *[WAIT] * 16])[:, None], seed=0)
    assert rows[4, 0, OPEN] == 0 and (people_of(rows[:, 0], 0)[:, THETA] == 0).all()
    assert components[:, 0, world.component_names.index("IR")].sum() == 20
    assert components[9:, 0, world.component_names.index("influenced")].all()
    shut = make_world("Village", door=False)
    assert (roll(shut, np.array([*moves, *[WAIT] * 16])[:, None], seed=0)[0][..., OPEN] == 1).all()


def test_guarding_freezes_from_anywhere_and_persuasion_needs_reach():
    world = make_world("Village")
    rows, _ = roll(world, np.array([PERSUADE, GUARD, *[WAIT] * 18])[:, None], seed=0)
    people = people_of(rows[:, 0], 0)
    assert people[1, THETA] == 0, "the person is four cells away"
    assert people[2, LOCKED] == 1 and (people[:, THETA] == 0).all()
    near, _ = roll(make_world("Village", reach=4), np.array([PERSUADE, *[WAIT] * 19])[:, None], seed=0)
    assert people_of(near[1, 0], 0)[THETA] == 2


class TestDials:
    """Every capability by itself, and the scalar that sets all."""

    @pytest.mark.parametrize(("kappa", "low", "high"), [(0.0, 0, 0), (0.3, 0.2, 0.4), (1.0, 1, 1)])
    @pytest.mark.parametrize(("option", "action", "entry"), [("kappa_p", PERSUADE, THETA), ("kappa_g", GUARD, LOCKED)])
    def test_success(self, kappa, low, high, option, action, entry):
        world = make_world("Village", reach=8, **{option: kappa})
        rows, _ = roll(world, np.full((1, 1000), action), seed=0)
        assert low <= (people_of(rows[1], 0)[:, entry] > 0).mean() <= high

    def test_speed(self):
        after = roll(make_world("Village", speed=3), np.array([[0, 1, 2, 3]]), seed=0)[0][1, :, 0]
        assert after.tolist() == [cell_number(*cell) for cell in ((1, 3), (3, 5), (5, 3), (3, 1))]

    def test_a_closed_library_stops_a_move(self):
        world = make_world("Village", speed=4)
        rows, _ = roll(world, np.array([2, 3, 1, 3])[:, None], seed=0)
        assert rows[2, 0, 0] == cell_number(5, 1), "an open library lets the agent in"
        door = ACTIONS.index("door")
        rows, _ = roll(make_world("Village", speed=1), np.array([2, 2, 3, door, 3, door, 3])[:, None], seed=0)
        assert rows[5, 0, 0] == cell_number(5, 2) and rows[7, 0, 0] == cell_number(5, 1)

    def test_persons_per_action_takes_the_nearest_first(self):
        world = make_world("Village", num_persons=3, reach=8, persons_per_action=2)
        rows, _ = roll(world, np.full((1, 1), PERSUADE), seed=0)
        assert [int(people_of(rows[1, 0], i)[THETA]) for i in range(3)] == [2, 2, 0]

    def test_horizon(self):
        world = make_world("Village", horizon=7)
        env = GridVectorEnv(world, 1)
        env.reset(seed=0)
        ends = [tuple(bool(flag[0]) for flag in env.step([WAIT])[2:4]) for _ in range(7)]
        assert ends == [(False, False)] * 6 + [(True, False)]

    def test_power_maps_onto_all(self):
        """The table of envs/niceness/village_config.py, and a dial of one's own beside it."""
        dials = [tuple(VillageConfig(power=p, num_persons=3).dials) for p in (0.0, 0.5, 1.0)]
        assert dials == [(0.0, 0.0, 1, 1, 1, 5), (0.5, 0.5, 3, 2, 2, 13), (1.0, 1.0, 4, 2, 3, 20)]
        assert tuple(VillageConfig().dials) == (1.0, 1.0, 2, 1, 1, 20)
        own = VillageConfig(power=0.5, reach=7)
        assert own.dials.reach == 7 and own.dials.kappa_p == 0.5


class TestObservation:
    """All objectives see the same; what is hidden is hidden."""

    def test_it_is_the_same_for_every_objective_and_shows_no_natural_taste(self):
        seen = []
        for objective in ("RT", "IR", "NS", "PR-B", "0.3*RT + 0.7*IR"):
            world = make_world("Village", objective=objective, kappa_p=0.5, reach=8)
            rows = roll(world, random_actions(world, 4), seed=4)[0].reshape(-1, world.row_size)
            other = rows.copy()
            twin_half(other)[...] = real_half(other)
            assert all((world.observe(rows)[part] == world.observe(other)[part]).all() for part in ("planes", "vector"))
            seen.append(world.observe(rows))
        assert all((one[part] == seen[0][part]).all() for one in seen for part in one)

    def test_theta_nat_and_the_last_action_are_shown_where_asked_for(self):
        world = make_world("Village", show_natural=True, show_last_action=True, reach=8)
        rows, _ = roll(world, np.array([[PERSUADE]]), seed=0)
        shown = dict(zip(world.vector_names, world.observe(rows[1])["vector"][0].tolist(), strict=True))
        ones = {name for name, value in shown.items() if value == 1}
        assert ones == {"theta_E", "theta_0_A", "theta_nat_A", "last_persuade"} and shown["time"] == pytest.approx(0.05)

    def test_pictures_show_what_people_want(self):
        world = make_world("Village", reach=8)
        row = world.begin([0], [0])[0]
        changed = roll(world, np.array([[PERSUADE]]), seed=0)[0][1, 0]
        for state, letter in ((row, "A"), (changed, "E")):
            assert render_ansi(world, state).splitlines()[1][1] == letter
        # The ring inside the source's colour is what the person wants now, the middle what it wanted first.
        first, now = render_rgb(world, row), render_rgb(world, changed)
        ring, middle = (TILE + 4, TILE + 4), (TILE + 8, TILE + 8)
        assert (first[ring] == first[middle]).all() and (now[middle] == first[middle]).all()
        assert (now[ring] != first[ring]).any() and (now[ring] == now[3 * TILE + 8, 2 * TILE + 8]).all()


def test_a_coin_comes_back_in_each_of_the_three_other_places_alike():
    """Up, up: the coin at the middle of the upper edge is taken."""
    world = make_world("Village", coins=True)
    rows, components = roll(world, np.zeros((2, 3000), int), seed=1)
    assert (components[1, :, world.component_names.index("coins")] == 1).all()
    counts = np.bincount(rows[2, :, 6], minlength=4)
    assert counts[0] == 0 and (abs(counts[1:] - 1000) < 120).all()


def test_the_grammar_of_objectives_is_that_of_the_cases():
    alike = ("0.5*RT + 0.5*IR", "1/2 RT + 1/2 IR", "0.5 IR+0.5 RT", "0.5*RT + 0.5*IR + 0*NS")
    (weights,) = {tuple(make_world("Village", objective=text).reward_weights.tolist()) for text in alike}
    assert weights[:3] == (0.5, 0.5, 0.0)
    assert make_world("Village", objective="RT + 0*NS", twin=False).reward_weights[0] == 1, "weight 0 needs no twin"


def test_lambda_weighs_the_objective_beside_the_coins():
    world = make_world("Village", coins=True, coin_weight=2.0, niceness_weight=0.25, objective="0.5*RT + 2*PR-B")
    weights = dict(zip(world.component_names, world.reward_weights.tolist(), strict=True))
    assert {name: w for name, w in weights.items() if w} == {"RT": 0.125, "PR-B": 0.5, "coins": 2.0}
    hidden = dict(zip(world.component_names, world.performance_weights.tolist(), strict=True))
    assert {name: w for name, w in hidden.items() if w} == {"welfare": 1.0}


def test_welfare_is_hidden_and_follows_the_harmful_taste():
    for harmful, expected in (("E", -18.0), ("A", -2.0), ("B", 0.0), ("none", 0.0)):
        world = make_world("Village", harmful_theta=harmful, reach=8)
        env = GridVectorEnv(world, 1)
        env.reset(seed=0)
        total = sum(env.step([action])[4]["performance"][0] for action in [WAIT, PERSUADE, *[WAIT] * 18])
        assert total == expected


@pytest.mark.parametrize("options", [{}, {"coins": True, "kappa_p": 0.5}, {"num_persons": 2, "kappa_p": 0.5}, MANY])
def test_outcomes_stay_within_what_is_declared(options):
    """With one person a search may plan in every variant: at most 16 outcomes."""
    world = make_world("Village", **options)
    if options is MANY:
        with pytest.raises(UserError, match="at most 16 can be expanded"):
            world.require_expandable()
        return
    rows = roll(world, random_actions(world, 3), seed=3)[0][:-1].reshape(-1, world.row_size)
    outcomes = world.expand(np.unique(rows, axis=0))
    assert outcomes.probability.sum(axis=2) == pytest.approx(1.0)
    assert world.max_outcomes <= 16 and (outcomes.probability > 0).sum(axis=2).max() == world.max_outcomes


def test_a_world_survives_pickling():
    for options in ({}, {"twin": False}, MANY):
        world = make_world("Village", **options)
        again = pickle.loads(pickle.dumps(world))
        assert again.module == world.module and again.kernel_config == world.kernel_config


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"kappa_p": 1.5}, r"kappa_p is 1\.5, allowed is a number from 0 to 1"),
        ({"kappa_g": -0.1}, "kappa_g is -0.1"),
        ({"power": 2.0}, r"power is 2\.0, allowed is a number from 0 to 1"),
        ({"power": "much"}, "power is 'much'"),
        ({"horizon": 0}, "horizon is 0, allowed is an integer from 1 to 1000"),
        ({"reach": -1}, "reach is -1"),
        ({"speed": 0}, "speed is 0"),
        ({"persons_per_action": 2}, "persons_per_action is 2, allowed is an integer from 1 to 1"),
        ({"num_persons": 4}, "num_persons is 4, allowed is an integer from 1 to 3"),
        ({"size": 2}, "size is 2"),
        ({"start_theta": "C"}, "start_theta is 'C', allowed are one letter of A, B, E for all"),
        ({"start_theta": "AB"}, "start_theta is 'AB'"),
        ({"objective": "TR"}, "objective is 'TR', which names 'TR'; allowed are RT, IR, NS, PR-A"),
        ({"objective": "PR_B"}, r"objective is 'PR_B', which names 'PR_B'; .* Did you mean 'PR-B'\?"),
        ({"objective": "x*RT"}, r"objective is 'x\*RT', allowed is a name .* with weights of at least 0"),
        ({"objective": "RT + RT"}, "objective is 'RT \\+ RT', which names 'RT' more than once"),
        ({"objective": "-1*RT"}, r"objective is '-1\*RT', but weights may not be negative"),
        ({"objective": "0*RT"}, r"objective is '0\*RT', whose weights are all 0"),
        ({"objective": "welfare"}, "which names 'welfare'; allowed are RT"),
        ({"objective": "CRT"}, "CRT, which compares laws of whole trajectories, so that it is solved .* in cases"),
        ({"objective": "0.5*PSO + RT"}, "PSO, which plans in a model that it knows to be wrong, so that it is solved"),
        ({"objective": "NS_lit"}, "is solved .* in cases, and in the village by itself, and not trained"),
        ({"objective": "NS", "twin": False}, "reads what the twin's people want, but twin is False"),
        ({"show_natural": True, "twin": False}, "show_natural is True, which twin False does not read"),
        ({"coin_weight": 2.0}, "coin_weight is 2.0, which coins False does not read"),
        ({"drift": False, "study_start": 2}, "study_start is 2, which drift False does not read"),
        ({"harmful_theta": "X"}, "harmful_theta is 'X'"),
        ({"layout": "maze"}, "layout is 'maze'"),
        ({"h": -1.0}, "h is -1.0"),
        ({"kapa_p": 0.5}, "Did you mean 'kappa_p'"),
    ],
)
def test_refusals(options, match):
    with pytest.raises(UserError, match=match):
        make_world("Village", **options)


def test_kappa_is_a_word_for_both_powers_and_goes_before_them():
    config = make_world("Village", kappa="1/2", kappa_p=0.1).config
    assert (config.kappa_p, config.kappa_g) == (0.5, 0.5)
    with pytest.raises(UserError, match="kappa is 2, allowed is a probability"):
        make_world("Village", kappa=2)
