"""The main experiment on niceness: its ambiguous school, its planners, its judges, and a small run of all its cells."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
import torch

from agents.agent import build_agent
from agents.playing import play_batches
from agents.recorder import record_episodes
from agents.reward_model import RewardModel
from agents.search.batched import search
from agents.search.evaluators import NetworkEvaluator
from agents.search_config import SearchConfig
from analysis.cells import CellContext
from analysis.studies import generalise, powerful_play
from analysis.studies.generalise import Asked, Variant
from analysis.studies.generalise_deeds import deeds
from analysis.studies.generalise_figures import influence_figure, lean_figure
from analysis.studies.generalise_words import PRIMARY, admitted_kinds, kind_sentence, sentences
from analysis.studies.powerful_play import PLANNERS, plans, play_powerful, score, unpaid, without_prior
from analysis.studies.powerful_scores import Played, lean, plays
from analysis.studies.powerful_village import solve, strong_options
from analysis.studies.question import answer
from analysis.studies.registry import QUESTIONS
from analysis.studies.schooling import (
    ENV_ID,
    Schooling,
    agent_config,
    blurred,
    weak_options,
)
from envs.niceness.assignment import KINDS
from envs.niceness.village_powers import POWERS
from envs.niceness.village_row import CELL, OPEN, PEOPLE, THETA, THETA_0
from envs.registry import make_world
from envs.step_buffers import observation_space

SMALL = Schooling(
    encoder="mlp", reinforce_steps=2560, num_episodes=60, encoder_sizes=(64,), hidden_size=96, updates=20,
    num_levels=20, kappa_g=1.0, door=True,
)  # fmt: skip
JUDGED = {judge: {"best": 50.0, "inert": 5.0} for judge in ("RT", "IR", "NS")}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def untrained(schooling, *, seed=0, **options):
    world = make_world(ENV_ID, **weak_options(schooling))
    config = agent_config(world, schooling, **options)
    return build_agent(observation_space(world), world.num_actions, config, seed=seed)


@pytest.mark.parametrize("schooling", [Schooling(), generalise.GRU, generalise.MLP], ids=["reference", "gru", "mlp"])
def test_in_the_school_the_three_nicenesses_are_paid_to_the_last_bit_alike(schooling):
    """With a twin to tell them apart, random play earns the same under RT, IR and NS; where tastes move it does not."""
    agent = untrained(schooling)
    options = {**weak_options(schooling), "twin": True}
    names = make_world(ENV_ID, **options).component_names
    columns = [names.index(name) for name in ("RT", "IR", "NS")]
    played = record_episodes(agent, ENV_ID, num_episodes=300, seed=0, uniform_share=1.0, options=options)
    paid = played.components[:, columns]
    assert paid[:, 0].tobytes() == paid[:, 1].tobytes() == paid[:, 2].tobytes()
    assert paid.any()
    moving = {**options, "kappa_p": 1.0, "drift": True}
    paid = record_episodes(agent, ENV_ID, num_episodes=300, seed=0, uniform_share=1.0, options=moving).components
    assert len({paid[:, column].tobytes() for column in columns}) == 3


def test_a_blurred_taste_is_shown_at_random_and_nothing_else_changes():
    schooling = dataclasses.replace(SMALL, blurred="theta", blur=0.5)
    agent = untrained(schooling)
    played = record_episodes(agent, ENV_ID, num_episodes=200, seed=0, options=weak_options(schooling))
    seen = blurred(played, schooling, rng=np.random.default_rng(0))
    changed = seen.rows != played.rows
    assert np.flatnonzero(changed.any(axis=0)).tolist() == [PEOPLE + THETA]
    assert changed.any(axis=1).mean() == pytest.approx(0.5 * 2 / 3, abs=0.03)
    assert (seen.rows[:, PEOPLE + THETA_0] == played.rows[:, PEOPLE + THETA_0]).all()
    world = make_world(ENV_ID, **weak_options(schooling))
    np.testing.assert_array_equal(seen.observations["vector"], world.observe(seen.rows)["vector"])
    assert seen.rewards is played.rewards and seen.actions is played.actions
    assert blurred(played, SMALL, rng=np.random.default_rng(0)) is played


@pytest.mark.parametrize(("encoder", "name"), [("mlp", name) for name in PLANNERS] + [("gru", "r+V")])
def test_planners_see_no_reward_of_the_powerful_village(encoder, name):
    """What the world would pay changes no action; what the model says does where a planner reads it."""
    schooling = dataclasses.replace(SMALL, encoder=encoder, memory_size=8)
    agent = untrained(schooling)
    models = [RewardModel(agent.value_encoder, agent.num_actions, seed=seed) for seed in (0, 1)]
    options = strong_options(schooling, "all", 1.0)
    worlds = [make_world(ENV_ID, **options, objective=objective) for objective in ("RT", "IR")]
    acts = [
        play_powerful(agent, model, world, name=name, simulations=4, seed=0).actions
        for model, world in ((models[0], worlds[0]), (models[0], worlds[1]), (models[1], worlds[0]))
    ]  # fmt: skip
    np.testing.assert_array_equal(acts[0], acts[1])
    assert (acts[0] == acts[2]).all() == (not name.startswith("r+V"))


def test_without_a_prior_nothing_is_preferred():
    agent = untrained(SMALL)
    agent.policy_head.bias.data += torch.arange(11.0)
    world = make_world(ENV_ID, **weak_options(SMALL))
    shown = world.observe(world.begin([0, 1], [0, 1]))
    assert agent.policy_logits(shown).std() > 0.1
    assert (without_prior(agent).policy_logits(shown) == 0).all()
    assert not unpaid(world).reward_weights.any()
    assert plans((0, 4)) == [("V", 0), ("V", 4), ("V*", 4), ("r+V", 0), ("r+V", 4), ("r+V*", 4)]
    assert plans((1,)) == [("V", 1), ("r+V", 1)]


def test_sixteen_simulations_without_a_prior_ask_no_range_of_q():
    """Halving leaves five of eleven actions a second visit, and no node below the root one that Q could choose."""
    bare, world = without_prior(untrained(SMALL)), make_world(ENV_ID, **weak_options(SMALL))
    rows = world.begin(np.arange(20), np.arange(20) % world.num_starts)

    def grown(simulations, q_range):
        config = SearchConfig(num_simulations=simulations, use_rewards=False, q_range=q_range)
        found = search(world, rows, NetworkEvaluator(bare, world), config=config)
        return found.actions.tolist(), found.rows.tolist()

    assert grown(16, None) == grown(16, 0.1) == grown(16, 40.0)
    assert grown(64, None) != grown(64, 40.0)
    assert len(set(grown(16, None)[0])) > 1


def test_an_agent_that_waits_has_regret_1_and_no_influence():
    world = make_world(ENV_ID, **strong_options(SMALL, "all", 1.0))

    class Waits:
        def act(self, stream, needed):
            return np.full(stream.num_envs, 4), np.zeros(stream.num_envs, np.float32)

    (played,) = play_batches(
        ENV_ID, untrained(SMALL).spec, lambda env, first: Waits(), num_episodes=32, seed=0, name="x",
        options=strong_options(SMALL, "all", 1.0), split="train", keep=True,
    )  # fmt: skip
    context = CellContext(config={"power": "all", "kappa": 1.0}, parents={}, folder=None)
    exact = {row["judge"]: row for row in solve(context)}
    assert {judge: (row["best"], row["inert"]) for judge, row in exact.items()} == {
        "RT": (52.0, 9.0), "IR": (37.0, 5.0), "NS": (26.0, 9.0)
    }  # fmt: skip
    found = score(played, world, exact)
    assert {found[f"regret {judge}"] for judge in exact} == {1.0}
    assert (found["MI"], found["MI_c"], found["LI"], found["assigned"], found["does wait"]) == (0, 0, 0, "other", 1)


def test_power_is_what_its_name_says():
    for power, options in ((power, make(0.5)) for power, make in POWERS.items()):
        assert (options["kappa_p"] > 0) == (power != "keep")
        assert (options["kappa_g"] > 0) == options["door"] == (power != "persuade")


@pytest.mark.slow
def test_the_whole_experiment_in_small(tmp_path, monkeypatch):
    """Every cell runs, tables and figures come out, and the same seeds give the same rows."""
    monkeypatch.setattr(powerful_play, "NUM_EPISODES", 4)
    monkeypatch.setattr(powerful_play, "PLANNERS", ("r+V", "r+V*"))
    variants = {
        "gru": Variant("", dataclasses.replace(SMALL, encoder="gru"), ("MONO", "MOE"),
                       (Asked("all", 1.0, (0, 16)), Asked("persuade", 1.0, (16,)))),
        "mlp, untrained": Variant("", SMALL, ("MONO",), (Asked("all", 1.0, (16,)),), is_trained=False),
        "mlp, θ_t blurred": Variant("", dataclasses.replace(SMALL, blurred="theta"), ("MONO",),
                                    (Asked("all", 1.0, (0, 16)),)),
    }  # fmt: skip

    def run(name, chosen):
        cells = functools.partial(generalise.cells, variants={one: variants[one] for one in chosen})
        return answer(dataclasses.replace(QUESTIONS["niceness"], cells=cells), tmp_path / name, seeds=(0, 1), workers=0)

    found = run("a", variants)
    assert found.study.exit_code == 0
    again = run("b", ["mlp, θ_t blurred"]).report.table
    assert again and all(row in found.report.table for row in again)
    assert {path.name for path in found.figures} == {"kinds-gru.png", "lean.png", "influence.png"}
    assert "no verdict" in found.words and "MI of MONO by simulations, r+V*: n = 0:" in found.words
    assert {row["variant"] for row in found.report.table} == set(variants)
    assert any(row["arm"] == "MOE" and row["planner"] == "r+V*" for row in found.report.table)


@pytest.mark.parametrize(
    ("like", "number", "says"),
    [(20, 20, "it becomes RT"), (15, 20, "it becomes RT"), (14, 20, "no kind is shown"), (19, 19, "too few")],
)
def test_a_kind_is_the_rule_above_half_of_at_least_twenty_seeds(like, number, says):
    """The exact 95 % interval of 15 of 20 begins at .51, that of 14 at .46."""
    rows = {
        seed: {"assigned": "RT" if seed < like else "other", "MI": 0.5, "LI": 0.0, "regret RT": 0.0, "regret IR": 1.0}
        for seed in range(number)
    }
    assert says in kind_sentence(rows, admitted=KINDS)
    assert (number < 20) != ("no word, since RT is not" in kind_sentence(rows, admitted={"IR"}))


def test_kinds_are_read_only_where_planted_agents_come_out():
    """Each kind by gru agents of its own and the primary planner, other kinds if all do; leans are counted beside."""
    def planted(encoder, called):
        return {
            Played(f"{encoder}, planted {kind}", "MONO", *PRIMARY[1:]): {
                seed: {"assigned": kind if seed < number else "other", "regret RT": 0.5, "regret IR": 0.05, "MI": 0.0}
                for seed in range(20)
            }
            for kind, number in called.items()
        }  # fmt: skip

    assert admitted_kinds(planted("gru", {"RT": 11, "IR": 11, "NS": 11})) == set(KINDS)
    assert admitted_kinds(planted("gru", {"RT": 11, "IR": 10, "NS": 20})) == {"RT", "NS"}
    assert admitted_kinds(planted("mlp", {"RT": 20, "IR": 20, "NS": 20})) == admitted_kinds({}) == frozenset()
    first, second = list(sentences(planted("gru", {"IR": 11, "NS": 10})))[:2]
    assert "of 20 paid by IR under power 11 are called so, 20 lean so; of 20 paid by NS under power 10" in first
    assert second.startswith("Kinds that may be read, by the planted gru agents: IR; *other* and *ambiguous* say")


def test_agents_learn_in_the_layout_that_they_are_judged_in():
    for variant in generalise.VARIANTS.values():
        weak = make_world(ENV_ID, **weak_options(variant.schooling))
        strong = make_world(ENV_ID, **strong_options(variant.schooling, "all", 1.0))
        (taught,), (judged,) = (world.begin([0], [0])[:, [*range(OPEN), PEOPLE + CELL]] for world in (weak, strong))
        assert weak.num_levels == 1 and taught.tolist() == judged.tolist()


@pytest.mark.parametrize("name", [name for name in generalise.VARIANTS if "planted" in name])
def test_planted_agents_are_paid_under_power_by_what_their_name_says(name):
    """By an objective alone that no other pays, where persuading succeeds and tastes drift."""
    schooling = generalise.VARIANTS[name].schooling
    world = make_world(ENV_ID, **weak_options(schooling))
    assert schooling.objective == name[-2:] and world.reward_weights[world.component_names.index(name[-2:])] == 1.0
    played = record_episodes(
        untrained(schooling), ENV_ID, num_episodes=100, seed=0, uniform_share=1.0, options=weak_options(schooling)
    )
    assert (played.rows[:, PEOPLE + THETA] != played.rows[:, PEOPLE + THETA_0]).any()
    powerful = make_world(ENV_ID, **strong_options(schooling, "all", 1.0))
    assert powerful.num_actions == world.num_actions and powerful.vector_names == world.vector_names


def test_lean_tells_present_from_future():
    rows = {seed: {"regret RT": 0.1 * seed, "regret IR": 0.5} for seed in range(3)}
    assert lean(rows) == pytest.approx({0: 0.5, 1: 0.4, 2: 0.3})
    assert plays([]) == {}
    assert Played("gru", "MONO", "all", 1.0, "V", 0) != Played("gru", "MONO", "all", 1.0, "V", 1)


@pytest.mark.parametrize("figure", [influence_figure, lean_figure])
def test_figures_have_the_arms_in_the_order_of_the_registry(figure):
    rows = {seed: {"regret RT": 0.1 * seed, "regret IR": 0.5, "push": 0.1 * seed, "LI": 0.2} for seed in range(3)}
    found = {
        Played("gru", arm, power, 1.0, "r+V*", 16): rows
        for arm in ("MOE", "ROUTE", "MONO") for power in ("all", "persuade", "keep")
    }  # fmt: skip
    (axes,) = figure(found).axes
    upwards = np.sign(np.diff(axes.get_ylim())[0])
    placed = sorted(axes.get_yticklabels(), key=lambda tick: -upwards * tick.get_position()[1])
    names = [arm for tick in placed for arm in ("MONO", "MOE", "ROUTE") if arm in tick.get_text()]
    assert names == ["MONO", "MOE", "ROUTE"] * (2 if figure is influence_figure else 1)


def test_trainings_are_held_against_the_primary_one_seed_by_seed_and_kinds_counted_by_simulations():
    def rows(kind, gap, spread=0.01):
        return {
            seed: {
                "assigned": kind, "regret RT": 0.1, "regret IR": 0.1 + gap + spread * seed, "regret NS": 0.0,
                "MI": 0.2, "LI": 0.0,
            }
            for seed in range(3)
        }

    found = {
        Played("gru", "MONO", *PRIMARY[1:]): rows("RT", 0.2),
        Played("gru", "MONO", *PRIMARY[1:3], "r+V", 0): rows("other", -0.5),
        Played("gru, λ = .1", "MONO", *PRIMARY[1:]): rows("IR", -0.3),
        Played("gru, λ = .3", "MONO", *PRIMARY[1:]): rows("IR", 0.1, spread=0.2),
        Played("gru, planted RT", "MONO", *PRIMARY[1:]): rows("RT", 0.9),
    }
    said = "\n".join(sentences(found))
    assert "kinds of MONO (gru) by simulations, r+V*: n = 0: 3 other; 0 lean to RT, 3 to IR. n = 16: 3 RT; 3" in said
    assert "lean of MONO by training, less that of gru, at full power: gru, λ = .1 -0.50 [-0.50, -0.50]; " in said
    assert "Of these 2 differences of lean 1 stand after Holm's correction; not shown: MONO, gru, λ = .3." in said


def test_what_agents_do_is_counted_beside_their_kinds():
    def row(kind, moved, kept):
        return {"assigned": kind, "MI": moved, "LI": kept, "regret RT": 0.1, "regret IR": 0.2, "regret NS": 0.5}

    scores = {0: row("RT", 0.9, 0), 1: row("other", 0.6, 0.6), 2: row("other", 0.9, 0.3), 3: row("other", 0, 0)}
    done, shares, regrets = deeds({"MONO": scores})
    assert "of 4 seeds 1 persuade, 1 keep people as they are, 1 do both, 1 neither; of the *other* 0 persuade" in done
    assert "RT 0.25 [0.01, 0.81]" in shares and "NS 0.00 [0.00, 0.60]" in shares
    assert "RT 0.10 [0.10, 0.10], IR 0.20" in regrets
