"""Episodes in memory and as a file: whole, checked, readable by others, and rebuilt bit for bit."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envs import archives, episodes
from envs.demonstrations import demonstrate
from envs.episodes import Episodes, concatenate, episode_of_step, episode_returns, load_episodes, save_episodes
from envs.errors import NonFiniteError, UserError
from envs.registry import make_world


@pytest.fixture(scope="module")
def native() -> Episodes:
    """Episodes of one of our worlds, with rows."""
    world = make_world("CrossedHistory", size=4, pairing=(1, 0), num_levels=30)
    return demonstrate(world, world.levels(), num_episodes=25, seed=1, noise=0.3)


@pytest.fixture(scope="module")
def foreign() -> Episodes:
    """Episodes without rows or components, of an environment that nobody registered."""
    generator = np.random.default_rng(0)
    return Episodes(
        observations={"image": generator.integers(0, 9, (5, 3, 3, 2), np.uint8), "speed.x": np.arange(5.0)},
        final_observations={"image": np.zeros((2, 3, 3, 2), np.uint8), "speed.x": np.array([7.0, 8.0])},
        actions=np.array([0, 2, 1, 1, 0]),
        rewards=np.array([0.0, 1.0, 2.0, 0.0, 4.0]),
        events=np.full(5, -1),
        contexts=np.full(5, -1),
        terminated=np.array([True, False]),
        truncated=np.array([False, True]),
        offsets=np.array([0, 2, 5]),
        levels=np.array([11, 12]),
        discount=0.5,
        env_id="Somebody/Else-v3",
        options={"size": 4, "names": ("a", "b")},
    )


def assert_equal(first: Episodes, second: Episodes) -> None:
    """Every field equal, arrays in type, shape and bits."""
    for name in (field.name for field in dataclasses.fields(Episodes)):
        one, other = getattr(first, name), getattr(second, name)
        tables = (one, other) if name.endswith("observations") else ({name: one}, {name: other})
        assert tables[0].keys() == tables[1].keys()
        for key, value in tables[0].items():
            if isinstance(value, np.ndarray):
                assert (value.dtype, value.shape, value.tobytes()) == (
                    tables[1][key].dtype, tables[1][key].shape, tables[1][key].tobytes()), (name, key)  # fmt: skip
            else:
                assert value == tables[1][key]


@pytest.mark.parametrize("which", ["native", "foreign"])
def test_a_file_gives_back_what_was_saved(which: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    saved: Episodes = request.getfixturevalue(which)
    save_episodes(tmp_path / "a" / "e.npz", saved)
    assert_equal(load_episodes(tmp_path / "a" / "e.npz"), saved)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["e.npz"]


def test_observations_of_registered_worlds_are_rebuilt(native: Episodes, tmp_path: Path) -> None:
    save_episodes(tmp_path / "e.npz", native)
    with np.load(tmp_path / "e.npz", allow_pickle=False) as file:
        assert not [name for name in file.files if "observations" in name]
        assert json.loads(str(file["header"]))["observations"] == "rebuilt"
        assert (file["actions"] == native.actions).all()
    without = dataclasses.replace(native, observations={}, final_observations={})
    save_episodes(tmp_path / "without.npz", without)
    assert_equal(load_episodes(tmp_path / "without.npz"), native)


def test_observations_that_do_not_follow_from_rows_are_stored(native: Episodes, tmp_path: Path) -> None:
    masked = {**native.observations, "vector": np.zeros_like(native.observations["vector"])}
    changed = dataclasses.replace(native, observations=masked)
    save_episodes(tmp_path / "e.npz", changed)
    assert_equal(load_episodes(tmp_path / "e.npz"), changed)


def test_a_world_that_shows_something_else_is_noticed(
    native: Episodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_episodes(tmp_path / "e.npz", native)
    monkeypatch.setattr(episodes, "make_world", lambda name, **_: make_world("CrossedHistory", size=5))
    with pytest.raises(UserError, match="no longer gives the observations"):
        load_episodes(tmp_path / "e.npz")


def test_anybody_can_read_the_file(foreign: Episodes, tmp_path: Path) -> None:
    save_episodes(tmp_path / "e.npz", foreign)
    with np.load(tmp_path / "e.npz", allow_pickle=False) as file:
        header = json.loads(str(file["header"]))
        assert (header["format"], header["version"], header["discount"]) == ("valuelab episodes", 1, 0.5)
        assert (file["observations/speed.x"] == foreign.observations["speed.x"]).all()
        assert file["offsets"].tolist() == [0, 2, 5]


def test_equal_episodes_give_equal_bytes(native: Episodes, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_episodes(tmp_path / name, native)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_refused(foreign: Episodes, tmp_path: Path, share: float) -> None:
    save_episodes(tmp_path / "e.npz", foreign)
    data = (tmp_path / "e.npz").read_bytes()
    (tmp_path / "e.npz").write_bytes(data[: int(share * len(data))])
    with pytest.raises(UserError, match=r"Episodes file '.*e.npz' cannot be used: .*Restore a copy"):
        load_episodes(tmp_path / "e.npz")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_harmless(foreign: Episodes, tmp_path: Path, place: float, bit: int) -> None:
    save_episodes(tmp_path / "whole.npz", foreign)
    data = bytearray((tmp_path / "whole.npz").read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    (tmp_path / "e.npz").write_bytes(data)
    try:
        loaded = load_episodes(tmp_path / "e.npz")
    except UserError:
        return
    assert_equal(loaded, foreign)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.update(rewards=arrays["rewards"] + 1), "does not match its SHA-256"),
        (lambda arrays: arrays.update(extra=np.zeros(3)), "does not match its SHA-256"),
        (lambda arrays: arrays.pop("actions"), "does not match its SHA-256"),
        (lambda arrays: arrays.update(header=np.array(str(arrays["header"]).replace("Else-v3", "Else-v4"))), "SHA-256"),
        (lambda arrays: arrays.update(header=np.array(str(arrays["header"]).replace('"version": 1', '"version": 2'))),
         "version 2, this program reads up to 1; update valuelab"),
        (lambda arrays: arrays.pop("header"), "header"),
    ],
)  # fmt: skip
def test_an_altered_file_is_refused(foreign: Episodes, tmp_path: Path, change: object, message: str) -> None:
    save_episodes(tmp_path / "e.npz", foreign)
    arrays = archives.unzipped((tmp_path / "e.npz").read_bytes())
    change(arrays)
    (tmp_path / "e.npz").write_bytes(archives.zipped(arrays))
    with pytest.raises(UserError, match=message):
        load_episodes(tmp_path / "e.npz")


def test_arrays_of_objects_are_neither_written_nor_read(tmp_path: Path) -> None:
    objects = np.array([{}, []], object)
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        archives.zipped({"x": objects})
    np.savez(tmp_path / "e.npz", header=objects)
    with pytest.raises(UserError, match="cannot be used"):
        load_episodes(tmp_path / "e.npz")


def test_missing_files_and_folders_in_the_way_are_refused(foreign: Episodes, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        load_episodes(tmp_path / "none.npz")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        save_episodes(tmp_path / "file" / "e.npz", foreign)


def test_concatenate(native: Episodes, foreign: Episodes) -> None:
    twice = concatenate([foreign, foreign])
    assert twice.offsets.tolist() == [0, 2, 5, 7, 10]
    assert twice.actions.tolist() == [0, 2, 1, 1, 0] * 2
    assert twice.final_observations["speed.x"].tolist() == [7.0, 8.0] * 2
    assert_equal(concatenate([native]), native)
    with pytest.raises(UserError, match="differ in env_id"):
        concatenate([native, foreign])
    with pytest.raises(UserError, match="differ in options"):
        concatenate([foreign, dataclasses.replace(foreign, options={})])
    with pytest.raises(UserError, match="same arrays"):
        concatenate([foreign, dataclasses.replace(foreign, components=np.zeros((5, 1)))])
    with pytest.raises(UserError, match="at least one part"):
        concatenate([])


def test_returns_and_episode_of_step(foreign: Episodes) -> None:
    assert episode_returns(foreign).tolist() == [1.0, 6.0]
    assert episode_returns(foreign, discount=0.5).tolist() == [0.5, 2.0 + 0.25 * 4.0]
    assert episode_of_step(foreign).tolist() == [0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("offsets", np.array([0, 2, 2, 5]), "rise strictly"),
        ("offsets", np.array([1, 2, 5]), "rise strictly"),
        ("actions", np.zeros(4, np.int64), r"actions has 4 entries of int64; it takes 5 of int64"),
        ("actions", np.zeros(5, np.int32), r"5 entries of int32"),
        ("terminated", np.zeros(5, np.bool_), r"terminated has 5 entries"),
        ("rows", np.zeros((5, 2)), "of float64; it takes 5 of int16"),
        ("observations", {"image": np.zeros(2)}, r"observations/image has 2 entries"),
        ("observations", {"image": np.array([None] * 5)}, "of object"),
        ("discount", 1.5, "must lie in"),
        ("options", {"x": object()}, "no JSON object"),
        ("options", {"x": float("nan")}, "no JSON object"),
    ],
)
def test_contradictions_are_refused(foreign: Episodes, field: str, value: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        dataclasses.replace(foreign, **{field: value})


def test_a_reward_that_is_no_number_is_named(foreign: Episodes) -> None:
    rewards = foreign.rewards.copy()
    rewards[3] = np.nan
    with pytest.raises(NonFiniteError, match="Episodes.rewards is not finite, step 3"):
        dataclasses.replace(foreign, rewards=rewards)


def test_what_no_world_explains_is_stored(native: Episodes, tmp_path: Path) -> None:
    rows = np.zeros((native.num_steps, 1), np.int16)
    for change in ({"options": {"size": 4, "colour": "red"}}, {"rows": rows}):
        odd = dataclasses.replace(native, **change)
        save_episodes(tmp_path / "e.npz", odd)
        assert_equal(load_episodes(tmp_path / "e.npz"), odd)
