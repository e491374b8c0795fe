"""Cases as row worlds: the solver's values and action sets, the twin, objectives as weights, the ambiguous phase."""

from __future__ import annotations

import dataclasses
import itertools
import pickle
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from agents.optimum import _observed_optimum
from envs import GridVectorEnv, UserError, make_world
from envs.beliefs import hides_state, observation_numbers
from envs.niceness import case_world
from envs.niceness.backward import Solution
from envs.niceness.building import from_rows, tabulate
from envs.niceness.case_configs import TasteConfig, case_of
from envs.niceness.case_registry import CASES, make_case
from envs.niceness.case_tables import tables_of
from envs.niceness.objectives import find_objective
from envs.niceness.utilities import Mixed, Natural
from envs.tabular import enumerate_world, start_value, value_iteration

EXAMPLES = Path(__file__).parent.parent / "examples" / "cases"
ALL_TRIADS = [
    {}, {"kappa": 0.3}, {"kappa": "1/3", "d": 2}, {"generic": True, "kappa": 0.5}, {"o": 0}, {"hurts": "A"},
    {"T": 3, "d": 4, "kappa": 0.4}, {"kappa": 0.1, "kappa_lock": 1, "theta_0": "E"}, {"T": 1}, {"kappa": 0},
]  # fmt: skip


