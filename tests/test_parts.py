"""Measures of parts of V on arrays: planted positives and nulls, identities, answers by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.predictions.ablation import damages, pair_overlap
from analysis.predictions.activation import above_untrained, active_part, gating
from analysis.predictions.activation_law import corner_distance, decay, excess_decay, matched_contributions
from analysis.predictions.context_table import additivity, read_table
from analysis.predictions.event_binding import binding, profile
from analysis.predictions.organisation import distance, match, organisation, unlikeness
from analysis.predictions.parts import UnitReading
from analysis.predictions.shard_count import count_parts, spectral_labels

SEEDS = st.integers(0, 2**31 - 1)


def planted(num_parts: int = 4, *, gated: bool, units_each: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Units float[1500, U] with signs and scales of their own: at work in one context alone, or in all of them."""
    rng = np.random.default_rng(seed)
    contexts = rng.integers(num_parts, size=1500)
    owner = np.repeat(np.arange(num_parts), units_each)
    units = np.maximum(rng.normal(0.5, 1.0, size=(1500, len(owner))), 0.0) * rng.normal(size=len(owner))
    return units * (contexts[:, None] == owner) if gated else units, contexts


class TestActivation:
    def test_the_loudest_part_is_active_whatever_its_sign(self) -> None:
        units = np.array([[1.0, 0.0, -3.0], [0.5, 2.0, 1.0]])
        assert active_part(units, np.array([0, 0, 1]), 2).tolist() == [1, 0]

    @pytest.mark.parametrize("num_parts", [2, 4])
    def test_planted_parts_tell_the_context(self, num_parts: int) -> None:
        units, contexts = planted(num_parts, gated=True)
        # Of one sign, so that k-means on standardised columns finds the planted parts.
        assert gating(np.abs(units), contexts, seed=0) == pytest.approx(1.0)

    def test_units_that_serve_all_tell_nothing(self) -> None:
        assert gating(*planted(gated=False), seed=0) < 0.02

    @pytest.mark.parametrize(
        ("information", "untrained", "score"), [(1.0, 0.4, 1.0), (0.7, 0.4, 0.5), (0.3, 0.4, 0.0), (1.0, 1.0, None)]
    )
    def test_the_untrained_network_is_the_zero(self, information: float, untrained: float, score: float | None) -> None:
        assert above_untrained(information, untrained) == (None if score is None else pytest.approx(score))


class TestPairs:
    def test_copies_overlap_wholly_and_strangers_not_at_all(self) -> None:
        rng = np.random.default_rng(0)
        contexts = np.repeat([0, 1], 2)
        part = rng.normal(size=(4, 1))
        assert pair_overlap(np.hstack([part, part, part]), contexts) == pytest.approx(1.0)
        assert pair_overlap(np.hstack([part, -part]), contexts) == pytest.approx(1.0)
        assert pair_overlap(np.array([[1.0, 0], [-1, 0], [0, 2], [0, -2]]), contexts) == 0.0

    def test_redundancy_by_hand(self) -> None:
        """Parts x and x + y: V(p) = 1, V(q) = 2, together 5 instead of 3."""
        x, y = np.array([1.0, 1, -1, -1]), np.array([1.0, -1, 1, -1])
        assert pair_overlap(np.stack([x, x + y], axis=1), np.zeros(4, int)) == pytest.approx(2 / 3)
        assert damages(np.stack([x, x + y], axis=1), np.zeros(4, int), 1).tolist() == [[1.0], [2.0]]


class TestReading:
    rng = np.random.default_rng(0)
    read = UnitReading(
        rng.uniform(size=(30, 3, 5)), np.eye(3)[rng.integers(3, size=30)], rng.normal(size=(3, 5))
    )  # fmt: skip

    def test_a_rotation_leaves_the_value_alone_and_moves_the_units(self) -> None:
        plain, rotated = self.read.contributions(), self.read.rotated(seed=1)
        np.testing.assert_allclose(rotated.sum(axis=1), plain.sum(axis=1))
        assert (plain == 0).mean() > 0.6 > 0.0 == (rotated == 0).mean()

    def test_a_whole_leak_counts_every_part_alike(self) -> None:
        leaked = self.read.contributions(leak=1.0)
        np.testing.assert_allclose(leaked, (self.read.output_weight * self.read.hidden).reshape(30, -1) / 3)
        halfway = (self.read.contributions() + leaked) / 2
        np.testing.assert_allclose(self.read.contributions(leak=0.5), halfway)


