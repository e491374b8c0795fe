"""T5, credit locality: when one context's outcomes are turned round, how much does V move in the others?

Shapes: n steps of context A, N states, E events, D inputs or features.

After training, V goes on learning from the recorded states of one context A alone, with its own values there times -1
as targets, until the error on A falls to 0.1 sd of the target or 5,000 steps are over (then the score is marked).
    I = RMS over states of other contexts of dV / RMS over states of A of dV,      score = 1 - min(I, 1),
dV being the change of V over the phase, on all states of some held-out levels. The centred I replaces both RMS by the
standard deviation over states, which a common shift of V does not move.

Targets are V's own values, not outcomes: with E frozen, a head cannot come within 0.1 sd of noisy outcomes or of V^pi
(its own error of fit is larger), so a rule on those would mark every arm.

Steps keep the proportions of the gradient (`agents.optimization.OneScaleAdam`). Adam itself, which version 1 used,
gives every weight a step of its own scale: parts that get a hundredth of the credit then move as far as the part that
gets the rest, and a tenth of a leak in POS's gate took all of its locality.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from agents.agent import AlphaAgent
from agents.dense_value import value_learner
from agents.inputs import Inputs
from agents.optimization import OneScaleAdam
from agents.seeding import torch_generator
from analysis.predictions.parts import Floats, Ints
from analysis.predictions.prediction import Prediction
from shards.controls import FlatCredit
from shards.registry import head_entry
from shards.value_head import ValueTargets

PREDICTION = Prediction(
    key="T5",
    question="Does learning in one context leave V alone in the others?",
    world="ValueLab/MultiNeed-v0",
    actor="none",
    metric="1 - min(I, 1), I = RMS dV in other contexts / RMS dV in the context turned round; E frozen, steps along "
    "the gradient itself (one scale for all weights)",
    margin=0.1,
    family="confirmatory",
    positive="POS: disjoint experts behind an oracle gate (holds by construction: calibration)",
    null="NEG-F: the same function, every unit serves all contexts alike; RAND: an untrained net in the same phase",
    rule="primary contrasts of arms, Holm: distinguishable if the adjusted interval excludes 0 and |mean| > margin; "
    "equivalent if the 90 % interval lies inside the margin; else inconclusive. Read only if POS - NEG-F has a lower "
    "90 % bound of at least 0.5, RAND - NEG-F lies within 0.1 and POS's means fall with the leak of its gate",
    does_not_show="that parts exist: a gate, or features that separate contexts, also keep credit local. With E frozen "
    "it says nothing of interference through the encoder; the free reading (1,000 steps) stands beside it. It says "
    "nothing of learners whose step for a weight does not shrink with its gradient, as Adam's does not: they may "
    "spread credit that is local",
    version=2,
)
MAX_STEPS, MAX_FREE_STEPS = 5000, 1000
TOLERANCE = 0.1
CHECK_EVERY = 25
LEARNING_RATE = 0.2
"""2-norm of a step at the start of the phase."""
HALVING = 1000


@dataclasses.dataclass(frozen=True)
class Phase:
    """What the phase learns from: inputs [n, I] of context A, contexts int64[n], event shares [n, E] or None."""

    inputs: Inputs
    contexts: Tensor
    shares: Tensor | None


def turn_round(
    agent: AlphaAgent, phase: Phase, *, free: bool, batch_size: int, seed: int, targets: Tensor | None = None
) -> tuple[AlphaAgent, dict[str, Any]]:
    """Train V of a copy on -V over the phase's inputs.

    Args:
        agent: V∘E after training; left as it is.
        phase: Recorded states of one context.
        free: Train E as well; otherwise its features are computed once.
        batch_size: States in a minibatch.
        seed: Of the minibatches.
        targets: float32[n] instead of -V, for a network that was never trained.

    Returns:
        The copy, and steps taken, RMS error on A in sd of the target, and whether it fell to 0.1.
    """
    agent = copy.deepcopy(agent)
    head, encoder = agent.value_head, agent.value_encoder.requires_grad_(free)
    _switch_off_penalty(agent)
    with torch.no_grad():
        features = encoder(phase.inputs)[0]
        told = _turned_round(agent, phase, features)
        told = told if targets is None else dataclasses.replace(told, total=targets)
    tolerance = TOLERANCE * float(told.total.std(unbiased=False))
    optimizer = OneScaleAdam([*head.parameters(), *(encoder.parameters() if free else ())], fused=True)
    learner = value_learner(head, encoder if free else None, phase.inputs)
    generator = torch_generator(seed, "comparison", "flip")
    checked = torch.randperm(len(told.total), generator=generator)[:2048].to(told.total.device)
    error, step = float("inf"), 0
    limit = MAX_FREE_STEPS if free else MAX_STEPS
    while step < limit and error > tolerance:
        for _ in range(CHECK_EVERY):
            batch = torch.randint(len(told.total), (batch_size,), generator=generator).to(told.total.device)
            shown = (phase.inputs if free else features).index_select(0, batch)
            learned = learner(shown, told.rows(batch), optimizer.parameters)
            optimizer.checked_loss(learned.loss, site="T5")
            optimizer.follow(learned.gradients, learning_rate=LEARNING_RATE / (1 + step / HALVING), site="T5")
            step += 1
        error = _error(agent, phase, features, index=checked, targets=told.total, free=free)
    optimizer.release()
    return agent, {"steps": step, "error": error / tolerance * TOLERANCE, "reached": error <= tolerance}


def _switch_off_penalty(agent: AlphaAgent) -> None:
    """NEG-F's penalty compares contexts, and the phase holds one."""
    head = agent.value_head
    if isinstance(head.credit_rule, FlatCredit):
        head.credit_rule = dataclasses.replace(head.credit_rule, penalty_weight=0.0)


