"""`valuelab play` by a line of keys: what it shows, what it records, and what it refuses."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from analysis.cli import main
from analysis.hand_play import NUMBER_KEYS, bindings, legend
from envs.episodes import episode_returns, load_episodes
from envs.errors import UserError
from envs.registry import make_world

GOLDEN = Path(__file__).parent / "golden"
MULTI_NEED = ["ValueLab/MultiNeed-v0", "--option", "size=3", "--option", "num_objects=2", "--seed", "1"]


class Played:
    """A command that was run with keys on stdin."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys, self.monkeypatch, self.out, self.err = capsys, monkeypatch, "", ""

    def __call__(self, keys: str, *words: object) -> int:
        self.monkeypatch.setattr(sys, "stdin", io.StringIO(keys))
        with pytest.raises(SystemExit) as stop:
            main(["play", *map(str, words)])
        self.out, self.err = self.capsys.readouterr()
        return int(stop.value.code or 0)


@pytest.fixture
def played(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Played:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    return Played(capsys, monkeypatch)


@pytest.mark.parametrize(
    ("case", "keys", "words"),
    [
        ("play_multi_need", "a\x1b[B r wwd q aaaa", [*MULTI_NEED, "--option", "wrong_cost=0.5", "--show-context"]),
        ("play_hidden", "ds", [*MULTI_NEED, "--option", "context=hidden", "--split", "test"]),
        ("play_frozen_lake", "1 1 2 r 2", ["FrozenLake-v1", "--option", "is_slippery=false"]),
    ],
)
def test_golden_screens(case: str, keys: str, words: list[str], played: Played) -> None:
    """Set VALUELAB_WRITE_GOLDEN=1 to write the files anew after a wanted change, and read the difference."""
    assert played(keys, *words) == 0 and not played.err
    path = GOLDEN / f"{case}.txt"
    if os.environ.get("VALUELAB_WRITE_GOLDEN"):
        path.write_text(played.out)
    assert played.out == path.read_text()


def test_the_context_is_hidden_unless_it_is_asked_for(played: Played) -> None:
    words = [*MULTI_NEED, "--option", "context=hidden"]
    played("ds", *words)
    assert "need_" not in played.out
    played("ds", *words, "--show-context")
    assert played.out.count("context: need_") == 3


def keys_to_the_need(seed: int, size: int) -> str:
    """By hand: down or up, then right or left, to the object that is needed in the first episode of a seed."""
    env = gymnasium.make(MULTI_NEED[0], size=size, num_objects=2)
    _, info = env.reset(seed=seed)
    agent, *objects, _, _ = env.unwrapped.get_state().rows[0].tolist()
    (y, x), (goal_y, goal_x) = divmod(agent, 64), divmod(objects[info["context"]], 64)
    return ("s" if goal_y > y else "w") * abs(goal_y - y) + ("d" if goal_x > x else "a") * abs(goal_x - x)


def test_what_was_recorded_is_what_was_played_and_can_be_imitated(played: Played, tmp_path: Path) -> None:
    """One episode that is given up, one finished: the file holds the second, and training imitates it."""
    keys = keys_to_the_need(1, 3)
    assert played(f"{keys[0]}", *MULTI_NEED, "--record", "none.npz") == 0
    assert "was not written" in played.out and not (tmp_path / "none.npz").exists()
    assert played(f"{keys} r {keys[0]}", *MULTI_NEED, "--record", "hand.npz") == 0
    assert "1 finished, mean return 1." in played.out and "--option size=3 --option num_objects=2" in played.out
    recorded = load_episodes("hand.npz")
    world = make_world("MultiNeed", size=3, num_objects=2)
    assert recorded.num_episodes == 1 and recorded.terminated.all()
    assert recorded.actions.tolist() == ["wdsa".index(key) for key in keys]
    assert episode_returns(recorded).tolist() == [1.0]
    assert recorded.rows is not None
    first = world.begin(recorded.levels, recorded.contexts[:1])
    assert (recorded.rows[0] == first[0]).all()
    assert (recorded.observations["planes"] == world.observe(recorded.rows)["planes"]).all()
    (line,) = [line for line in played.out.splitlines() if line.startswith("Next: valuelab train ")]
    train = [*line.split()[2:], "--stages", "imitate", "--out", "run", "--imitation.num-updates", "20",
             "--episodes", "4"]  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        main(train)
    assert not stop.value.code
    assert played(keys, *MULTI_NEED, "--record", "hand.npz") == 2
    assert "is there already" in played.err and load_episodes("hand.npz").num_steps == recorded.num_steps


def test_a_foreign_env_is_recorded_as_agents_see_it(played: Played) -> None:
    """MiniGrid from its reset seeds: the file replays step by step in the environment itself."""
    id_, keys = "MiniGrid-Empty-5x5-v0", "wwdww"
    assert played(f"{keys} r {keys}", id_, "--seed", 5, "--record", "hand.npz") == 0
    assert "mission: get to the green goal square" in played.out and "w forward" in played.out
    recorded = load_episodes("hand.npz")
    assert recorded.num_episodes == 2 and recorded.levels[0] == 5 != recorded.levels[1]
    assert set(recorded.observations) == {"direction", "image"}
    env = gymnasium.make(id_)
    for episode, (first, stop) in enumerate(zip(recorded.offsets[:-1], recorded.offsets[1:], strict=True)):
        seen, _ = env.reset(seed=int(recorded.levels[episode]))
        for step in range(first, stop):
            assert all((seen[name] == array[step]).all() for name, array in recorded.observations.items())
            seen, reward, terminated, _, _ = env.step(recorded.actions[step])
            assert reward == recorded.rewards[step]
        assert terminated and recorded.terminated[episode]


def test_an_episode_that_is_over_waits_for_the_next_one(played: Played) -> None:
    keys = keys_to_the_need(1, 3)
    assert played(f"{keys}wwwr", *MULTI_NEED) == 0
    assert played.out.count("The episode is over") == 1
    assert played.out.count("episode 0, step") == len(keys) + 1 and played.out.count("episode 1, step") == 1


@pytest.mark.parametrize(
    ("env_id", "part"), [("Blackjack-v1", "▀"), ("CartPole-v1", "▀"), ("Taxi-v4", "+---------+")]
)
def test_foreign_envs_are_shown_without_a_display(env_id: str, part: str, played: Played) -> None:
    assert played("1", env_id) == 0
    assert part in played.out and "step 1: 1, reward" in played.out


@pytest.mark.parametrize(
    ("keys", "words", "parts"),
    [
        ("w", ["ValueLab/MultiNeed-v1"], ["ValueLab/MultiNeed-v1", "Did you mean"]),
        ("w", ["NoSuch-v0"], ["NoSuch-v0"]),
        ("w", ["Pendulum-v1"], ["Action space Box", "Discrete"]),
        ("w", ["ValueLab/MultiNeed-v0", "--option", "seize=3"], ["'seize'", "Did you mean 'size'?"]),
        ("w", ["FrozenLake-v1", "--split", "test"], ["no split 'test'"]),
        ("wx", [*MULTI_NEED], ["Key 'x'", "0 1 2 3"]),
        ("w", [*MULTI_NEED, "--record", "no/file/there.npz", "--import", "none_such"], ["none_such"]),
        ("w", [*MULTI_NEED, "--record", "{file}/below.npz"], ["Cannot write into", "/file'"]),
        ("w", [*MULTI_NEED[:-1], "-1"], ["--seed", "-1"]),
    ],
)
def test_bad_input_is_refused_in_one_line(
    keys: str, words: list[str], parts: list[str], played: Played, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    assert played(keys, *(word.format(file=tmp_path / "file") for word in words)) == 2
    assert played.err.startswith("valuelab: ") and played.err.count("\n") == 1
    for part in parts:
        assert part in played.err


def test_no_keys_are_the_end(played: Played) -> None:
    assert played("", *MULTI_NEED) == 0
    assert "No episode was finished." in played.out


def test_keys_of_actions() -> None:
    assert bindings(("up", "right", "down", "left")) == {
        "0": 0, "1": 1, "2": 2, "3": 3, "w": 0, "up": 0, "d": 1, "right": 1, "s": 2, "down": 2, "a": 3, "left": 3,
    }  # fmt: skip
    assert bindings(("stay", "push")) == {"0": 0, "1": 1}
    assert legend(("left", "right", "forward", "pickup")) == (
        "keys: a left, d right, w forward, 3 pickup; arrows like w, d, s, a; r resets, q quits"
    )
    many = [str(action) for action in range(len(NUMBER_KEYS))]
    assert len(bindings(many)) == len(many) and not {"q", "r"} & bindings(many).keys()
    with pytest.raises(UserError, match="31 actions"):
        bindings([*many, "one more"])
    assert np.unique(list(NUMBER_KEYS)).size == len(NUMBER_KEYS)
