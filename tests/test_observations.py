"""Any Box, Dict and Discrete observation becomes one matrix whose columns mean what they should."""

from __future__ import annotations

import json
import warnings

import gymnasium as gym
import minigrid  # noqa: F401 (registers its envs)
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from agents import encoding
from agents.encoding import ObservationEncoder
from agents.leaves import Leaf
from agents.observations import ObservationSpec
from envs.errors import NonFiniteError, UserError
from envs.registry import make_world
from envs.step_buffers import observation_space


def encode(spec: ObservationSpec, observations: object) -> torch.Tensor:
    return ObservationEncoder(spec)(observations)


def own_space(planes: int = 6) -> spaces.Dict:
    return spaces.Dict(planes=spaces.Box(0, 1, (planes, 9, 9), np.uint8), vector=spaces.Box(0, 1, (4,), np.float32))


def test_our_own_observations_pass_as_they_are_planes_first() -> None:
    spec = ObservationSpec.from_space(own_space())
    rng = np.random.default_rng(0)
    planes = rng.integers(0, 2, (5, 6, 9, 9), dtype=np.uint8)
    vector = rng.random((5, 4), dtype=np.float32)
    assert (spec.planes_shape, spec.num_flat, spec.num_inputs) == ((6, 9, 9), 4, 490)
    matrix = encode(spec, {"vector": vector, "planes": planes})
    assert matrix.dtype == torch.float32
    np.testing.assert_array_equal(matrix, np.concatenate([planes.reshape(5, -1), vector], axis=1))


def test_leading_axes_are_kept() -> None:
    spec = ObservationSpec.from_space(own_space())
    sample = {"planes": np.ones((3, 2, 6, 9, 9), np.uint8), "vector": np.ones((3, 2, 4), np.float32)}
    assert encode(spec, sample).shape == (3, 2, 490)
    single = {"planes": np.ones((6, 9, 9), np.uint8), "vector": np.ones(4, np.float32)}
    assert encode(spec, single).shape == (490,)


def test_the_centre_is_the_mean_whatever_is_encoded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, rng = ObservationSpec.from_space(own_space()), np.random.default_rng(0)
    planes = rng.integers(0, 2, (1000, 6, 9, 9), dtype=np.uint8)
    sample = {"planes": planes, "vector": rng.random((1000, 4), dtype=np.float32)}
    whole, pieces = ObservationEncoder(spec), ObservationEncoder(spec)
    whole.fit_centre(sample)
    sizes: list[int] = []
    forward = pieces.forward
    monkeypatch.setattr(encoding, "CHUNK", 64)
    monkeypatch.setattr(pieces, "forward", lambda seen: sizes.append(len(seen["planes"])) or forward(seen))
    pieces.fit_centre(sample)
    assert max(sizes) == 64 and sum(sizes) == 1000
    expected = np.concatenate([planes.reshape(1000, -1), sample["vector"]], axis=1).mean(axis=0, dtype=np.float64)
    for encoder in (whole, pieces):
        np.testing.assert_allclose(encoder.centre, expected, rtol=1e-6)
    # Sums of bytes are exact, so that for them the pieces do not show at all.
    assert torch.equal(whole.centre[:486], pieces.centre[:486])


def test_discrete_parts_become_one_hot_and_unknown_values_all_zeros() -> None:
    spec = ObservationSpec.from_space(spaces.Discrete(4, start=-1))
    assert encode(spec, np.array([-1, 0, 2, 3])).tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert not encode(spec, np.array([-9, 50])).any()
    spec = ObservationSpec.from_space(spaces.MultiDiscrete([2, 3]))
    assert encode(spec, np.array([[1, 2], [0, 0]])).tolist() == [[0, 1, 0, 0, 1], [1, 0, 1, 0, 0]]
    spec = ObservationSpec.from_space(spaces.MultiBinary(3))
    assert encode(spec, np.array([[1, 0, 1]], np.int8)).tolist() == [[1, 0, 1]]


