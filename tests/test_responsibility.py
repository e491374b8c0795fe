"""The log of reinforcement events: its formula against loops, known answers of the arms, and that it only listens."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import responsibility
from agents.agent import AlphaAgent, build_agent
from agents.config import AgentConfig, ValueConfig
from agents.recorder import record_episodes
from agents.responsibility import (
    EventLog,
    ReceivedCredit,
    event_log,
    load_event_log,
    responsibility_matrix,
    save_event_log,
)
from agents.training_state import StageKeeper, State
from agents.values import fit_values
from envs.archives import zipped
from envs.episodes import Episodes
from envs.errors import UserError
from envs.registry import make_world
from envs.storage import write_bytes
from envs.tabular import enumerate_world
from envs.vector import observation_space

OPTIONS = {"size": 4, "num_objects": 2, "num_levels": 8}
WORLD = make_world("MultiNeed", **OPTIONS)
SHORT = ValueConfig(num_updates=60, batch_size=64)


def make_agent(head: str) -> AlphaAgent:
    config = AgentConfig(
        head=head, encoder_sizes=(32, 16), hidden_size=64, num_contexts=2, num_events=2, component_weights=(1.0, 1.0)
    )
    rows = enumerate_world(WORLD, WORLD.levels("train")).rows
    return build_agent(observation_space(WORLD), 4, config, seed=0, sample=WORLD.observe(rows))


@pytest.fixture(scope="module")
def episodes() -> Episodes:
    return record_episodes(
        make_agent("MONO"), "ValueLab/MultiNeed-v0", num_episodes=300, seed=1, options=OPTIONS, uniform_share=0.5
    )


def made_up(lengths: list[int], rewards: list[float], events: list[int]) -> Episodes:
    num_steps, num_episodes = sum(lengths), len(lengths)
    return Episodes(
        observations={"x": np.zeros((num_steps, 1))}, final_observations={"x": np.zeros((num_episodes, 1))},
        actions=np.zeros(num_steps, np.int64), rewards=np.array(rewards), events=np.array(events),
        contexts=np.full(num_steps, -1), terminated=np.ones(num_episodes, bool),
        truncated=np.zeros(num_episodes, bool), offsets=np.concatenate([[0], np.cumsum(lengths)]),
        levels=np.zeros(num_episodes, np.int64), discount=0.9, env_id="X-v0",
    )  # fmt: skip


def literal(episodes: Episodes, received: np.ndarray, decay: float) -> np.ndarray:
    """The definition with loops."""
    rows = []
    for first, end in zip(episodes.offsets[:-1], episodes.offsets[1:], strict=True):
        paid = [j for j in range(first, end) if episodes.events[j] >= 0]
        for i in paid:
            given = np.zeros(received.shape[1])
            for t in range(first, i + 1):
                followed = sum(decay ** (j - t) * abs(episodes.rewards[j]) for j in paid if j >= t)
                if followed > 0:
                    given += decay ** (i - t) * abs(episodes.rewards[i]) / followed * received[t]
            rows.append(given / given.sum() if given.sum() > 0 else np.full(len(given), np.nan))
    return np.array(rows).reshape(-1, received.shape[1])


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4), decay=st.sampled_from([0.0, 0.5, 0.95, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_responsibility_against_loops(lengths: list[int], decay: float, seed: int) -> None:
    rng, num_steps = np.random.default_rng(seed), sum(lengths)
    episodes = made_up(
        lengths, rng.choice([0.0, 1.0, -0.5], size=num_steps).tolist(), rng.integers(-1, 3, num_steps).tolist()
    )
    received = rng.random((num_steps, 3)) * (rng.random((num_steps, 3)) < 0.6)
    log = event_log(episodes, received, decay=decay)
    np.testing.assert_allclose(log.responsibility, literal(episodes, received, decay), atol=1e-12)
    known = ~np.isnan(log.responsibility).any(axis=1)
    np.testing.assert_allclose(log.responsibility[known].sum(axis=1), 1.0)


def test_by_hand() -> None:
    """Two events share what is given before both; γλ = ½."""
    episodes = made_up([3, 1], [0.0, 1.0, 2.0, 1.0], [-1, 0, 1, 1])
    received = np.array([[3.0, 0.0], [0.0, 2.0], [1.0, 1.0], [0.0, 0.0]])
    log = event_log(episodes, received, decay=0.5)
    assert log.episode.tolist() == [0, 0, 1]
    assert log.step.tolist() == [1, 2, 0]
    assert log.event.tolist() == [0, 1, 1]
    assert log.reward.tolist() == [1.0, 2.0, 1.0]
    # Before step 0 follow ½·1 and ¼·2: halves; at step 1 follow 1 and ½·2: halves; step 2 is the second event's alone.
    np.testing.assert_allclose(log.responsibility[0], [1.5 / 2.5, 1.0 / 2.5])
    np.testing.assert_allclose(log.responsibility[1], [2.5 / 4.5, 2.0 / 4.5])
    assert np.isnan(log.responsibility[2]).all()
    matrix = responsibility_matrix(log, 3)
    np.testing.assert_allclose(matrix[:, :2], log.responsibility[:2].T)
    assert np.isnan(matrix[:, 2]).all()


def trained(head: str, episodes: Episodes, config: ValueConfig = SHORT) -> tuple[AlphaAgent, np.ndarray]:
    received = ReceivedCredit()
    agent, _ = fit_values(make_agent(head), episodes, config, seed=0, received=received)
    return agent, received.by_step.numpy()


@pytest.mark.parametrize("head", ["MONO", "MONO-ROUTE", "MOE", "ROUTE", "HRA", "POS", "NEG-F", "NEG-2", "ADD"])
def test_listening_changes_no_bit(head: str, episodes: Episodes) -> None:
    agent, received = trained(head, episodes)
    alone, _ = fit_values(make_agent(head), episodes, SHORT, seed=0)
    assert all(torch.equal(a, b) for a, b in zip(agent.parameters(), alone.parameters(), strict=True))
    assert received.shape == (episodes.num_steps, agent.value_head.num_parts)
    assert (received >= 0).all() and received.any(axis=0).all()


def test_how_many_updates_are_added_at_once_changes_no_bit(episodes: Episodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 60 updates: all at the end, one by one, and seven at a time with four left over."""
    _, at_the_end = trained("MOE", episodes)
    for at_once in (1, 7):
        monkeypatch.setattr(responsibility, "UPDATES_AT_ONCE", at_once)
        np.testing.assert_array_equal(trained("MOE", episodes)[1], at_the_end)