class TestCount:
    @pytest.mark.parametrize("num_parts", [2, 4, 8])
    def test_planted_numbers_are_found(self, num_parts: int) -> None:
        count = count_parts(planted(num_parts, gated=True, units_each=10)[0], seed=0)
        assert count.best == num_parts
        assert count.found(num_parts) == 1.0 > count.found(num_parts + 1)

    def test_units_without_parts_have_no_stable_number(self) -> None:
        count = count_parts(planted(gated=False)[0], seed=0)
        assert count.stability[count.best] < 0.3
        assert count.found(count.best) == 0.0

    def test_neither_sign_nor_scale_matters(self) -> None:
        units = planted(gated=True, units_each=4)[0]
        # A power of two, so that no rounding differs.
        assert count_parts(units * 8.0, seed=0) == count_parts(-units, seed=0)

    def test_separate_groups_are_found_exactly(self) -> None:
        groups = np.array([0, 1, 1, 2, 0, 2, 2])
        labels = spectral_labels((groups[:, None] == groups) * 1.0, 3, rng=np.random.default_rng(0))
        assert len({(a, b) for a, b in zip(groups.tolist(), labels.tolist(), strict=True)}) == 3

    def test_too_few_units_are_refused(self) -> None:
        with pytest.raises(ValueError, match="5 units are alive"):
            count_parts(planted(gated=False)[0][:, :5], seed=0)


class TestOrganisation:
    gated, spread = planted(gated=True), planted(gated=False)

    def test_known_organisations_are_one_apart(self) -> None:
        assert distance(self.gated[0], self.spread[0], self.gated[1]) == pytest.approx(1.0, abs=0.02)

    @settings(max_examples=15, deadline=None)
    @given(SEEDS)
    def test_it_is_symmetric_and_blind_to_order_scale_and_number(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        contexts = np.arange(60) % 3
        first, second = (rng.normal(size=(60, size)) * rng.uniform(size=size) for size in (7, 4))
        apart = distance(first, second, contexts)
        assert 0.0 <= apart <= 1.0
        assert distance(second, first, contexts) == pytest.approx(apart)
        assert distance(first[:, rng.permutation(7)] * 3.0, second, contexts) == pytest.approx(apart)
        split = np.hstack([first / 2, first / 2])
        assert distance(first, split, contexts) == pytest.approx(0.0, abs=1e-12)

    def test_selectivity_by_hand(self) -> None:
        """Unit 0 varies in context 0 alone; unit 1 alike in both; unit 2 never does."""
        units = np.array([[1.0, 1.0, 5.0], [-1.0, -1.0, 5.0], [0.0, 1.0, 5.0], [0.0, -1.0, 5.0]])
        found = organisation(units, np.array([0, 0, 1, 1]))
        np.testing.assert_allclose(found.selectivity, [1.0, 0.0, 0.0])
        np.testing.assert_allclose(found.weight, [1 / 3, 2 / 3, 0.0])

    def test_a_constant_network_is_refused(self) -> None:
        with pytest.raises(ValueError, match="no unit varies"):
            organisation(np.ones((4, 2)), np.array([0, 0, 1, 1]))

    def test_unlikeness_and_match_of_a_network_with_itself(self) -> None:
        units = self.spread[0]
        turned = units @ np.linalg.qr(np.random.default_rng(0).normal(size=(units.shape[1],) * 2))[0]
        assert unlikeness(units, units) == pytest.approx(0.0, abs=1e-12)
        assert unlikeness(units, turned) == pytest.approx(0.0, abs=1e-12)
        assert match(units.sum(axis=1), units.sum(axis=1)) == 1.0
        assert match(np.array([1.0, -1.0]), np.array([-1.0, 1.0])) == pytest.approx(-3.0)


class TestBinding:
    pairing = np.array([2, 0, 1])

    def planted(self, partner: np.ndarray) -> np.ndarray:
        """Part p answers to cue p and to that cue's partner: float[K, K, K]."""
        cue, item = np.eye(3)[:, :, None], np.eye(3)[partner][:, None, :]
        return np.asarray(cue + item)

    def test_parts_that_follow_the_pairing_score_one(self) -> None:
        assert binding(self.planted(self.pairing), self.pairing) == pytest.approx(1.0)
        assert binding(self.planted(np.array([0, 1, 2])), self.pairing) == pytest.approx(-0.5)

    @settings(max_examples=20, deadline=None)
    @given(SEEDS)
    def test_the_mean_over_all_pairings_is_zero(self, seed: int) -> None:
        activity = np.random.default_rng(seed).normal(size=(5, 3, 3))
        orders = [np.array(order) for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))]
        assert np.mean([binding(activity, order) for order in orders]) == pytest.approx(0.0, abs=1e-12)

    def test_an_interaction_of_v_alone_binds_nothing(self) -> None:
        """V lower on pairings that it never met has no main effects."""
        assert binding(np.eye(3)[self.pairing][None], self.pairing) == 0.0

    def test_a_profile_adds_the_units_of_each_part(self) -> None:
        units = np.random.default_rng(0).normal(size=(4, 2, 2, 3))
        activity = profile(units, np.array([0, 1, 0]), 2)
        np.testing.assert_allclose(activity[0], (units[..., 0] + units[..., 2]).mean(axis=0))

    def test_no_permutation_is_refused(self) -> None:
        with pytest.raises(ValueError, match="permutation"):
            binding(np.zeros((1, 2, 2)), np.array([0, 0]))