def test_nested_dicts_and_tuples_are_flattened_by_path_and_text_is_dropped() -> None:
    space = spaces.Dict(
        a=spaces.Dict(b=spaces.Box(-1, 1, (2,)), mission=spaces.Text(5)),
        c=spaces.Tuple((spaces.Discrete(2), spaces.Box(0, 1, (1,)))),
    )
    spec = ObservationSpec.from_space(space)
    assert spec.dropped == ("a.mission",)
    assert [leaf.name for leaf in spec.leaves] == ["a.b", "c.0", "c.1"]
    nested = {
        "a": {"b": np.array([[0.5, -0.5]]), "mission": ("go",)},
        "c": (np.array([1]), np.array([[0.25]], np.float32)),
    }
    expected = [[0.5, -0.5, 0, 1, 0.25]]
    assert encode(spec, nested).tolist() == expected
    flat = spec.select(nested)
    assert set(flat) == {"a.b", "c.0", "c.1"}
    assert encode(spec, flat).tolist() == expected


def minigrid_sample(env_id: str, num_steps: int) -> tuple[gym.Env, dict[str, np.ndarray]]:  # type: ignore[type-arg]
    env = gym.make(env_id)
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    steps = []
    for _ in range(num_steps):
        steps.append(observation)
        observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            observation, _ = env.reset()
    return env, {name: np.stack([step[name] for step in steps]) for name in ("image", "direction")}


def test_minigrid_codes_become_planes_of_the_observed_levels() -> None:
    env, sample = minigrid_sample("MiniGrid-DoorKey-5x5-v0", 200)
    spec = ObservationSpec.from_space(env.observation_space)
    assert spec.dropped == ("mission",) and spec.planes_shape == (3, 7, 7)
    fitted = spec.fit(sample)
    levels = [np.unique(sample["image"][..., channel]) for channel in range(3)]
    num_planes = sum(len(codes) + 1 for codes in levels)
    assert fitted.planes_shape == (num_planes, 7, 7) and fitted.num_flat == 4
    planes = encode(fitted, sample)[:, : num_planes * 49].reshape(-1, num_planes, 7, 7).numpy()
    first = 0
    for channel, codes in enumerate(levels):
        image = sample["image"][..., channel]
        for plane, code in enumerate(codes):
            np.testing.assert_array_equal(planes[:, first + plane], image == code)
        assert not planes[:, first + len(codes)].any(), "every value of the sample has a plane of its own"
        first += len(codes) + 1


@pytest.mark.parametrize(
    ("shape", "grid"),
    [((3, 210, 160), (210, 160)), ((210, 160, 3), (210, 160)), ((14, 7, 7), (7, 7)), ((5, 5, 8), (5, 5)),
     ((1, 4, 4), (4, 4)), ((6, 6, 6), (6, 6)), ((2, 4, 5), (4, 5))],
)  # fmt: skip
def test_the_axis_of_channels_is_found(shape: tuple[int, ...], grid: tuple[int, int]) -> None:
    (leaf,) = ObservationSpec.from_space(spaces.Box(0, 1, shape, np.uint8)).leaves
    assert leaf.grid == grid
    assert leaf.channels_last == (shape[:2] == grid and shape != (6, 6, 6))


@pytest.mark.parametrize("name", ["Village", "Village-ThreePersons", "Triad", "MultiNeed-5x5", "CornerMaze-9x9"])
def test_planes_of_our_worlds_are_read_plane_by_plane(name: str) -> None:
    """Some have more planes than rows, some as many."""
    planes, *_ = ObservationSpec.from_space(observation_space(make_world(name))).leaves
    assert (planes.name, planes.channels_last) == ("planes", False)


def test_a_code_that_the_sample_lacked_lights_the_plane_for_others() -> None:
    space = spaces.Box(0, 255, (4, 4, 1), np.uint8)
    spec = ObservationSpec.from_space(space).fit(np.array([1, 5] * 8, np.uint8).reshape(1, 4, 4, 1))
    planes = encode(spec, np.full((1, 4, 4, 1), 9, np.uint8)).reshape(3, 4, 4)
    assert planes[:2].sum() == 0 and planes[2].sum() == 16