def gradient_cosine(agent: AlphaAgent, phase: Phase, others: Sequence[Phase]) -> float:
    """Mean over other contexts B of cos(g_A, g_B), g_c the gradient of the phase's loss in c, on V's head alone.

    It is read before the phase: what its first step on A would do to B. After Bengio et al. (2020, arXiv 2003.06350),
    who take it between single samples.

    Args:
        agent: V∘E after training; left as it is.
        phase: Recorded states of the context that is turned round.
        others: Recorded states of each other context.

    Returns:
        A number in [-1, 1]; 0 for disjoint parts.
    """
    agent = copy.deepcopy(agent)
    _switch_off_penalty(agent)
    own = _gradient(agent, phase)
    pairs = [functional.cosine_similarity(own, _gradient(agent, other), dim=0, eps=1e-30) for other in others]
    return float(torch.stack(pairs).mean())


def _gradient(agent: AlphaAgent, phase: Phase) -> Tensor:
    """Gradient of the turned loss on V's head, float64[P]."""
    with torch.no_grad():
        features = agent.value_encoder(phase.inputs)[0]
        told = _turned_round(agent, phase, features)
    loss = agent.value_head.credit(agent.value_head(features, told.context), told)
    parameters = [parameter for parameter in agent.value_head.parameters() if parameter.requires_grad]
    grads = torch.autograd.grad(loss, parameters, allow_unused=True)
    return torch.cat([
        (torch.zeros_like(p) if grad is None else grad).reshape(-1).double()
        for p, grad in zip(parameters, grads, strict=True)
    ])  # fmt: skip


def retention(before: Floats, after: Floats, other: NDArray[np.bool_]) -> float:
    """How much of V is left where nothing was learned: max(0, 1 - MSE(after, before) / Var(before)) over `other`.

    Args:
        before: V before the phase, float[N].
        after: V after it, float[N].
        other: bool[N], states of the contexts that were not trained.

    Returns:
        1 where V stayed as it was, 0 where it is no better than its mean; 1 as well where V never varied and stayed.
    """
    lost = float(((after - before)[other] ** 2).mean())
    return max(0.0, 1.0 - lost / max(float(before[other].var()), np.finfo(float).tiny))


def interference(before: Floats, after: Floats, other: NDArray[np.bool_]) -> tuple[float, float]:
    """I and the centred I.

    Args:
        before: V before the phase, float[N].
        after: V after it, float[N].
        other: bool[N], states of the contexts that were not trained; both kinds must be present.

    Returns:
        RMS and standard-deviation ratios of the change, other over trained.

    Raises:
        ValueError: One kind of state is missing, or V did not change where it was trained.
    """
    change = after - before
    if not other.any() or other.all():
        raise ValueError(f"{int(other.sum())} of {len(other)} states are of other contexts; both kinds are needed.")
    trained = float(np.sqrt((change[~other] ** 2).mean()))
    if trained == 0.0:
        raise ValueError("V did not change in the context that was trained; the phase took no effect.")
    centred = float(change[other].std() / max(change[~other].std(), np.finfo(float).tiny))
    return float(np.sqrt((change[other] ** 2).mean())) / trained, centred


def score_of(ratio: float) -> float:
    """1 - min(I, 1), 0..1."""
    return 1.0 - min(ratio, 1.0)


def _turned_round(agent: AlphaAgent, phase: Phase, features: Tensor) -> ValueTargets:
    """V x -1, and what the head asks beside: each part's value x -1 for its component, all samples for all parts."""
    estimate, needs = agent.value_head(features, phase.contexts), head_entry(agent.config.head).needs
    beside = {
        "components": -estimate.part_values, "event_share": phase.shares,
        "bootstrap_mask": torch.ones_like(estimate.part_values, dtype=torch.bool),
    }  # fmt: skip
    asked = {name: given for name, given in beside.items() if name in needs}
    return ValueTargets(total=-estimate.value, context=phase.contexts, **asked)


@torch.no_grad()
def _error(agent: AlphaAgent, phase: Phase, features: Tensor, *, index: Tensor, targets: Tensor, free: bool) -> float:
    shown = agent.value_encoder(phase.inputs.index_select(0, index))[0] if free else features.index_select(0, index)
    values = agent.value_head(shown, phase.contexts[index]).value
    return float((values - targets[index]).square().mean().sqrt())


def indices_of(contexts: Ints, flipped: int, *, limit: int, rng: np.random.Generator) -> Ints:
    """At most `limit` steps of context A, without replacement."""
    steps = np.flatnonzero(contexts == flipped)
    return steps if len(steps) <= limit else rng.choice(steps, size=limit, replace=False)
