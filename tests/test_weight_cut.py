"""T14's n-cut on graphs whose clusters are known."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.predictions.weight_cut import clusterability, n_cut, spectral_clusters, weight_graph


def blocks(num: int, size: int, *, noise: float, seed: int = 0) -> list[np.ndarray]:
    """Two layers of `num` disjoint nets of `size` units, and weights of `noise` everywhere else."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(num), size)
    inside = np.equal.outer(owner, owner)
    return [np.where(inside, rng.uniform(0.5, 1.0, inside.shape), noise * rng.uniform(size=inside.shape)) for _ in "ab"]


def test_n_cut_by_hand() -> None:
    """A path a-b-c with edges 2 and 1, cut between b and c: 1 of {a, b}'s volume 5, and all of {c}'s."""
    graph = weight_graph([np.array([[2.0]]), np.array([[-1.0]])])
    np.testing.assert_array_equal(graph, [[0, 2, 0], [2, 0, 1], [0, 1, 0]])
    assert n_cut(graph, np.array([0, 0, 1])) == pytest.approx(1 / 5 + 1)
    assert n_cut(graph, np.array([0, 0, 0])) == 0.0


def test_disjoint_nets_are_found_and_cost_nothing_to_cut() -> None:
    graph = weight_graph(blocks(4, 12, noise=0.0))
    labels = spectral_clusters(graph, 4, seed=0)
    assert n_cut(graph, labels) == 0.0
    assert [len(set(labels[np.tile(np.repeat(np.arange(4), 12), 3) == k])) for k in range(4)] == [1] * 4


def test_planted_clusters_score_and_weights_without_any_do_not() -> None:
    planted = clusterability(blocks(4, 12, noise=0.05), 4, seed=0)
    assert planted["score"] > 0.6 and planted["n_cut"] < planted["n_cut_shuffled"]
    noise = np.random.default_rng(0).normal(size=(3, 2, 48, 48))
    assert all(abs(clusterability(list(layers), 4, seed=0)["score"]) < 0.05 for layers in noise)


def test_a_unit_without_weights_is_left_alone_and_layers_must_fit() -> None:
    layers = blocks(2, 6, noise=0.0)
    layers[0][0], layers[1][:, 0] = 0.0, 0.0
    assert np.isfinite(clusterability(layers, 2, seed=0)["score"])
    with pytest.raises(ValueError, match="no chain"):
        weight_graph([np.ones((2, 3)), np.ones((2, 3))])