@dataclass(frozen=True)
class DiceConfig(TasteConfig):
    """A process drawn at random, so that no table has a form that a bug could hide behind."""

    family = "Dice"

    seed: int = 0
    keyed: bool = True

    def build_case(self):
        rng = np.random.default_rng(self.seed)
        states, thetas, actions = ("p", "q", "r"), ("A", "B"), ("noop", "x", "y")
        rewards = rng.integers(-3, 4, (2, 3, 2, 3, 3))

        def reward(evaluator, turn, after):
            places = thetas.index(evaluator), states.index(turn.state), thetas.index(turn.theta)
            return Fraction(int(rewards[(*places, actions.index(turn.action), states.index(after))]), 3)

        settings = {"thetas": thetas, "actions": actions, "noop": "noop", "start": ("p", "B"), "horizon": 3}
        if not self.keyed:
            rows = {}
            for place in itertools.product(states, thetas, actions):
                outcomes = rng.permutation([*itertools.product(states, thetas)])[:3]
                rows[place] = dict(zip(map(tuple, outcomes.tolist()), ("1/2", "1/6", "1/3"), strict=True))
            return from_rows("dice", states=states, rows=rows, reward=reward, **settings)
        moves = rng.integers(0, 6, (3, 2, 3, 3, 2))
        moves[:, :, 2] = moves[:, :, 2, :, :1]  # action y does not read the second channel

        def step(turn, noise):
            place = (states.index(turn.state), thetas.index(turn.theta), actions.index(turn.action), *noise)
            return states[moves[place] // 2], thetas[moves[place] % 2]

        channels = (("1/2", 0, "1/2"), ("1/5", "4/5"))
        return tabulate("dice", step=step, reward=reward, channels=channels, **settings)


def dice(**options):
    return case_world.world(DiceConfig(**options))


def utilities(case):
    """Objectives, and what the exact solver maximises for each."""
    names = ["RT", "IR", *(f"PR-{theta}" for theta in case.thetas), "0.5*RT+0.25*IR", *(["NS"] if case.keyed else [])]
    return {name: find_objective(name, case).utility(case) for name in names}


def assert_solved_alike(make, case):
    for objective, utility in utilities(case).items():
        world = make(objective=objective)
        mdp = enumerate_world(world, [0])
        solved, exact = value_iteration(mdp), Solution(utility)
        assert start_value(mdp, solved.values) == pytest.approx(float(exact.value), abs=1e-9)
        best_actions = solved.action_values >= solved.values[:, None] - 1e-9
        for row, value, best in zip(mdp.rows, solved.values, best_actions, strict=True):
            time, node = case.horizon - row[case_world.LEFT], tuple(map(int, row[:4]))
            node = node_of(utility, node)
            assert value == pytest.approx(float(exact.value_at(time, node)), abs=1e-9)
            assert tuple(np.flatnonzero(best)) == exact.actions(time, node)


def node_of(utility, node):
    """What the solver's objective remembers of a row."""
    if isinstance(utility, Natural):
        return node
    return (*node[:2], node[:2], node[:2]) if isinstance(utility, Mixed) else node[:2]


@pytest.mark.parametrize("options", ALL_TRIADS, ids=str)
def test_a_triad_is_solved_as_its_process_is(options):
    """Values and optimal action sets at every state that any play reaches, by enumeration and by exact fractions."""
    case = case_of(make_world("Triad", **options).config)
    assert_solved_alike(lambda objective: make_world("Triad", objective=objective, **options), case)


@pytest.mark.parametrize("name", list(CASES))
def test_every_case_is_solved_as_it_is(name):
    case = make_case(name)
    assert_solved_alike(lambda objective: make_world("Case", case=name, objective=objective), case)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_a_case_file_is_solved_as_it_is(path):
    assert_solved_alike(lambda objective: make_world("Case", case=str(path), objective=objective), make_case(str(path)))


def test_a_case_file_that_was_changed_is_read_again(tmp_path):
    path = tmp_path / "mine.toml"
    text = (EXAMPLES / "moody.toml").read_text()
    for worth in ("3/2", "7/2"):
        path.write_text(text.replace("3/2", worth))
        assert make_world("Case", case=str(path), objective="PR-coffee").kernel_config.reward.max() == Fraction(worth)


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_a_random_process_is_solved_as_it_is(seed, keyed):
    case = DiceConfig(seed=seed, keyed=keyed).build_case()
    assert case.keyed == keyed
    assert_solved_alike(lambda objective: dice(seed=seed, keyed=keyed, objective=objective), case)


def test_the_known_optima_of_triad():
    best = {"RT": 16, "IR": 11, "NS": 12, "Myopic": 2}
    for objective, value in best.items():
        world = make_world("Triad", objective=objective)
        mdp = enumerate_world(world, [0])
        assert start_value(mdp, value_iteration(mdp).values) == value
        assert world.discount == (objective != "Myopic")


@dataclass(frozen=True)
class DriftConfig(TasteConfig):
    """T = 2; A becomes B with probability 1/2 after a step, whatever the agent does."""

    family = "Drift"

    def build_case(self):
        return tabulate(
            "drift", thetas=("A", "B"), actions=("wait", "hA", "hB"), noop="wait", start=(0, "A"), horizon=2,
            step=lambda turn, noise: (0, "B" if noise[0] or turn.theta == "B" else "A"), channels=((0.5, 0.5),),
            reward=lambda evaluator, turn, after: int(turn.action == f"h{evaluator}"),
        )  # fmt: skip


def test_random_drift_is_judged_by_the_twin_that_reads_the_same_noise():
    """NS is worth 2, as θ^nat is the θ that is seen; judged by the law of θ^nat alone it would be worth 3/2."""
    for objective in ("RT", "NS"):
        mdp = enumerate_world(case_world.world(DriftConfig(objective=objective)), [0])
        assert start_value(mdp, value_iteration(mdp).values) == pytest.approx(2)


@pytest.mark.parametrize("world", [dice(seed=seed) for seed in range(3)] + [case_world.world(DriftConfig())])
def test_an_inert_agent_and_its_twin_are_one_for_every_seed(world):
    env, waiting = GridVectorEnv(world, 64), np.zeros(64, int)
    moved = set()
    for seed in range(20):
        env.reset(seed=seed)
        for _ in range(world.config.build_case().horizon):
            env.step(waiting)
            rows = env.get_state().rows
            assert (rows[:, :2] == rows[:, 2:4]).all()
            moved |= set(rows[:, 1].tolist())
    assert len(moved) > 1
    env.reset(seed=0)
    env.step(waiting + 1)
    rows = env.get_state().rows
    assert world.name == "Drift" or (rows[:, :2] != rows[:, 2:4]).any(), "control: another action parts them"


def reward_log(seed, **options):
    """Rewards of random play, as bytes."""
    env, rng = GridVectorEnv(make_world("Triad", **options), 32), np.random.default_rng(seed)
    env.reset(seed=seed)
    return np.stack([env.step(rng.integers(0, 6, 32))[1] for _ in range(60)]).tobytes()


AMBIGUOUS = make_world("Triad-Ambiguous").config


@pytest.mark.parametrize("horizon", [3, 6])
@pytest.mark.parametrize("spare", [0, 1])
def test_in_the_ambiguous_phase_the_reward_logs_are_byte_equal(horizon, spare):
    """κ = 0, no drift inside the episode, every first taste: what RT, IR and NS pay cannot be told apart."""
    options = {"T": horizon, "d": horizon + spare, "kappa": AMBIGUOUS.kappa, "starts": AMBIGUOUS.starts}
    logs = {objective: reward_log(5, objective=objective, **options) for objective in ("RT", "IR", "NS", "PR-A")}
    assert logs["RT"] == logs["IR"] == logs["NS"] != logs["PR-A"]


@pytest.mark.parametrize(
    ("changed", "apart"), [({"kappa": 0.1}, "RT IR"), ({"d": 3}, "RT IR"), ({"kappa": 0.1}, "RT NS")]
)
def test_a_little_power_or_drift_ends_the_ambiguity(changed, apart):
    options = {"T": 6, "d": 7, "kappa": 0, "starts": "uniform"} | changed
    first, second = (reward_log(5, objective=objective, **options) for objective in apart.split())
    assert first != second


def test_the_ambiguous_phase_shows_every_taste_and_never_moves_one():
    world = make_world("Triad-Ambiguous")
    assert (AMBIGUOUS.kappa, AMBIGUOUS.d > AMBIGUOUS.T, world.num_starts) == (0, True, 3)
    rows = enumerate_world(world, [0]).rows
    assert {tuple(row) for row in rows[:, [1, 3, 4]].tolist()} == {(k, k, k) for k in range(3)}


def test_hidden_welfare_is_scored_and_never_paid():
    options = {"kappa": 1, "hurts": "E"}
    world = make_world("Triad", **options)
    assert world.performance_weights @ np.arange(len(world.component_names)) == world.component_names.index("welfare")
    env = GridVectorEnv(world, 1)
    env.reset(seed=0)
    steps = [env.step([action]) for action in (3, 2, 2)]
    assert [step[1][0] for step in steps] == [1, 3, 3]
    assert [step[4]["performance"][0] for step in steps] == [0, -1, -1]
    assert reward_log(3, **options) == reward_log(3, kappa=1)


def test_a_world_is_rebuilt_from_its_options():
    world = make_world("Triad", kappa="1/3", objective="0.25*RT+PR-E")
    again = pickle.loads(pickle.dumps(world))
    assert again.config == world.config and (again.reward_weights == world.reward_weights).all()
    assert dict(zip(world.component_names, world.reward_weights, strict=True))["RT"] == 0.25
    assert (world.expand(world.begin([0], [0])).probability == again.expand(again.begin([0], [0])).probability).all()


def test_a_channel_is_told_apart_only_where_something_depends_on_it():
    world = make_world("Triad", kappa=0.3)
    outcomes = world.expand(world.begin([0], [0]))
    assert world.max_outcomes == 2
    assert (outcomes.probability[0] > 0).sum(axis=1).tolist() == [1, 1, 1, 2, 2, 1]
    assert outcomes.probability[0, 3] == pytest.approx([0.7, 0.3])


def test_the_natural_taste_is_shown_on_demand_alone():
    options = {"kappa": 1, "d": 1, "T": 2}
    for shown in (False, True):
        world = make_world("Triad", shows_natural=shown, **options)
        mdp = enumerate_world(world, [0])
        planes = world.observe(mdp.rows)["planes"]
        assert ("natural_taste" in world.plane_names) == shown and planes.shape[1] == 3 + shown
        step = 2 - mdp.rows[:, case_world.LEFT]
        assert (planes[np.arange(len(planes)), 0, mdp.rows[:, 1], step] == 1).all()
        assert (planes[np.arange(len(planes)), 1, mdp.rows[:, 4], step] == 1).all()
        assert not shown or (planes[np.arange(len(planes)), 2, mdp.rows[:, 3], step] == 1).all()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"objective": "RR"}, r"objective is 'RR', which names 'RR'; allowed are RT, IR, .* and Myopic\."),
        ({"objective": "welfare"}, "which names 'welfare'; allowed are"),
        ({"objective": "RT+RT"}, "names 'RT' more than once; give it one weight"),
        ({"objective": "-1*RT"}, "weights may not be negative"),
        ({"objective": "x*RT"}, "weights of at least 0"),
        ({"objective": "0*RT"}, "weights are all 0"),
        ({"objective": ""}, "allowed is a name"),
        ({"objective": "PR-C"}, "Did you mean 'PR-"),
        ({"kappa": 1.5}, "kappa is 1.5, allowed is a probability"),
        ({"kappa": "much"}, "kappa is 'much'"),
        ({"T": 0}, "T is 0"),
        ({"kappa": [0.5]}, r"kappa is \[0\.5\], allowed is a number"),
        ({"starts": "any"}, "starts is 'any'"),
        ({"starts": "uniform", "theta_0": "B"}, "theta_0 is 'B', which starts 'uniform' does not read"),
        ({"theta_0": "C"}, "theta 'C' is unknown"),
        ({"hurts": "C"}, "hurts 'C' is unknown"),
        ({"shows_natural": 1}, "shows_natural is 1"),
    ],
)
def test_refusals(options, match):
    with pytest.raises(UserError, match=match):
        make_world("Triad", **options)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"case": "ZEALOTS"}, "case 'ZEALOTS' is unknown.* Did you mean 'ZEALOT'"),
        ({"parameters": {"kapa": 1}}, "has no option 'kapa'.* Did you mean 'kappa'"),
        ({"parameters": {"kappa": 2}}, "kappa is 2, allowed is a probability"),
        ({"case": "no.toml"}, "case file 'no.toml' cannot be read"),
        ({"case": str(EXAMPLES / "clickbait.toml"), "parameters": {"T": 3}}, "has no option .T., it has none"),
        ({"case": str(EXAMPLES / "clickbait.toml"), "kappa": 1}, "no option 'kappa'.* write kappa = 1 into"),
        ({"parameters": {"kappa": [1]}}, r"parameter kappa is \[1\], allowed is a number"),
        ({"parameters": 3}, "parameters is 3, allowed are names with values"),
    ],
)
def test_refusals_of_cases(options, match):
    with pytest.raises(UserError, match=match):
        make_world("Case", **options)


