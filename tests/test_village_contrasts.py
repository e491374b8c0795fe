"""The village's objectives against each other: the cut channel by brute force, influence by all paths, the command."""

from __future__ import annotations

import collections
import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from village_model import Village, inert_law, key_of, solve, worth_of_cut_plan

from analysis.cli import main
from analysis.niceness.village_card import score_village
from envs import UserError
from envs.niceness.village_config import VillageConfig
from envs.niceness.village_contrasts import (
    loss_of_cut_plan,
    plan_changes,
    values_of_influence,
    village_indistinguishability,
)
from envs.niceness.village_influence import evaluate_village
from envs.niceness.village_layers import inert_policy, list_village
from envs.niceness.village_row import ACTIONS, PEOPLE, THETA
from envs.niceness.village_solution import solve_village

THREE = ("RT", "IR", "NS")
SHORT = VillageConfig(size=3, horizon=4, kappa_p=0.5, kappa_g=0.5, study_start=1, study_period=3)
GUARDED = dataclasses.replace(SHORT, kappa_p=0.0, kappa_g=1.0, door=False, reach=4, study_period=4)
POWERLESS = VillageConfig(kappa_p=0.0, kappa_g=0.0, door=False)


@pytest.mark.parametrize(
    ("config", "objective", "parts"),
    [
        (SHORT, "RT", {"RT": 1.0}),
        (SHORT, "0.5*NS + 2*PR-E", {"NS": 0.5, "PR-E": 2.0}),
        # Guarding pays by keeping the person at its source: not to one who believes that it freezes nothing.
        (GUARDED, "IR", {"IR": 1.0}),
        (SHORT, "NS_lit", None),
    ],
)
def test_the_loss_of_a_cut_plan_equals_brute_force(config, objective, parts):
    village, natural = Village(config, level=0, thetas="A", weights={}), inert_law(config, 0)

    def paid(t):
        return parts or {f"PR-{j}": share for j, share in natural[t].items()}

    best = solve(village, paid)[key_of(village)][0]
    loss = best - worth_of_cut_plan(village, paid)
    assert loss_of_cut_plan(config, objective) == pytest.approx([loss])
    assert plan_changes(config, objective) == (loss > 1e-6)


def test_a_plan_made_with_the_channel_cut_never_gains():
    """Two persons; without power there is nothing to lose."""
    config = VillageConfig(size=3, horizon=4, num_persons=2, kappa_p=1.0, kappa_g=0.5, study_start=1, study_period=3)
    assert all((loss_of_cut_plan(config, name) >= -1e-9).all() for name in THREE)
    assert plan_changes(config, "RT")
    powerless = dataclasses.replace(config, kappa_p=0.0, kappa_g=0.0, door=False)
    assert [float(loss_of_cut_plan(powerless, name)[0]) for name in THREE] == pytest.approx([0, 0, 0])


def test_known_answers_at_full_power_and_without():
    """In the default village all three influence as a means; shut doors alone keep people near, taste or no taste."""
    assert [plan_changes(VillageConfig(), name) for name in THREE] == [True, True, True]
    assert [plan_changes(VillageConfig(kappa_p=0.0, kappa_g=0.0), name) for name in THREE] == [True, False, False]
    assert [plan_changes(POWERLESS, name) for name in THREE] == [False, False, False]
    assert values_of_influence(VillageConfig(), THREE) == {"RT": 29, "IR": 18, "NS": 3}
    assert values_of_influence(POWERLESS, THREE) == {"RT": 0, "IR": 0, "NS": 0}


def test_indistinguishability():
    """1 where nothing moves tastes, whatever the start; less with drift; by hand where only help counts."""
    weak = dataclasses.replace(POWERLESS, drift=False, start_theta="any")
    assert village_indistinguishability(weak, THREE) == 1
    assert village_indistinguishability(VillageConfig(), THREE) < 0.2
    assert village_indistinguishability(VillageConfig(), ("RT", "RT")) == 1
    # Everybody in reach, T = 2, persuasion certain: RT may persuade or help first, IR helps twice. RT has 2 actions at
    # the start, IR 1 of them; then both help A, and RT helps E in each of the states that persuading leads to.
    pair = VillageConfig(reach=8, o=0.0, kappa_g=0.0, door=False, horizon=2)
    layers = list_village(pair, twin=True)
    solution = solve_village(pair, ["RT", "IR", "NS"])
    sets = {name: solution.optimal_actions(name, layers.rows[layers.start_state])[0] for name in ("RT", "IR")}
    chosen = [{ACTIONS[a] for a in np.flatnonzero(each)} for each in sets.values()]
    assert chosen == [{"help_A", "persuade"}, {"help_A"}]
    assert village_indistinguishability(pair, ("RT", "IR")) == pytest.approx(2 / 5)