def test_what_is_received_in_one_update_is_the_gradient(episodes: Episodes) -> None:
    """|∂loss/∂p_k| = 2 |V − z| w_k / B on the first minibatch, under the even gate with which MOE starts."""
    agent = make_agent("MOE")
    one = dataclasses.replace(SHORT, num_updates=1, batch_size=episodes.num_steps, target="td_lambda", trace_lambda=1.0)
    _, received = trained("MOE", episodes, one)
    with torch.no_grad():
        values = agent.value(episodes.observations).value.double().numpy()
    returns = np.zeros(episodes.num_steps)
    for first, end in zip(episodes.offsets[:-1], episodes.offsets[1:], strict=True):
        after = 0.0
        for t in range(end - 1, first - 1, -1):
            returns[t] = after = episodes.rewards[t] + 0.95 * after
    ended = np.repeat(episodes.terminated, np.diff(episodes.offsets))
    expected = 2 * np.abs(values - returns) / episodes.num_steps / 2
    np.testing.assert_allclose(received[ended], np.stack([expected, expected], 1)[ended], rtol=1e-3, atol=1e-8)


def test_routed_credit_goes_to_the_part_of_the_event(episodes: Episodes) -> None:
    """Each episode holds one event: in ROUTE and MONO-ROUTE its part gets all, in HRA the part of its component most.

    In MONO there is but one part; under shuffled labels, each event's credit goes to parts by their frequency.
    """
    own = {head: matrix_of(head, episodes) for head in ("MONO", "MONO-ROUTE", "ROUTE", "MOE", "NEG-2", "HRA")}
    np.testing.assert_array_equal(own["MONO"], [[1.0, 1.0]])
    for head in ("ROUTE", "MONO-ROUTE"):
        np.testing.assert_array_equal(own[head], np.eye(2))
    for head in ("MOE", "NEG-2"):
        assert (np.abs(own[head] - 0.5) < 0.3).all()
    assert np.diag(own["HRA"]).min() > 0.6
    shuffled = episodes.events.copy()
    steps = np.flatnonzero(shuffled >= 0)
    shuffled[steps] = shuffled[np.random.default_rng(0).permutation(steps)]
    _, received = trained("ROUTE", dataclasses.replace(episodes, events=shuffled))
    found = responsibility_matrix(event_log(episodes, received, decay=0.95), 2)
    frequency = np.bincount(shuffled[steps], minlength=2) / len(steps)
    np.testing.assert_allclose(found, np.stack([frequency, frequency], 1), atol=0.12)


