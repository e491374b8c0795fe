"""Probes held out by episode, level and state; ridge probes; intervals over seeds."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.instruments.probe_splits import probe_by_split, probes_over_seeds
from analysis.instruments.probes import ProbeSettings, linear_probe
from analysis.instruments.ridge_probe import ridge_probe
from analysis.statistics import t_interval
from envs.errors import UserError

QUICK = ProbeSettings(num_folds=3, penalties=(0.1,), num_resamples=200)
NUM_LEVELS, STATES_A_LEVEL, NUM_EPISODES, LENGTH = 30, 4, 200, 10


def visits(seed: int) -> dict[str, np.ndarray]:
    """200 episodes of 10 steps, each on one of 30 levels of 4 states."""
    rng = np.random.default_rng(seed)
    episode = np.repeat(np.arange(NUM_EPISODES), LENGTH)
    level = rng.integers(NUM_LEVELS, size=NUM_EPISODES)[episode]
    state = level * STATES_A_LEVEL + rng.integers(STATES_A_LEVEL, size=len(episode))
    return {"episode": episode, "level": level, "state": state}


def accuracies(label_of_state: np.ndarray, features_of_state: np.ndarray) -> dict[str, float]:
    groups = visits(0)
    features, labels = features_of_state[groups["state"]], label_of_state[groups["state"]]
    loose = ProbeSettings(num_folds=3, penalties=(10.0,), num_resamples=200, states_per_dimension=0.0)
    found = probe_by_split(features, labels, groups, seed=0, states=groups["state"], settings=loose)
    assert [one.refusal for one in found] == [""] * 3
    return {one.split: one.result.accuracy for one in found}


def test_what_is_held_out_says_what_was_read() -> None:
    """A concept is read under all splits, a level's own label until levels are held out, a state's until states are."""
    rng = np.random.default_rng(2)
    num_states = NUM_LEVELS * STATES_A_LEVEL
    level_of_state = np.arange(num_states) // STATES_A_LEVEL
    balanced = np.arange(NUM_LEVELS) % 2
    concept = rng.permutation(np.arange(num_states) % 2)
    read = accuracies(concept, np.stack([2.0 * concept - 1, rng.normal(size=num_states)], axis=1))
    by_level = accuracies(balanced[level_of_state], np.eye(NUM_LEVELS)[level_of_state])
    by_state = accuracies(concept, np.eye(num_states))
    assert min(read.values()) > 0.95
    assert min(by_level["episode"], by_level["state"]) > 0.95
    assert abs(by_level["level"] - 0.5) < 0.3
    assert by_state["episode"] > 0.95
    assert max(abs(by_state[split] - 0.5) for split in ("state", "level")) < 0.15


def test_states_held_out_leave_a_control_of_states_unlearnt_and_say_so() -> None:
    groups = visits(3)
    features = np.random.default_rng(4).normal(size=(len(groups["state"]), 3))
    labels = (features[:, 0] > 0).astype(int)
    episode, level, state = probe_by_split(features, labels, groups, seed=0, states=groups["state"], settings=QUICK)
    assert episode.result.control_coverage > 0.95
    assert state.result.control_coverage == 0.0
    assert any("could not be memorised" in flag for flag in state.result.flags)
    assert level.result.num_groups == NUM_LEVELS


def test_a_refused_split_is_named_and_the_others_stand() -> None:
    groups = visits(5) | {"half": np.repeat([0, 1], 1000)}
    features = np.random.default_rng(6).normal(size=(2000, 2))
    labels = np.arange(2000) % 2
    found = {
        one.split: one
        for one in probe_by_split(features, labels, groups, seed=0, states=groups["state"], settings=QUICK)
    }
    assert found["half"].result is None
    assert "3 folds over 2 groups" in found["half"].refusal
    assert found["episode"].result is not None
    with pytest.raises(UserError, match="no split was given"):
        probe_by_split(features, labels, {}, seed=0, states=groups["state"])


def test_intervals_over_seeds_are_students_over_networks() -> None:
    def network(seed: int) -> object:
        rng = np.random.default_rng(seed)
        labels = rng.integers(2, size=600)
        features = rng.normal(size=(600, 3))
        features[:, 0] += 0.6 * (2 * labels - 1) * (1 + 0.2 * rng.normal())
        return linear_probe(features, labels, np.repeat(np.arange(60), 10), seed=seed, settings=QUICK)

    results = {seed: network(seed) for seed in range(6)}
    found = probes_over_seeds(results)
    assert found.num_seeds == 6
    for name in ("accuracy", "auroc", "selectivity", "control_accuracy"):
        scores = [[getattr(result, name)] for result in results.values()]
        assert getattr(found, name) == t_interval(scores)
    assert 0.6 < found.accuracy.low < found.accuracy.estimate < found.accuracy.high < 0.9
    assert found.auroc.low > 0.6
    assert probes_over_seeds({0: results[0]}).accuracy is None
    with pytest.raises(UserError, match="no classes were given for 0 seeds"):
        probes_over_seeds({})


# --- ridge ------------------------------------------------------------------------------------------------------------


def test_ridge_explains_the_planted_share_and_no_noise() -> None:
    """y = h_1 + noise of variance s^2 has explained variance 1 / (1 + s^2)."""
    rng = np.random.default_rng(7)
    features, groups = rng.normal(size=(6000, 6)), np.repeat(np.arange(600), 10)
    planted = {}
    for spread in (0.0, 1.0, 2.0):
        targets = features[:, 0] + spread * rng.normal(size=6000)
        planted[spread] = ridge_probe(features, targets, groups, seed=0, settings=QUICK)
        assert planted[spread].explained == pytest.approx(1 / (1 + spread**2), abs=0.03)
        assert planted[spread].interval[0] <= planted[spread].explained <= planted[spread].interval[1]
    noise = ridge_probe(features, rng.normal(size=6000), groups, seed=0, settings=QUICK)
    assert noise.explained == pytest.approx(0.0, abs=0.01)
    assert noise.interval[0] < 0 < noise.interval[1] + 0.005
    assert planted[2.0].explained > noise.explained + 0.1
    assert planted[1.0].selectivity == pytest.approx(0.5, abs=0.03)


def test_ridge_of_states_by_name_has_no_selectivity_and_does_not_reach_new_states() -> None:
    groups = visits(8)
    rng = np.random.default_rng(9)
    codes, values = np.eye(NUM_LEVELS * STATES_A_LEVEL)[groups["state"]], rng.normal(size=120)[groups["state"]]
    loose = ProbeSettings(num_folds=3, num_resamples=200, states_per_dimension=0.0)
    known, new = (
        ridge_probe(codes, values, groups[split], seed=0, states=groups["state"], settings=loose)
        for split in ("episode", "state")
    )
    assert known.explained > 0.9
    assert known.selectivity < 0.05
    assert new.explained < 0.05


def test_ridge_reads_chance_where_labels_belong_to_episodes() -> None:
    rng = np.random.default_rng(10)
    groups = np.repeat(np.arange(100), 20)
    features = rng.normal(size=(100, 16))[groups] + 0.3 * rng.normal(size=(2000, 16))
    targets = rng.normal(size=100)[groups]
    steps, whole = (
        ridge_probe(features, targets, units, seed=0, settings=QUICK) for units in (np.arange(2000), groups)
    )
    assert whole.explained < 0.05 < steps.explained


REFUSALS = {
    "target lengths": ({"targets": np.zeros(199)}, r"targets have shape \(199,\)"),
    "constant target": ({"targets": np.ones(200)}, "1 distinct"),
    "nan target": ({"targets": np.full(200, np.nan)}, "200 of them not finite"),
    "nan feature": ({"features": np.full((200, 2), np.nan)}, "400 values that are not finite"),
    "constant feature": ({"features": np.ones((200, 2))}, "2 of 2 features are constant"),
    "groups": ({"groups": np.repeat(np.arange(2), 100)}, "3 folds over 2 groups"),
    "few states": ({"states": np.arange(200) % 5}, "at least 12 distinct states"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_ridge_refuses_what_would_mean_nothing(name: str) -> None:
    rng = np.random.default_rng(11)
    arguments = {"features": rng.normal(size=(200, 2)), "targets": rng.normal(size=200)}
    changed, message = REFUSALS[name]
    with pytest.raises(UserError, match=message):
        ridge_probe(**(arguments | {"groups": np.repeat(np.arange(20), 10)} | changed), seed=0, settings=QUICK)


def test_ridge_of_the_same_seed_is_the_same() -> None:
    rng = np.random.default_rng(12)
    features = rng.normal(size=(300, 2))
    arguments = (features, features[:, 0] + rng.normal(size=300), np.repeat(np.arange(30), 10))
    first, again, other = (ridge_probe(*arguments, seed=s, settings=QUICK) for s in (1, 1, 2))
    assert first == again
    assert first.control_explained != other.control_explained