@settings(max_examples=60, deadline=None)
@given(data=st.data(), channels_last=st.booleans(), dtype=st.sampled_from([np.uint8, np.int16, np.int64]))
def test_one_hot_planes_equal_a_plain_loop(data: st.DataObject, channels_last: bool, dtype: type) -> None:
    shape = (4, 5, 2) if channels_last else (2, 4, 5)
    space = spaces.Box(0, 100, shape, dtype)
    codes = st.integers(0, 8)
    sample = data.draw(hnp.arrays(dtype, (3, *shape), elements=codes))
    unseen = data.draw(hnp.arrays(dtype, (2, *shape), elements=codes))
    spec = ObservationSpec.from_space(space).fit(sample)
    matrix = encode(spec, unseen).numpy()
    expected = []
    for n in range(2):
        row: list[float] = []
        for c in range(2):
            channel = unseen[n, :, :, c] if channels_last else unseen[n, c]
            group = spec.leaves[0].groups[c]
            if group.levels:
                row += [float(value == level) for level in group.levels for value in channel.ravel()]
                row += [float(value not in group.levels) for value in channel.ravel()]
            else:
                row += [min(max((float(v) - group.mean) * group.scale, -10), 10) for v in channel.ravel()]
        expected.append(row)
    np.testing.assert_allclose(matrix, np.array(expected), atol=1e-6)


def test_unbounded_numbers_are_standardised_by_the_sample_and_outliers_clipped() -> None:
    space = spaces.Box(-np.inf, np.inf, (3,), np.float32)
    sample = np.random.default_rng(0).normal([5, -2, 7], [2, 0.1, 0], (1000, 3)).astype(np.float32)
    spec = ObservationSpec.from_space(space).fit(sample)
    encoded = encode(spec, sample).numpy()
    np.testing.assert_allclose(encoded[:, :2].mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(encoded[:, :2].std(0), 1, atol=1e-4)
    assert np.all(encoded[:, 2] == 0), "a number that never changed in the sample is 0"
    assert encode(spec, np.array([[1e9, -1e9, 7.5]], np.float32)).tolist()[0] == [10.0, -10.0, 0.5]


def test_unfitted_codes_are_scaled_by_their_bounds() -> None:
    spec = ObservationSpec.from_space(spaces.Box(0, 255, (2, 2, 3), np.uint8))
    assert encode(spec, np.full((1, 2, 2, 3), 255, np.uint8)).unique().tolist() == [1.0]
    low, high = np.array([-4, -np.inf], np.float32), np.array([12, np.inf], np.float32)
    spec = ObservationSpec.from_space(spaces.Box(low, high))
    assert encode(spec, np.array([[-4, 3], [4, 3], [12, 3]], np.float32)).tolist() == [[-0.5, 3], [0, 3], [0.5, 3]]


def test_few_integers_in_a_vector_are_one_hot_each_by_its_own_levels() -> None:
    space = spaces.Box(-5, 200, (2,), np.int64)
    sample = np.stack([np.array([-3, 4, 4] * 20), np.arange(60)], axis=1)
    spec = ObservationSpec.from_space(space).fit(sample)
    first, second = spec.leaves[0].groups
    assert first.levels == (-3, 4) and second.levels == ()
    matrix = encode(spec, np.array([[-3, 30], [4, 30], [5, 30]]))
    assert matrix[:, :3].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    torch.testing.assert_close(matrix[:, 3], torch.full((3,), 0.5 / np.arange(60).std()), rtol=1e-5, atol=0)


def test_the_description_survives_json_bitwise() -> None:
    env, sample = minigrid_sample("MiniGrid-Empty-8x8-v0", 60)
    floats = np.random.default_rng(0).random((9, 2))
    for spec, observations in [
        (ObservationSpec.from_space(env.observation_space).fit(sample), sample),
        (ObservationSpec.from_space(own_space()), None),
        (ObservationSpec.from_space(spaces.Box(-np.inf, np.inf, (2,))).fit(floats), floats),
    ]:
        back = ObservationSpec.from_dict(json.loads(json.dumps(spec.to_dict(), allow_nan=False)))
        assert back == spec
        if observations is not None:
            assert torch.equal(encode(back, observations), encode(spec, observations))


def test_a_second_grid_becomes_flat() -> None:
    space = spaces.Dict(a=spaces.Box(0, 1, (2, 3, 3), np.uint8), b=spaces.Box(0, 1, (1, 5, 5), np.uint8))
    spec = ObservationSpec.from_space(space)
    assert spec.planes_shape == (2, 3, 3) and spec.num_flat == 25


def test_tensors_and_arrays_read_only_and_not_give_the_same() -> None:
    spec = ObservationSpec.from_space(own_space())
    sample = {"planes": np.ones((2, 6, 9, 9), np.uint8), "vector": np.full((2, 4), 0.5, np.float32)}
    expected = encode(spec, sample)
    for array in sample.values():
        array.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(encode(spec, sample), expected)
    assert torch.equal(encode(spec, {name: torch.from_numpy(array.copy()) for name, array in sample.items()}), expected)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Text(5),
        spaces.Dict(mission=spaces.Text(5)),
        spaces.Sequence(spaces.Discrete(2)),
        spaces.Dict(a=spaces.Graph(spaces.Box(0, 1), None)),
        spaces.Discrete(10**6),
    ],
)
def test_what_cannot_be_encoded_is_refused_when_the_space_is_read(space: spaces.Space) -> None:  # type: ignore[type-arg]
    with pytest.raises(UserError) as caught:
        ObservationSpec.from_space(space)
    assert "\n" not in str(caught.value)