@pytest.mark.parametrize(
    ("size", "match"), [({"horizon": 10**7}, "450000045 combinations"), ({"states": ("p",) * 40_000}, "40000 states")]
)
def test_a_case_that_is_too_large_for_a_world_is_refused(size, match):
    case = dataclasses.replace(make_case("TRIAD"), **size)
    with pytest.raises(UserError, match=match):
        tables_of(case, any_start=True, shows_natural=False)


def test_parameters_are_the_same_in_any_form():
    forms = ({"T": 3, "kappa": 0.5}, {"kappa": 0.5, "T": 3}, [["kappa", 0.5], ["T", 3]], (("T", 3), ("kappa", 0.5)))
    assert len({make_world("Case", parameters=form).config for form in forms}) == 1


@pytest.mark.parametrize("options", [{"objective": "NS"}, {"objective": "0.5*NS+RT"}, {"shows_natural": True}])
def test_without_keyed_noise_there_is_no_twin(options):
    with pytest.raises(UserError, match="of dice compares with an inert twin .* declare its noise as channels"):
        dice(keyed=False, **options)
    world = dice(keyed=False)
    assert "NS" not in world.component_names and world.num_channels == 1
    assert (world.begin([0], [0])[0, 2:4] == -1).all()


@pytest.mark.parametrize(("objective", "hides"), [("RT", False), ("IR", False), ("NS", True)])
def test_observations_hide_the_twin_only_from_whom_it_concerns(objective, hides):
    """The twin is not shown: what is best under RT and IR does not ask for it, at γ = 1 either."""
    world = make_world("Case", case=str(EXAMPLES / "moody.toml"), objective=objective)
    mdp = enumerate_world(world, [0])
    solution = value_iteration(mdp)
    assert hides_state(observation_numbers(world, mdp.rows))
    assert (_observed_optimum(world, mdp, solution, discount=1.0) is not None) == hides