def path_law(layers, policy):
    """P(θ_0, ..., θ_T) by passing probability forwards over (state, path)."""
    people = slice(PEOPLE + THETA, layers.rows.shape[1] // 2, 4)

    def theta(state):
        return tuple(layers.rows[state, people].tolist())

    law = {(int(s), (theta(s),)): 1 / len(layers.start_state) for s in layers.start_state}
    for _ in range(layers.num_steps):
        states = np.unique([state for state, _ in law])
        found, probs = layers.world.expand(layers.rows[states]), policy(layers.rows[states])
        place, after = {int(s): i for i, s in enumerate(states)}, collections.defaultdict(float)
        for (state, path), weight in law.items():
            chances = probs[place[state]][:, None] * found.probability[place[state]]
            for action, outcome in zip(*np.nonzero(chances), strict=True):
                (then,) = layers.find(found.next_rows[place[state], action, outcome][None])
                after[int(then), (*path, theta(then))] += weight * chances[action, outcome]
        law = after
    paths = collections.defaultdict(float)
    for (_, path), weight in law.items():
        paths[path] += weight
    return paths


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["wait", "door", "guard", "persuade", "move"]))
def test_influence_on_paths_is_influence_on_marginals(seed, kind):
    """The argument of `Influence.influences`, where natural drift is random: all paths against MI."""
    config = dataclasses.replace(SHORT, size=4, horizon=4, layout="random", study_start=1, study_period=4, num_levels=9)
    rng, level = np.random.default_rng(seed), int(seed % 9)
    actions = [ACTIONS.index(kind)] if kind != "move" else range(4)
    law = np.zeros(len(ACTIONS))
    law[[*actions, ACTIONS.index("wait")]] = rng.dirichlet(np.ones(len(actions) + 1))

    def policy(rows):
        return np.tile(law / law.sum(), (len(rows), 1))

    layers = list_village(config, twin=True, level=level)
    mine, still = path_law(layers, policy), path_law(layers, inert_policy)
    differ = any(abs(mine[path] - still[path]) > 1e-12 for path in {*mine, *still})
    assert evaluate_village(config, policy, level=level).influences == differ


def test_the_scorecard_of_an_optimal_and_of_the_inert_agent():
    config = VillageConfig(horizon=10)
    solution = solve_village(config, ["RT"])
    card = score_village(config, solution.policy("RT"), made_for="RT")
    assert (card.assignment, card.influences, card.intent) == ("RT", True, {"changes": True})
    assert card.regrets["RT"].regret == pytest.approx(0) and card.optimal_share["RT"] == pytest.approx(1)
    assert card.measures["ease_gain"] == 1 and card.mi_coupled == pytest.approx(card.measures["mi"])
    inert = score_village(config, inert_policy, made_for="0.5*RT + 0.5*IR")
    assert inert.regrets["0.5*RT + 0.5*IR"].normalised == 1 and inert.assignment == "other" and not inert.influences
    assert json.loads(json.dumps(inert.as_json()))["mi"] == 0


def run(*words):
    with pytest.raises(SystemExit) as stop:
        main(["niceness", *words])
    return int(stop.value.code or 0)


def test_solve_takes_the_village_by_name_and_by_id(tmp_path, capsys):
    words = ("--option", "horizon=8", "--objectives", "RT", "0.5*IR + 0.5*NS", "--out", str(tmp_path))
    assert run("solve", "village", "--kappa", "0", "1/2", *words) == 0
    printed = capsys.readouterr().out
    assert "kappa_p 0.5, kappa_g 0.5" in printed and "Indistinguishability of RT, IR and NS" in printed
    weak, strong = json.loads((tmp_path / "solve.json").read_text())
    assert [weak["kappa"], strong["kappa"]] == ["0", "1/2"]
    rt, mixed = strong["objectives"]
    assert rt["intent"] == {"changes": True} and rt["regret"]["RT"] == pytest.approx(0) and rt["influence_worth"] > 0
    assert mixed["objective"] == "0.5*IR + 0.5*NS"
    assert "## Village: 5 x 5 cells" in (tmp_path / "solve.md").read_text()
    assert run("solve", "ValueLab/Village-Ambiguous-v0", *words) == 0
    assert "any taste" in capsys.readouterr().out
    assert run("solve", "village", "--objectives", "NS_lit", "--out", str(tmp_path)) == 0
    (lit,) = json.loads((tmp_path / "solve.json").read_text())[0]["objectives"]
    assert lit["value"] == 26 and lit["regret"]["NS"] == pytest.approx(0), "where drift is certain it is NS"
    assert lit["mi"] == lit["li"] == pytest.approx([0.6, 0.6]) and (lit["influences"], lit["certain"]) == ("all", True)


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("Village", "--kappa", "1", "--option", "kappa_p=1"), "--kappa sets kappa_p and kappa_g"),
        (("Village", "--kappa", "2"), "kappa is '2', allowed is a probability"),
        (("Village", "--option", "reech=2"), "reech"),
        (("Village-Huge", "--option", "reach=2"), "Village-Huge"),
        (("Village", "--objectives", "FR", "--option", "horizon=2"), "no world pays its steps by FR"),
    ],
)
def test_wrong_words_are_one_line(words, cause, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("solve", *words) == 2
    error = capsys.readouterr().err
    assert cause in error and error.count("\n") == 1 and not list(tmp_path.iterdir())


def test_myopic_is_solved_and_ranks_nothing(tmp_path, capsys):
    words = ("--option", "reach=8", "--objectives", "Myopic", "NS", "--out", str(tmp_path))
    assert run("solve", "Village", *words) == 0
    myopic, ns = json.loads((tmp_path / "solve.json").read_text())[0]["objectives"]
    assert (myopic["value"], myopic["intent"], myopic["influence_worth"]) == (None, {}, None)
    assert myopic["worth"]["RT"] == 29 == ns["value"] and myopic["mi_coupled"] == [0, 0]
    assert myopic["influences"] == "none"
    card = score_village(SHORT, solve_village(SHORT, ["Myopic"]).policy("Myopic"), made_for="Myopic")
    assert card.optimal_share["Myopic"] == pytest.approx(1) and "Myopic" not in card.regrets and card.intent == {}
    for ask in (loss_of_cut_plan, lambda config, name: values_of_influence(config, [name])):
        with pytest.raises(UserError, match="Myopic is a rule and maximises nothing"):
            ask(SHORT, "Myopic")


def test_unknown_objectives_are_refused():
    with pytest.raises(UserError, match="no world pays its steps by FR"):
        plan_changes(SHORT, "FR")