def test_wrong_observations_are_refused_with_their_name() -> None:
    spec = ObservationSpec.from_space(own_space())
    good = {"planes": np.zeros((2, 6, 9, 9), np.uint8), "vector": np.zeros((2, 4), np.float32)}
    with pytest.raises(UserError, match="'vector' is missing.*planes"):
        encode(spec, {"planes": good["planes"]})
    with pytest.raises(UserError, match=r"'planes' has shape \(2, 5, 9, 9\)"):
        encode(spec, {**good, "planes": np.zeros((2, 5, 9, 9), np.uint8)})
    with pytest.raises(UserError, match="leading axes"):
        encode(spec, {**good, "vector": np.zeros((3, 4), np.float32)})
    with pytest.raises(UserError, match="'vector' has type"):
        encode(spec, {**good, "vector": np.array([["a"] * 4] * 2)})
    with pytest.raises(UserError, match="Sample of part"):
        ObservationSpec.from_space(spaces.Box(0, 9, (2,), np.uint8)).fit(np.zeros((0, 2), np.uint8))


def test_a_nan_is_reported_with_part_and_env() -> None:
    spec = ObservationSpec.from_space(spaces.Box(0, 1, (3,)))
    sample = np.zeros((4, 3), np.float32)
    sample[2, 1] = np.nan
    with pytest.raises(NonFiniteError, match="observation 'observation'.*env 2"):
        encode(spec, sample)


ENV_IDS = ["CartPole-v1", "FrozenLake-v1", "Taxi-v4", "Blackjack-v1", "CliffWalking-v1", "MountainCar-v0", "Acrobot-v1"]


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_gymnasiums_own_discrete_envs_are_encoded(env_id: str) -> None:
    envs = gym.make_vec(env_id, num_envs=3, vectorization_mode="sync")
    spec = ObservationSpec.from_space(envs.single_observation_space)
    observations, _ = envs.reset(seed=0)
    matrix = encode(spec, observations)
    assert matrix.shape == (3, spec.num_inputs) and bool(torch.isfinite(matrix).all())
    assert isinstance(spec.leaves[0], Leaf)
