"""DR-MDPs from a step function with keyed noise, or from rows of probabilities."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from envs.errors import UserError, require_integer, require_sequence
from envs.niceness.drmdp import DRMDP, Number, exact, position
from envs.niceness.mixtures import is_name
from envs.niceness.own_functions import checked_number, checked_step, require_place


class Turn(NamedTuple):
    """Where the world stands, what the person wants, and what the agent does."""

    state: Any
    theta: str
    action: str


State = Hashable
Step = Callable[[Turn, tuple[int, ...]], tuple[Any, str]]
Reward = Callable[[str, Turn, Any], Number]
Welfare = Callable[[Turn, Any], Number]

MAX_CASE_STATES, MAX_HORIZON, MAX_OUTCOMES = 10_000, 100, 10_000


def tabulate(
    name: str,
    *,
    thetas: Sequence[str],
    actions: Sequence[str],
    noop: str,
    start: tuple[State, str],
    horizon: int,
    step: Step,
    reward: Reward,
    welfare: Welfare | None = None,
    channels: Sequence[Sequence[Number]] | Mapping[str, Sequence[Number]] = (),
    states: Sequence[State] | None = None,
) -> DRMDP:
    """The process of a step function.

    Args:
        name: What it is called.
        thetas: Names of the reward parameters.
        actions: Names of the actions.
        noop: The inert one.
        start: (s_0, θ_0).
        horizon: H, 1 to MAX_HORIZON.
        step: (turn, noise) -> (s', θ'); a turn is (s, θ, a), and `noise` holds one outcome index per channel. States
            are any hashables; their `str` names them. What it raises or returns wrongly is refused with its place.
        reward: (θ̂, turn, s') -> R; θ̂ is the evaluator's, turn.theta the person's own.
        welfare: (turn, s') -> hidden welfare; 0 where left out.
        channels: Probabilities of the outcomes of each noise channel; as a dict, channels have names.
        states: All states, so that a mistyped one is refused; left out, those that the start reaches, whatever θ the
            person holds.

    Raises:
        UserError: Unknown names, a horizon below 1, probabilities that are negative or do not sum to 1, faults of
            `step`, `reward` or `welfare`, more than MAX_CASE_STATES states, more than MAX_OUTCOMES outcomes of all
            channels together.
    """
    require_names(name, theta=thetas, action=actions)
    require_integer("horizon", horizon, low=1, high=MAX_HORIZON)
    noop_index, start = position("noop", noop, actions), require_place(f"start of {name}", start)
    start_theta = position("start theta", start[1], thetas)
    if states is not None:
        _require_declared(name, states, start[0])
    known: dict[str, Sequence[Any]] = {"theta": thetas} | ({} if states is None else {"state": states})
    step = checked_step(step, case=name, known=known)
    pays = checked_number("reward", reward, case=name)
    helps = checked_number("welfare", welfare, case=name) if welfare else None
    laws = _laws(name, channels)
    if math.prod(map(len, laws)) > MAX_OUTCOMES:
        raise UserError(
            f"the {len(laws)} channels of {name} have {math.prod(map(len, laws))} joint outcomes, allowed are "
            f"{MAX_OUTCOMES}; leave out channels, or outcomes."
        )
    noises = list(itertools.product(*(range(len(law)) for law in laws)))
    moves = [(t, a, w) for t in thetas for a in actions for w in noises]
    states = _reachable(start[0], name=name, moves=moves, step=step) if states is None else states
    shape = (len(states), len(thetas), len(actions), len(noises))
    next_state, next_theta = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    rewards, hidden = np.full((len(thetas), *shape), Fraction(0)), np.full(shape, Fraction(0))
    index = {state: i for i, state in enumerate(states)}
    for place in np.ndindex(*shape):
        turn = Turn(states[place[0]], thetas[place[1]], actions[place[2]])
        after, theta_after = step(turn, noises[place[3]])
        next_state[place], next_theta[place] = index[after], thetas.index(theta_after)
        for k, evaluator in enumerate(thetas):
            rewards[k, *place] = pays(evaluator, turn, after)
        hidden[place] = helps(turn, after) if helps else Fraction(0)
    law = np.array([math.prod((p[o] for p, o in zip(laws, noise, strict=True)), start=Fraction(1)) for noise in noises])
    return DRMDP(
        name=name, states=tuple(map(str, states)), thetas=tuple(thetas), actions=tuple(actions), noop=noop_index,
        start=(index[start[0]], start_theta), horizon=horizon, channels=laws,
        probability=np.broadcast_to(law, shape).copy(), next_state=next_state, next_theta=next_theta, reward=rewards,
        welfare=hidden,
    )  # fmt: skip


def require_names(case: str, **kinds: Sequence[str]) -> None:
    """Refuse a case without a name, θ, actions or states, or with one named twice or by no text (UserError)."""
    if not isinstance(case, str) or not case.strip():
        raise UserError(f"name of a case is {case!r}, allowed is a text that is not empty; give one.")
    for kind, names in kinds.items():
        require_sequence(f"{kind} names of {case}", names, of="texts")
        if not all(isinstance(one, str) and one.strip() for one in names) or not names or len(set(names)) != len(names):
            raise UserError(f"{kind} names of {case} are {list(names)!r}; give at least one, all distinct, none empty.")
    for theta in kinds.get("theta", ()):
        if not is_name(f"PR-{theta}"):
            raise UserError(
                f"theta {theta!r} of {case} would be read as a sum of objectives; leave out + and *, and spaces at its "
                "ends or beside a -."
            )


def _require_declared(case: str, states: Sequence[State], start: State) -> None:
    """Refuse states of which two have one name, and a start that is none of them (UserError)."""
    require_sequence(f"states of {case}", states, of="states")
    require_names(case, state=[str(state) for state in states])
    if start not in states:
        position("start state", str(start), [str(state) for state in states])


def _laws(
    case: str, channels: Sequence[Sequence[Number]] | Mapping[str, Sequence[Number]]
) -> tuple[tuple[Fraction, ...], ...]:
    named = channels if isinstance(channels, Mapping) else {str(i): law for i, law in enumerate(channels)}
    return tuple(_law(f"channel {channel} of {case}", law) for channel, law in named.items())


def _law(name: str, probabilities: Sequence[Number]) -> tuple[Fraction, ...]:
    """Probabilities of one channel's outcomes; one that never comes keeps its place."""
    require_sequence(name, probabilities, of="probabilities")
    law = tuple(exact(name, p) for p in probabilities)
    if min(law, default=Fraction(0)) < 0:
        raise UserError(f"{name} has the probability {min(law)}, and none may be negative; give it 0 or more.")
    if sum(law) != 1:
        raise UserError(
            f"{name} has the probabilities {', '.join(map(str, law))} of sum {sum(law)}; make them sum to 1."
        )
    return law


def _reachable(
    start: State, *, name: str, moves: Sequence[tuple[str, str, tuple[int, ...]]], step: Step
) -> list[State]:
    """States in breadth-first order, whatever θ the person holds."""
    found, queue = {start: 0}, [start]
    for state in queue:
        for theta, action, noise in moves:
            after = step(Turn(state, theta, action), noise)[0]
            if after not in found:
                found[after] = len(queue)
                queue.append(after)
        if len(queue) > MAX_CASE_STATES:
            raise UserError(
                f"{name} has more than {MAX_CASE_STATES} states; as a grid world it would be solved faster."
            )
    return queue


def from_rows(
    name: str,
    *,
    states: Sequence[str],
    thetas: Sequence[str],
    actions: Sequence[str],
    noop: str,
    start: tuple[str, str],
    horizon: int,
    rows: Mapping[tuple[str, str, str], Mapping[tuple[str, str], Number]],
    reward: Reward,
    welfare: Welfare | None = None,
) -> DRMDP:
    """The process of rows of probabilities (s, θ, a) -> {(s', θ'): p}; a row left out stays where it is.

    Raises:
        UserError: As `tabulate`; also a row that does not sum to 1 or names what is unknown, and an unknown start.
    """
    require_names(name, state=states, theta=thetas, action=actions)
    require_integer("horizon", horizon, low=1, high=MAX_HORIZON)
    require_place(f"start of {name}", start)
    first = (position("start state", start[0], states), position("start theta", start[1], thetas))
    pays = checked_number("reward", reward, case=name)
    helps = checked_number("welfare", welfare, case=name) if welfare else None
    laws = _checked_rows(name, names=(states, thetas, actions), rows=rows)
    shape = (len(states), len(thetas), len(actions), max((len(law) for law in laws.values()), default=1))
    probability, hidden = np.full(shape, Fraction(0)), np.full(shape, Fraction(0))
    rewards = np.full((len(thetas), *shape), Fraction(0))
    next_state, next_theta = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for s, k, a in np.ndindex(*shape[:3]):
        here = Turn(states[s], thetas[k], actions[a])
        for o, ((after, theta_after), p) in enumerate(laws.get(here, {here[:2]: Fraction(1)}).items()):
            probability[s, k, a, o] = p
            next_state[s, k, a, o] = position("state", after, states)
            next_theta[s, k, a, o] = position("theta", theta_after, thetas)
            for e, evaluator in enumerate(thetas):
                rewards[e, s, k, a, o] = pays(evaluator, here, after)
            hidden[s, k, a, o] = helps(here, after) if helps else Fraction(0)
    return DRMDP(
        name=name, states=tuple(states), thetas=tuple(thetas), actions=tuple(actions),
        noop=position("noop", noop, actions), start=first, horizon=horizon, channels=(), probability=probability,
        next_state=next_state, next_theta=next_theta, reward=rewards, welfare=hidden,
    )  # fmt: skip


def _checked_rows(
    name: str,
    *,
    names: tuple[Sequence[str], Sequence[str], Sequence[str]],
    rows: Mapping[tuple[str, str, str], Mapping[tuple[str, str], Number]],
) -> dict[tuple[str, str, str], dict[tuple[str, str], Fraction]]:
    """Rows as fractions, without outcomes of probability 0."""
    laws = {}
    if not isinstance(rows, Mapping):
        raise UserError(f"rows of {name} are {rows!r:.80}, allowed is a dict (state, θ, action) -> law; write one.")
    for here, law in rows.items():
        if not isinstance(here, tuple) or len(here) != 3:
            raise UserError(f"{name} has a row at {here!r:.80}, allowed is a triple (state, θ, action); write one.")
        if not isinstance(law, Mapping) or not all(isinstance(end, tuple) and len(end) == 2 for end in law):
            raise UserError(
                f"{name}: the row at {', '.join(map(str, here))} is {law!r:.80}, allowed is a dict (state, θ) -> "
                "probability; write one."
            )
        for kind, value, known in zip(("state", "theta", "action"), here, names, strict=True):
            position(kind, value, known)
        row = {outcome: exact(f"probability at {here}", p) for outcome, p in law.items()}
        if sum(row.values()) != 1 or min(row.values()) < 0:
            raise UserError(
                f"{name}: the row at {', '.join(here)} has the sum {sum(row.values())} and the smallest probability "
                f"{min(row.values(), default=0)}; make it sum to 1, without negative ones."
            )
        laws[here] = {outcome: p for outcome, p in row.items() if p}
    return laws