class TestTable:
    rng = np.random.default_rng(0)

    def test_an_additive_table_has_no_interaction_and_rank_two(self) -> None:
        table = self.rng.normal(size=(40, 1)) + np.array([1.0, 3.0, -4.0])
        found = read_table(table, seed=0)
        assert found.interaction == pytest.approx(0.0, abs=1e-12)
        assert (found.rank, found.explained[1]) == (2, pytest.approx(1.0))

    def test_a_planted_interaction_is_read_off(self) -> None:
        situation, context = self.rng.normal(size=(40, 1)), np.array([[1.0, -1.0]])
        found = read_table((situation - situation.mean()) * context, seed=0)
        assert found.interaction == pytest.approx(1.0)
        assert (found.effective_rank, found.rank) == (pytest.approx(1.0), 1)

    def test_as_many_equal_shards_as_contexts(self) -> None:
        """Four independent columns: effective rank 4 - o(1), and m of 4 shards explain about m/4."""
        found = read_table(self.rng.normal(size=(4000, 4)), seed=0)
        assert found.effective_rank == pytest.approx(4.0, abs=0.01)
        np.testing.assert_allclose(found.explained, [0.25, 0.5, 0.75, 1.0], atol=0.03)

    def test_a_constant_in_v_is_no_shard(self) -> None:
        table = self.rng.normal(size=(40, 3))
        np.testing.assert_allclose(additivity(table + 100.0, seed=0), additivity(table, seed=0))

    @settings(max_examples=20, deadline=None)
    @given(SEEDS, st.integers(2, 5))
    def test_shares_rise_to_one(self, seed: int, num_contexts: int) -> None:
        shares = additivity(np.random.default_rng(seed).normal(size=(12, num_contexts)), seed=seed)
        assert all(low <= high + 1e-12 for low, high in zip(shares, shares[1:], strict=False))
        assert shares[-1] == pytest.approx(1.0)


class TestLaw:
    rng = np.random.default_rng(0)
    contexts = rng.integers(4, size=4000)
    optimum = rng.uniform(0.5, 1.0, size=4000)
    distances = rng.integers(7, size=4000), rng.integers(7, size=4000)

    def test_corners_by_hand(self) -> None:
        cells = np.array([[0, 0], [3, 3], [4, 0], [6, 6], [6, 6]])
        assert corner_distance(cells, np.array([0, 0, 0, 0, 3]), 7).tolist() == [0, 0, 1, 6, 0]
        assert corner_distance(np.array([[0, 6], [6, 0]]), np.array([1, 2]), 7).tolist() == [0, 0]
        assert corner_distance(np.array([[2, 0], [3, 0]]), np.array([2, 2]), 7).tolist() == [1, 0]

    @pytest.mark.parametrize("sign", [1.0, -1.0])
    def test_a_decay_is_read_off_whatever_the_sign_and_scale(self, sign: float) -> None:
        said = sign * 7.0 * (self.optimum + 1.0 - 0.05 * self.distances[0])
        rms = float(np.sqrt(((said / 7) ** 2).mean()))
        found = decay(said, self.contexts, distance=self.distances[0], optimum=self.optimum)
        assert found == pytest.approx(0.05 / rms, rel=0.02)

    def test_the_optimum_does_not_decay(self) -> None:
        assert decay(self.optimum, self.contexts, distance=self.distances[0], optimum=self.optimum) == pytest.approx(
            0.0, abs=1e-12
        )

    def test_a_planted_shard_fades_beyond_a_kernel(self) -> None:
        own, kernel = (
            excess_decay(
                tuple(self.optimum * np.exp(-rate * far) for far in self.distances),  # type: ignore[arg-type]
                self.contexts, distances=self.distances, optimum=self.optimum,
            )
            for rate in (1 / 3, 0.02)
        )  # fmt: skip
        assert own - kernel > 0.15

    def test_what_both_networks_do_alike_is_no_excess(self) -> None:
        """Geometry: whoever fades from a place, so does its sister."""
        said = self.optimum - 0.05 * self.distances[0] - 0.02 * self.distances[1]
        assert excess_decay((said, said), self.contexts, distances=self.distances, optimum=self.optimum) == 0.0

    def test_each_context_is_read_by_its_own_part(self) -> None:
        units, contexts = planted(gated=True)
        units = np.abs(units)
        np.testing.assert_allclose(matched_contributions(units, contexts, seed=0), units.sum(axis=1))