def matrix_of(head: str, episodes: Episodes) -> np.ndarray:
    _, received = trained(head, episodes)
    return responsibility_matrix(event_log(episodes, received, decay=0.95), 2)


class Cut(Exception):
    pass


class KeepsOnce(StageKeeper):
    """Keeps the state of one update and stops the stage there."""

    def __init__(self, at: int, kept: State | None = None) -> None:
        self.at, self.kept = at, kept

    def restore(self) -> State | None:
        return self.kept

    def keep(self, agent: AlphaAgent, *, num_steps: int, state: Callable[[], State]) -> None:
        if num_steps == self.at:
            self.kept = {name: tensor.clone() for name, tensor in state().items()}
            raise Cut


@pytest.mark.parametrize("head", ["ROUTE", "HRA", "NEG-2"])
def test_a_stopped_training_goes_on_with_its_log(head: str, episodes: Episodes) -> None:
    config = dataclasses.replace(SHORT, target="td_lambda", refresh_every=25)
    whole, log = trained(head, episodes, config)
    first, second = ReceivedCredit(), ReceivedCredit()
    keeper = KeepsOnce(35)
    with pytest.raises(Cut):
        fit_values(make_agent(head), episodes, config, seed=0, received=first, keeper=keeper)
    agent, _ = fit_values(
        make_agent(head), episodes, config, seed=0, received=second, keeper=KeepsOnce(-1, keeper.kept)
    )
    assert all(torch.equal(a, b) for a, b in zip(agent.parameters(), whole.parameters(), strict=True))
    np.testing.assert_array_equal(second.by_step.numpy(), log)


def test_a_log_comes_back_from_its_file(episodes: Episodes, tmp_path: Path) -> None:
    _, received = trained("MOE", episodes)
    log = event_log(episodes, received, decay=0.95)
    save_event_log(tmp_path / "events.npz", log)
    back = load_event_log(tmp_path / "events.npz")
    for field in dataclasses.fields(EventLog):
        np.testing.assert_array_equal(getattr(back, field.name), getattr(log, field.name))
    save_event_log(tmp_path / "again.npz", log)
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "events.npz").read_bytes()
    assert np.load(tmp_path / "events.npz")["event"].tolist() == log.event.tolist()


@pytest.mark.parametrize("fault", ["cut", "missing", "column", "length", "objects"])
def test_a_damaged_log_is_refused(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "events.npz"
    ones = np.ones(3)
    arrays = {"episode": ones, "step": ones, "event": ones, "reward": ones, "responsibility": np.ones((3, 2))}
    if fault == "column":
        del arrays["event"]
    if fault == "length":
        arrays["event"] = np.ones(2)
    data = zipped(arrays)
    if fault == "objects":
        np.savez(path, **arrays | {"event": np.array([{}, {}, {}], object)})
    elif fault != "missing":
        write_bytes(path, data[:100] if fault == "cut" else data)
    with pytest.raises(UserError, match="Event log .* cannot be used"):
        load_event_log(path)
