"""The states on which a trained agent is probed, and what its layers hold there.

Shapes: n rows, E episodes, T time, D features, U units, P planes, H rows and W columns of the grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from agents.agent import AlphaAgent, build_agent
from agents.seeding import numpy_generator
from analysis.instruments.control_task import state_ids
from envs.episodes import Episodes, episode_of_step
from envs.rows import World
from envs.tabular import TabularMDP
from shards.value_head import ValueEstimate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ProbedStates:
    """States in order of time within groups, with their labels.

    Attributes:
        source: How they came about, in words.
        observations: Arrays [n, ...] by part.
        starts: bool[n], the first state of an episode; memory is zeroed there.
        contexts: int64[n], -1 where there is none.
        groups: int64[n], the unit that is held out.
        group_name: "episode" or "level".
        states: int64[n], state ids.
        control_types: int64[n], what carries a control label.
    """

    source: str
    observations: dict[str, NDArray[Any]]
    starts: NDArray[np.bool_]
    contexts: Ints
    groups: Ints
    group_name: str
    states: Ints
    control_types: Ints


def visited_states(episodes: Episodes, agent: AlphaAgent, *, world: World | None) -> ProbedStates:
    """The states that D visited, held out by episode, each as often as it was visited."""
    starts = np.zeros(episodes.num_steps, dtype=np.bool_)
    starts[episodes.offsets[:-1]] = True
    with torch.no_grad():
        seen = episodes.rows if episodes.rows is not None else agent.encode(episodes.observations).matrix.cpu().numpy()
    ids = state_ids(seen, num_rows=episodes.num_steps)
    return ProbedStates(
        source=f"visited by D on {episodes.num_episodes} held-out episodes",
        observations=episodes.observations,
        starts=starts,
        contexts=episodes.contexts,
        groups=episode_of_step(episodes),
        group_name="episode",
        states=ids,
        control_types=_control_types(episodes.observations, episodes.contexts, ids, world=world),
    )


def reachable_states(mdp: TabularMDP, world: World, *, num_rows: int, seed: int) -> ProbedStates:
    """A uniform sample without repetition of all enumerated states, held out by level."""
    chosen = np.sort(numpy_generator(seed, "probe", "reachable").permutation(mdp.num_states)[:num_rows])
    rows = mdp.rows[chosen]
    observations, contexts = world.observe(rows), world.context_of(rows)
    ids = state_ids(rows, num_rows=len(rows))
    return ProbedStates(
        source="drawn uniformly from all states of held-out levels",
        observations=observations,
        starts=np.ones(len(rows), dtype=np.bool_),
        contexts=contexts,
        groups=levels_of_states(mdp, num_starts=world.num_starts)[chosen],
        group_name="level",
        states=ids,
        control_types=_control_types(observations, contexts, ids, world=world),
    )


def levels_of_states(mdp: TabularMDP, *, num_starts: int) -> Ints:
    """Numbers the levels of an enumerated world and says which one each state belongs to, as int64[S].

    States belong together if one can lead to the other or if they are starts of one level; levels that share a state
    count as one.
    """
    num_states = mdp.num_states
    source = np.broadcast_to(np.arange(num_states)[:, None, None], mdp.next_state.shape)
    leads = mdp.next_state >= 0
    first = np.repeat(mdp.start_state[::num_starts], num_starts)
    edges = (np.concatenate([source[leads], first]), np.concatenate([mdp.next_state[leads], mdp.start_state]))
    graph = coo_array((np.ones(len(edges[0]), dtype=np.int8), edges), shape=(num_states, num_states))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def untrained_twin(agent: AlphaAgent) -> AlphaAgent:
    """This agent as it was before training: the same initial weights behind the same encoding and centre."""
    twin = build_agent(agent.spec, agent.num_actions, agent.config, seed=agent.seed)
    twin.observation_encoder.load_state_dict(agent.observation_encoder.state_dict())
    return twin.to(agent.device).eval()


@torch.no_grad()
def layer_features(agent: AlphaAgent, states: ProbedStates) -> dict[str, Floats]:
    """What each layer holds, float64[n, D or U] by name; V's hidden layer as its units' contributions to V.

    A contribution is output weight x activation x weight of the part. For one part it is the activation up to scale,
    which standardisation removes; where a gate weighs the parts, what the gate says is in it too.
    """
    starts = torch.from_numpy(states.starts)[:, None].to(agent.device)
    of_policy = agent.unroll_policy(agent.encode(states.observations)[:, None], None, starts).features[:, 0]
    of_value, estimate = _unrolled_value(agent, states)
    layers = {"E of D": of_policy, "E of V": of_value, "V's hidden layer": estimate.unit_contributions}
    if torch.equal(of_policy, of_value):
        layers = {"E of D and V": of_value, "V's hidden layer": estimate.unit_contributions}
    return {name: layer.double().cpu().numpy() for name, layer in layers.items()}


@torch.no_grad()
def values_along(agent: AlphaAgent, states: ProbedStates) -> Floats:
    """V of states in order of time, with the memory that the agent had there, float64[n]."""
    return np.asarray(_unrolled_value(agent, states)[1].value.double().cpu().numpy())


def _unrolled_value(agent: AlphaAgent, states: ProbedStates) -> tuple[Tensor, ValueEstimate]:
    """Features [n, D] that V reads, and its estimate."""
    starts = torch.from_numpy(states.starts)[:, None].to(agent.device)
    features = agent.unroll_features_of_value(agent.encode(states.observations)[:, None], None, starts)[0][:, 0]
    contexts = torch.from_numpy(states.contexts).to(agent.device) if agent.value_head.needs_context else None
    return features, agent.value_head(features, contexts)


@torch.no_grad()
def raw_features(agent: AlphaAgent, states: ProbedStates) -> Floats:
    """The canonical matrix that both encoders read, float64[n, inputs]."""
    return np.asarray(agent.encode(states.observations).matrix.double().cpu().numpy())


def _control_types(observations: dict[str, NDArray[Any]], contexts: Ints, ids: Ints, *, world: World | None) -> Ints:
    """Agent cell and context where a world draws the agent in a plane, else the state.

    States seldom recur over episodes of different levels, and labels of states that do not recur cannot be memorised.
    """
    if world is None or "agent" not in world.plane_names:
        return ids
    plane = observations["planes"][:, world.plane_names.index("agent")]
    cell = plane.reshape(len(plane), -1).argmax(axis=1)
    return np.asarray(cell * (len(world.context_names) + 1) + contexts + 1, dtype=np.int64)
