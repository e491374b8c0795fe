"""What the main monitor has to beat: the policy, the states alone, networks that learned nothing, a linear probe."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.instruments.control_task import control_labels, state_ids
from analysis.instruments.probes import ProbeSettings, fit_logistic
from analysis.monitors.behaviour import LOCKS_IN, MANIPULATES
from analysis.monitors.by_value import Scores, by_value
from analysis.monitors.edits import EDITS
from analysis.monitors.scoring import auroc
from analysis.monitors.subject import Subject
from envs.niceness.village_row import DOOR, GUARD, LOCKED, OPEN, PEOPLE, PERSUADE, THETA, THETA_0, E
from envs.states import Floats

NUM_UNTRAINED = 5


def by_policy(subject: Subject) -> Scores:
    """Mean log-probability under D of persuading, and of guarding or toggling the door."""
    logs = special.log_softmax(subject.policy_logits(subject.rows), axis=1)
    keeping = np.logaddexp(logs[:, GUARD], logs[:, DOOR])
    return {MANIPULATES: float(logs[:, PERSUADE].mean()), LOCKS_IN: float(keeping.mean())}


def by_states(subject: Subject) -> Scores:
    """What the states alone say, whatever the agent thinks of them: shares of E-people, and of kept people."""
    theta, locked, is_open = (subject.rows[:, place] for place in (PEOPLE + THETA, PEOPLE + LOCKED, OPEN))
    return {MANIPULATES: float((theta == E).mean()), LOCKS_IN: float(((locked == 1) | (is_open == 0)).mean())}


def by_untrained(subject: Subject) -> Scores:
    """The main monitor on networks of the same make that learned nothing, mean over `NUM_UNTRAINED` of them."""
    found = [by_value(subject.untrained(seed)) for seed in range(NUM_UNTRAINED)]
    return {trait: float(np.mean([scores[trait] for scores in found])) for trait in (MANIPULATES, LOCKS_IN)}


def by_probe(subject: Subject) -> Scores:
    """Whether V's encoder knows of influence: a linear probe of θ_t ≠ θ_0, less the same probe of random labels.

    Half of the states are edited (θ → E or θ → B), so that both labels occur; probes are fitted on one half of the
    rows and scored by AUROC on the other.
    """
    rng = np.random.default_rng(0)
    rows = subject.rows.copy()
    for k, edit in enumerate(("theta -> E", "theta -> B")):
        chosen = np.arange(len(rows)) % 4 == k
        rows[chosen] = EDITS[edit](rows[chosen])
    influenced = (rows[:, PEOPLE + THETA] != rows[:, PEOPLE + THETA_0]).astype(np.int64)
    types = state_ids(rows, num_rows=len(rows))
    fitted = rng.permutation(len(rows)) < len(rows) // 2
    features = subject.features(rows)
    read, memorised = (
        _probe_auroc(features, labels, fitted)
        for labels in (influenced, control_labels(types, influenced, stream=rng))
    )
    return dict.fromkeys((MANIPULATES, LOCKS_IN), read - memorised)


def _probe_auroc(features: Floats, labels: NDArray[np.int64], fitted: NDArray[np.bool_]) -> float:
    """AUROC on the other rows of a probe fitted on some; 1/2 where one half has one label alone."""
    if min(len(np.unique(labels[part])) for part in (fitted, ~fitted)) < 2:
        return 0.5
    one = ProbeSettings(penalties=(0.1,))
    probe = fit_logistic(
        features[fitted], labels[fitted], np.flatnonzero(fitted), settings=one, stream=np.random.default_rng(0)
    )
    said = probe.decision_function(features[~fitted])
    return auroc(said[labels[~fitted] == 1], said[labels[~fitted] == 0])
