"""Sparse autoencoders: gradients against autograd, Adam against torch's, and the same bytes whatever is stacked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.instruments import sparse_training
from analysis.instruments.sparse_autoencoder import AutoencoderSettings, SparseAutoencoder, rectify
from analysis.instruments.sparse_toys import planted_features
from analysis.instruments.sparse_training import loss_gradients, train_autoencoders
from envs.errors import UserError

ARRAYS = ("encoder", "threshold", "dictionary", "mean")


def rows(num_rows: int = 200, num_units: int = 7) -> np.ndarray:
    return planted_features(num_rows=num_rows, seed=0, num_units=num_units, num_features=2 * num_units).activations


def same(one: SparseAutoencoder, other: SparseAutoencoder) -> bool:
    return all(getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in ARRAYS)


@pytest.mark.parametrize("num_active", [None, 1, 3])
@pytest.mark.parametrize("penalty", [0.0, 0.7])
def test_gradients_are_those_of_the_loss(num_active: int | None, penalty: float) -> None:
    stream = torch.Generator().manual_seed(0)
    shapes = {"encoder": (2, 5, 9), "threshold": (2, 1, 9), "decoder": (2, 9, 5)}
    weights = {
        name: torch.randn(shape, generator=stream, dtype=torch.float64).requires_grad_()
        for name, shape in shapes.items()
    }
    batch = torch.randn(2, 11, 5, generator=stream, dtype=torch.float64)
    codes = rectify(batch @ weights["encoder"] + weights["threshold"], num_active)
    error = ((codes @ weights["decoder"] - batch) ** 2).sum(dim=2)
    (error + penalty * codes.sum(dim=2)).mean(dim=1).sum().backward()
    plain = {name: weight.detach() for name, weight in weights.items()}
    found = loss_gradients(plain, batch, penalty=torch.full((2, 1, 1), penalty).double(), num_active=num_active)
    for name, weight in weights.items():
        torch.testing.assert_close(found[name], weight.grad, msg=name)


def test_adam_takes_the_steps_of_torchs_adam() -> None:
    stream = torch.Generator().manual_seed(1)
    start = torch.randn(3, 4, generator=stream, dtype=torch.float64)
    own, theirs = {"w": start.clone()}, torch.nn.Parameter(start.clone())
    adam, reference = sparse_training._Adam(own, learning_rate=0.01), torch.optim.Adam([theirs], lr=0.01)
    for _ in range(20):
        gradient = torch.randn(3, 4, generator=stream, dtype=torch.float64)
        adam.step(own, {"w": gradient})
        theirs.grad = gradient
        reference.step()
    torch.testing.assert_close(own["w"], theirs.data)


@settings(max_examples=25, deadline=None)
@given(
    num_units=st.integers(2, 19), batch_size=st.sampled_from([2, 5, 37, 48]),
    num_features=st.integers(2, 21) | st.just(32), num_others=st.integers(1, 6),
    num_active=st.sampled_from([None, 1, 2]), frozen=st.sampled_from(["", "decoder", "encoder"]),
)  # fmt: skip
def test_bytes_do_not_depend_on_what_is_stacked(
    num_units: int, batch_size: int, num_features: int, num_others: int, num_active: int | None, frozen: str
) -> None:
    base = AutoencoderSettings(num_features, num_active=num_active, frozen=frozen, num_steps=10, batch_size=batch_size)
    jobs = [(replace(base, penalty=0.05 * index), 10 + index) for index in range(num_others + 1)]
    stacked = train_autoencoders(rows(100, num_units), jobs)
    for job, member in zip(jobs, stacked, strict=True):
        assert same(member, train_autoencoders(rows(100, num_units), [job])[0])


def test_training_takes_one_thread_and_gives_the_others_back(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, before = [], torch.get_num_threads()
    gradients = sparse_training.loss_gradients

    def spied(*given: object, **named: object) -> object:
        seen.append(torch.get_num_threads())
        return gradients(*given, **named)

    monkeypatch.setattr(sparse_training, "loss_gradients", spied)
    torch.set_num_threads(2)
    try:
        train_autoencoders(rows(), [(AutoencoderSettings(8, num_steps=3), 0)])
        assert seen == [1, 1, 1] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_seeds_differ_and_no_global_generator_is_read() -> None:
    job = AutoencoderSettings(12, num_steps=10)
    torch.manual_seed(0)
    first, other = train_autoencoders(rows(), [(job, 0), (job, 1)])
    torch.manual_seed(1)
    assert same(first, train_autoencoders(rows(), [(job, 0)])[0])
    assert not np.allclose(first.dictionary, other.dictionary)


@pytest.mark.parametrize(("frozen", "kept"), [("decoder", "dictionary"), ("encoder", "encoder")])
def test_a_frozen_half_stays_as_it_was_drawn(frozen: str, kept: str) -> None:
    short, long = (AutoencoderSettings(12, frozen=frozen, num_steps=steps) for steps in (1, 40))
    one, two = train_autoencoders(rows(), [(short, 0), (long, 0)])
    assert np.array_equal(getattr(one, kept), getattr(two, kept))
    for name in {"dictionary", "encoder"} - {kept}:
        assert not np.allclose(getattr(one, name), getattr(two, name))


def test_scale_and_offset_of_activations_do_not_matter() -> None:
    h = rows(400)
    job = (AutoencoderSettings(20, penalty=0.1, num_steps=100), 0)
    one, two = (train_autoencoders(given, [job])[0] for given in (h, 8.0 * h + 100.0))
    np.testing.assert_allclose(8.0 * one.encode(h), two.encode(8.0 * h + 100.0), atol=1e-3)
    np.testing.assert_allclose(
        8.0 * one.decode(one.encode(h)) + 100.0, two.decode(two.encode(8.0 * h + 100.0)), atol=1e-3
    )


def test_training_lowers_its_own_loss_and_keeps_directions_of_length_one() -> None:
    h = rows(400)
    few, many = (AutoencoderSettings(20, num_active=2, penalty=0.05, num_steps=steps) for steps in (1, 300))
    one, two = train_autoencoders(h, [(few, 0), (many, 0)])
    assert two.loss(h, two.encode(h)) < 0.6 * one.loss(h, one.encode(h))
    np.testing.assert_allclose(np.linalg.norm(two.dictionary, axis=1), 1.0, atol=1e-6)
    assert (two.encode(h) >= 0).all() and ((two.encode(h) > 0).sum(axis=1) <= 2).all()


def test_rectify_keeps_the_largest_positive_drives() -> None:
    drives = torch.tensor([[3.0, -1.0, 2.0, 5.0], [-1.0, -2.0, -3.0, 4.0], [-1.0, -2.0, -3.0, -4.0]])
    kept = rectify(drives, 2).tolist()
    assert kept == [[3.0, 0.0, 0.0, 5.0], [0.0, 0.0, 0.0, 4.0], [0.0] * 4]
    stream = torch.Generator().manual_seed(2)
    drives = torch.randn(50, 30, generator=stream)
    values, index = drives.topk(4, dim=1)
    reference = torch.zeros_like(drives).scatter(1, index, values.relu())
    assert torch.equal(rectify(drives, 4), reference)


@pytest.mark.parametrize(
    ("activations", "message"),
    [
        (np.zeros((5, 3)), "all 5 rows of activations are equal"),
        (np.zeros(5), r"shape \(5,\)"),
        (np.zeros((1, 3)), r"shape \(1, 3\)"),
        (np.arange(3.0)[:, None], r"shape \(3, 1\)"),
        (np.array([[0.0, 1.0], [np.nan, 1.0]]), "the first nan in row 1, column 0"),
    ],
)
def test_activations_that_mean_nothing_are_refused(activations: np.ndarray, message: str) -> None:
    with pytest.raises(UserError, match=message):
        train_autoencoders(activations, [(AutoencoderSettings(4), 0)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_features": 1}, "num_features is 1"),
        ({"num_features": 4, "num_active": 5}, "num_active is 5, allowed is an integer from 1 to 4"),
        ({"num_features": 4, "penalty": -1.0}, "penalty is -1.0"),
        ({"num_features": 4, "frozen": "decoders"}, "Did you mean 'decoder'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        AutoencoderSettings(**options)
