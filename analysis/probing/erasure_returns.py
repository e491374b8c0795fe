"""What an agent earns once a subspace of its activations is erased, computed exactly on held-out levels.

Two actors, each with its own site: D, taking its most probable action, with D's last layer erased; and V1, which takes
argmax_a E[r + γ V(s')], with the interface between E and V erased.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.exact import policy_table, value_table
from agents.seeding import numpy_generator
from analysis.instruments.activations import Edit, edited
from analysis.instruments.erasers import AffineEraser, change_size, random_subspace, scaled_to
from analysis.probing.activity import INTERFACE, POLICY_INTERFACE
from analysis.probing.erasure_sites import SiteErasure
from analysis.probing.material import Material
from analysis.probing.tables import Exact
from envs.tabular import expected_reward, policy_evaluation, start_value

NUM_RANDOM = 3


@dataclass(frozen=True)
class ErasedReturn:
    """One actor's discounted return per episode on the levels solved.

    Attributes:
        actor: "D, greedy" or "V1".
        site: Where it was erased.
        whole: With nothing erased.
        erased: With LEACE.
        random: Mean over random subspaces of the same rank and ‖Δh‖.
        optimal: Of V*.
    """

    actor: str
    site: str
    whole: float
    erased: float
    random: float
    optimal: float


def erased_returns(material: Material, sites: tuple[SiteErasure, ...], *, seed: int) -> tuple[ErasedReturn, ...]:
    """Returns under LEACE as fitted on half of the levels solved; none without exact values or with memory."""
    if material.exact is None or material.reachable is None:
        return ()
    source = material.reachable.states.source
    found = []
    for actor, site in (("V1", INTERFACE), ("D, greedy", POLICY_INTERFACE)):
        chosen = [
            one for one in sites if (one.site, one.network, one.source) == (site, "trained", source) and one.report
        ]
        if chosen:
            found.append(_returns(material, material.exact, chosen[0], actor=actor, seed=seed))
    return tuple(found)


def _returns(material: Material, exact: Exact, erased: SiteErasure, *, actor: str, seed: int) -> ErasedReturn:
    """One actor with nothing, LEACE and random subspaces erased."""
    eraser, data = erased.erasers["LEACE"], erased.data
    assert isinstance(eraser, AffineEraser) and data is not None
    rows, stream = data.part(data.test)[0], numpy_generator(seed, "erasure", "returns", actor)
    rivals = [
        scaled_to(
            random_subspace(rows, max(1, eraser.num_dimensions), stream=stream),
            rows,
            size=change_size(rows, eraser(rows)),
        )
        for _ in range(NUM_RANDOM)
    ]

    def earned(given: AffineEraser | None) -> float:
        edits: AbstractContextManager[None] = (
            nullcontext() if given is None else edited(material.agent, {erased.site: as_edit(given)})
        )
        with edits:
            probs = _greedy_d(material, exact) if actor == "D, greedy" else _v1(material, exact)
        return start_value(exact.mdp, policy_evaluation(exact.mdp, probs, horizon=exact.world.time_limit))

    return ErasedReturn(
        actor=actor,
        site=erased.site,
        whole=earned(None),
        erased=earned(eraser),
        random=float(np.mean([earned(rival) for rival in rivals])),
        optimal=start_value(exact.mdp, exact.optimal),
    )


def _greedy_d(material: Material, exact: Exact) -> NDArray[np.float64]:
    return policy_table(material.agent, exact.world, exact.mdp.rows, greedy=True)


def _v1(material: Material, exact: Exact) -> NDArray[np.float64]:
    """One step of lookahead with V, ties to the first action."""
    mdp, values = exact.mdp, value_table(material.agent, exact.world, exact.mdp.rows)
    following = (mdp.probability * np.append(values, 0.0)[mdp.next_state]).sum(axis=2)
    actions = (expected_reward(mdp) + mdp.discount * following).argmax(axis=1)
    return np.asarray(np.eye(mdp.num_actions)[actions])


def as_edit(eraser: AffineEraser) -> Edit:
    """An eraser as an edit of a running network (`analysis.instruments.activations.edited`)."""
    centre, read, write = (torch.from_numpy(part) for part in (eraser.centre, eraser.read, eraser.write))

    def edit(before: Tensor) -> Tensor:
        rows = before.flatten(1).double()
        erased = rows - ((rows - centre.to(rows)) @ read.to(rows).T) @ write.to(rows)
        return erased.to(before).reshape(before.shape)

    return edit
