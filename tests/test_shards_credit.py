"""Where gradients go: exact shares, finite differences, and the penalty of the flat control."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from shards.controls import FlatCredit, context_penalty, target_variance
from shards.credit import GlobalCredit, RoutedCredit, squared_error
from shards.head_spec import HeadSpec
from shards.registry import build_head
from shards.value_head import ValueEstimate, ValueHead, ValueTargets

NUM_FEATURES, NUM_EVENTS, BATCH = 6, 3, 10
FLAGS = [(False, "routed"), (True, "routed"), (False, "stopped"), (True, "stopped"), (False, "global")]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mixture(name: str, *, routing: RoutedCredit | None = None) -> ValueHead:
    """MOE or ROUTE in float64, with the same weights and an uneven gate."""
    spec = HeadSpec(
        num_features=NUM_FEATURES, hidden_size=4, num_parts=NUM_EVENTS, num_events=NUM_EVENTS, routing=routing
    )
    head = build_head(name, spec, generator=generator())
    nn.init.normal_(head.gate.weight, generator=generator(1))
    nn.init.constant_(head.bias, 0.3)
    return head.double()


def features() -> Tensor:
    return torch.randn(BATCH, NUM_FEATURES, generator=generator(2), dtype=torch.float64)


def targets(share: Tensor | None) -> ValueTargets:
    total = torch.randn(BATCH, generator=generator(3), dtype=torch.float64)
    return ValueTargets(total, event_share=share, valid=torch.arange(BATCH) != 4)


def random_share() -> Tensor:
    share = torch.rand(BATCH, NUM_EVENTS, generator=generator(5), dtype=torch.float64)
    return share / share.sum(1, keepdim=True)


def gradients(head: ValueHead, given_targets: ValueTargets) -> dict[str, Tensor]:
    inputs = features().requires_grad_()
    head.zero_grad()
    head.credit(head(inputs), given_targets).backward()
    found = {name: parameter.grad.clone() for name, parameter in head.named_parameters()}
    return found | {"features": torch.zeros_like(inputs) if inputs.grad is None else inputs.grad}


def literal_loss(head: ValueHead, inputs: Tensor, given_targets: ValueTargets, *, gate_routed: bool) -> Tensor:
    """The formula of the definition, term by term, with sg(x) = x.detach()."""
    estimate, share = head(inputs), given_targets.event_share
    errors = []
    for b in range(BATCH):
        value = head.bias
        for k in range(NUM_EVENTS):
            weight, part, s = estimate.weights[b, k], estimate.part_values[b, k], share[b, k]
            if gate_routed:
                value = value + s * (weight * part) + ((1 - s) * (weight * part)).detach()
            else:
                value = value + weight * (s * part + ((1 - s) * part).detach())
        if given_targets.valid[b]:
            errors.append((value - given_targets.total[b]) ** 2)
    return torch.stack(errors).mean()


class TestRouted:
    @pytest.mark.parametrize(("gate", "encoder"), FLAGS)
    def test_loss_is_that_of_global_credit_bitwise(self, gate: bool, encoder: str) -> None:
        given_targets = targets(random_share())
        route = mixture("ROUTE", routing=RoutedCredit(gate_routed=gate, encoder=encoder))
        moe = mixture("MOE")
        assert torch.equal(route.credit(route(features()), given_targets), moe.credit(moe(features()), given_targets))

    @pytest.mark.parametrize(("gate", "encoder"), FLAGS)
    def test_gradients_are_those_of_the_definition(self, gate: bool, encoder: str) -> None:
        head = mixture("ROUTE", routing=RoutedCredit(gate_routed=gate, encoder=encoder))
        found = gradients(head, targets(random_share()))
        inputs = features().requires_grad_()
        head.zero_grad()
        head.credit_rule = RoutedCredit(encoder="routed")
        literal_loss(head, inputs, targets(random_share()), gate_routed=gate).backward()
        for name, parameter in head.named_parameters():
            torch.testing.assert_close(found[name], parameter.grad, rtol=0, atol=1e-12)
        ordinary = gradients(mixture("MOE"), targets(None))["features"]
        expected = {"routed": inputs.grad, "stopped": torch.zeros_like(inputs), "global": ordinary}[encoder]
        torch.testing.assert_close(found["features"], expected, rtol=0, atol=1e-12)

    def test_an_unknown_or_undefined_reading_is_refused(self) -> None:
        with pytest.raises(ValueError, match="'sideways'"):
            RoutedCredit(encoder="sideways")
        with pytest.raises(ValueError, match="gate_routed"):
            RoutedCredit(encoder="global", gate_routed=True)

    @pytest.mark.parametrize("shares", [(0.25, 0.75, 0.0), (1.0, 0.0, 0.0), (0.5, 0.125, 0.375)])
    def test_part_gradients_are_exactly_scaled(self, shares: tuple[float, ...]) -> None:
        """The same share for all samples (a sum of powers of 2, so that scaling commutes with rounding)."""
        share = torch.tensor(shares, dtype=torch.float64).expand(BATCH, -1)
        routed, unrouted = gradients(mixture("ROUTE"), targets(share)), gradients(mixture("MOE"), targets(None))
        for name in ("parts.input_weight", "parts.input_bias", "parts.output_weight"):
            for k, s in enumerate(shares):
                torch.testing.assert_close(routed[name][k], s * unrouted[name][k], rtol=1e-14, atol=0)
        for name in ("gate.weight", "gate.bias", "bias"):
            assert torch.equal(routed[name], unrouted[name])

    def test_part_value_gradients_are_exactly_scaled_per_sample(self) -> None:
        given_targets, per_part = targets(random_share()), []
        for name in ("ROUTE", "MOE"):
            head = mixture(name)
            estimate = head(features())
            estimate.part_values.retain_grad()
            head.credit(estimate, given_targets).backward()
            per_part.append(estimate.part_values.grad)
        assert torch.equal(per_part[0], given_targets.event_share * per_part[1])

    def test_part_gradient_against_finite_differences(self) -> None:
        """∂loss/∂(a weight of part k) with all samples of one share: s_k times the finite difference of the loss."""
        shares = torch.tensor([0.25, 0.75, 0.0], dtype=torch.float64)
        head, given_targets, step = mixture("ROUTE"), targets(shares.expand(BATCH, -1)), 1e-6
        found = gradients(head, given_targets)["parts.output_weight"]
        for k in range(NUM_EVENTS):
            losses = []
            for sign in (1, -1):
                with torch.no_grad():
                    head.parts.output_weight[k, 2] += sign * step
                    losses.append(head.credit(head(features()), given_targets).item())
                    head.parts.output_weight[k, 2] -= sign * step
            slope = (losses[0] - losses[1]) / (2 * step)
            assert found[k, 2].item() == pytest.approx(float(shares[k]) * slope, rel=1e-6, abs=1e-9)

    @pytest.mark.parametrize("gate", [False, True])
    @pytest.mark.parametrize("fill", [1.0, torch.nan])
    def test_full_or_withheld_shares_give_global_credit(self, fill: float, gate: bool) -> None:
        share = torch.full((BATCH, NUM_EVENTS), fill, dtype=torch.float64)
        routed = gradients(mixture("ROUTE", routing=RoutedCredit(gate_routed=gate)), targets(share))
        unrouted = gradients(mixture("MOE"), targets(None))
        for name, gradient in unrouted.items():
            torch.testing.assert_close(routed[name], gradient, rtol=1e-14, atol=1e-15, msg=name)

    def test_withheld_labels_concern_their_samples_only(self) -> None:
        share = random_share()
        share[2] = torch.nan
        filled = share.nan_to_num(nan=1.0)
        first, second = (gradients(mixture("ROUTE"), targets(each)) for each in (share, filled))
        assert all(torch.equal(first[name], second[name]) for name in first)

    def test_gate_learns_globally_unless_routed(self) -> None:
        one_event = torch.zeros(BATCH, NUM_EVENTS, dtype=torch.float64)
        unrouted = gradients(mixture("MOE"), targets(None))["gate.weight"]
        free = gradients(mixture("ROUTE"), targets(one_event))["gate.weight"]
        bound = gradients(mixture("ROUTE", routing=RoutedCredit(gate_routed=True)), targets(one_event))["gate.weight"]
        assert torch.equal(free, unrouted)
        assert not bound.any()

    def test_shares_of_wrong_shape(self) -> None:
        head = mixture("ROUTE")
        with pytest.raises(ValueError, match=r"targets.event_share has shape \(10, 2\), but must have \(10, 3\)"):
            head.credit(head(features()), targets(torch.ones(BATCH, 2)))


def estimate_from(contributions: Tensor) -> ValueEstimate:
    """One part whose units contribute what is given."""
    ones = torch.ones(contributions.shape[0], 1, dtype=contributions.dtype)
    signs = contributions.sign().amax(0) + (contributions.sign().amax(0) == 0) * contributions.sign().amin(0)
    hidden, total = contributions.abs().unsqueeze(1), contributions.sum(1)
    return ValueEstimate(total, total.unsqueeze(1), ones, hidden, signs.unsqueeze(0))


def literal_penalty(contributions: Tensor, context: Tensor, num_contexts: int) -> float:
    """The definition with loops."""
    size = torch.stack([contributions[context == c].abs().mean(0) for c in range(num_contexts)])
    penalty = 0.0
    for j in range(contributions.shape[1]):
        omega = float(size[:, j].sum() / size.sum())
        share = size[:, j] / size[:, j].sum()
        penalty += omega * float((share**2).sum() - 1 / num_contexts)
    return penalty


class TestFlat:
    def test_known_answers(self) -> None:
        context = torch.tensor([0, 0, 1, 1])
        rows = {
            "flat": ([[1.0], [3.0], [2.0], [2.0]], 0.0),
            "one context each": ([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], 0.5),
            "three to one": ([[3.0], [3.0], [1.0], [1.0]], 0.75**2 + 0.25**2 - 0.5),
        }
        for rows_of, expected in rows.values():
            estimate = estimate_from(torch.tensor(rows_of, dtype=torch.float64))
            penalty = context_penalty(estimate, ValueTargets(torch.zeros(4), context=context), num_contexts=2)
            assert penalty.item() == pytest.approx(expected, abs=1e-12)

    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), num_contexts=st.integers(1, 4), num_units=st.integers(1, 6))
    def test_against_loops(self, seed: int, num_contexts: int, num_units: int) -> None:
        draws = torch.rand(24, num_units, generator=generator(seed), dtype=torch.float64)
        signs = torch.randint(0, 2, (num_units,), generator=generator(seed)) * 2 - 1
        context = torch.arange(24) % num_contexts
        given_targets = ValueTargets(torch.zeros(24), context=context)
        penalty = context_penalty(estimate_from(draws * signs), given_targets, num_contexts=num_contexts)
        assert penalty.item() == pytest.approx(literal_penalty(draws * signs, context, num_contexts), abs=1e-12)
        assert -1e-12 <= penalty.item() <= 1 - 1 / num_contexts

    def test_unit_sizes_under_a_gate(self) -> None:
        """With several weighted parts, too, u is the unit contribution."""
        head = mixture("MOE")
        estimate, context = head(features()), torch.arange(BATCH) % 2
        penalty = context_penalty(estimate, ValueTargets(torch.zeros(BATCH), context=context), num_contexts=2)
        expected = literal_penalty(estimate.unit_contributions.detach(), context, 2)
        assert penalty.item() == pytest.approx(expected, abs=1e-12)

    def test_weights_of_units_send_no_gradient(self) -> None:
        contributions = torch.tensor([[3.0, 1.0], [1.0, 1.0]], dtype=torch.float64, requires_grad=True)
        given_targets = ValueTargets(torch.zeros(2), context=torch.tensor([0, 1]))
        context_penalty(estimate_from(contributions), given_targets, num_contexts=2).backward()
        # Unit 0: ω = 4/6, share = (3/4, 1/4), ∂share_0/∂m_0 = 1/16; unit 1 is flat, and moves only through ω.
        expected = 4 / 6 * (2 * 0.75 - 2 * 0.25) / 16
        assert contributions.grad[0, 0].item() == pytest.approx(expected, abs=1e-12)
        assert contributions.grad[:, 1].abs().max().item() == pytest.approx(0, abs=1e-12)

    def test_absent_and_unknown_contexts_are_left_out(self) -> None:
        rows = torch.tensor([[3.0], [1.0], [100.0]], dtype=torch.float64)
        with_unknown = ValueTargets(torch.zeros(3), context=torch.tensor([0, 2, -1]))
        invalid = ValueTargets(torch.zeros(3), context=torch.tensor([0, 2, 0]), valid=torch.tensor([True, True, False]))
        for given_targets in (with_unknown, invalid):
            penalty = context_penalty(estimate_from(rows), given_targets, num_contexts=3)
            assert penalty.item() == pytest.approx(0.75**2 + 0.25**2 - 0.5)
        alone = ValueTargets(torch.zeros(3), context=torch.tensor([1, 1, 1]))
        assert context_penalty(estimate_from(rows), alone, num_contexts=3).item() == pytest.approx(0, abs=1e-12)

    def test_dead_units_do_no_harm(self) -> None:
        contributions = torch.zeros(4, 2, requires_grad=True)
        given_targets = ValueTargets(torch.zeros(4), context=torch.tensor([0, 0, 1, 1]))
        penalty = context_penalty(estimate_from(contributions), given_targets, num_contexts=2)
        penalty.backward()
        assert penalty.item() == 0.0
        assert bool(contributions.grad.isfinite().all())

    def test_loss_is_relative_error_and_penalty(self) -> None:
        rows = torch.tensor([[3.0], [3.0], [1.0], [1.0]], dtype=torch.float64)
        total = torch.tensor([3.0, 5.0, 1.0, 3.0], dtype=torch.float64)
        given_targets = ValueTargets(total, context=torch.tensor([0, 0, 1, 1]))
        bias = torch.zeros(())
        on, off = FlatCredit(2, penalty_weight=0.5), FlatCredit(2, penalty_weight=0.0)
        assert off(estimate_from(rows), given_targets, bias).item() == pytest.approx(2 / 2)
        assert on(estimate_from(rows), given_targets, bias).item() == pytest.approx(2 / 2 + 0.5 * 0.125)

    def test_switched_off_needs_no_context(self) -> None:
        spec = HeadSpec(num_features=NUM_FEATURES, hidden_size=4, num_contexts=2)
        head = build_head("NEG-F", spec, generator=generator())
        given_targets = ValueTargets(torch.randn(BATCH, generator=generator(3)))
        with pytest.raises(ValueError, match="targets.context is None"):
            head.credit(head(features().float()), given_targets)
        assert head.credit_rule.penalty_weight == 0.02
        head.credit_rule = dataclasses.replace(head.credit_rule, penalty_weight=0.0)
        assert bool(head.credit(head(features().float()), given_targets).isfinite())

    def test_training_flattens(self) -> None:
        """The target is |x_0| in context 0, |x_1| in context 1: MONO's units specialise, NEG-F's do less."""
        context = torch.arange(64) % 2
        places = torch.randn(64, 3, generator=generator(8))
        inputs = torch.cat([nn.functional.one_hot(context, 2).float(), places], 1)
        total = torch.where(context == 0, places[:, 0].abs(), places[:, 1].abs())
        given_targets = ValueTargets(total, context=context)
        mono, flat = (train(name, inputs, given_targets, num_steps=500) for name in ("MONO", "NEG-F"))
        assert max(mono[1], flat[1]) < 0.01
        assert mono[0] > 0.05
        assert flat[0] < 0.5 * mono[0]


def train(name: str, inputs: Tensor, given_targets: ValueTargets, *, num_steps: int) -> tuple[float, float]:
    """Train a head on a two-layer encoder; return its context penalty and its error relative to the variance."""
    encoder = nn.Sequential(nn.Linear(5, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
    head = build_head(name, HeadSpec(num_features=64, hidden_size=32, num_contexts=2), generator=generator(9))
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, std=0.2, generator=generator(10))
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=0.003)
    for _ in range(num_steps):
        optimizer.zero_grad()
        head.credit(head(encoder(inputs)), given_targets).backward()
        optimizer.step()
    with torch.no_grad():
        estimate = head(encoder(inputs))
        error = squared_error(estimate.value, given_targets) / target_variance(given_targets)
        return float(context_penalty(estimate, given_targets, num_contexts=2)), float(error)


class TestSquaredError:
    def test_mean_over_valid(self) -> None:
        value, total = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 0.0, torch.nan])
        valid = torch.tensor([True, True, False])
        assert squared_error(value, ValueTargets(total, valid=valid)).item() == 2.5

    def test_all_valid_is_the_same_as_no_mask(self) -> None:
        value, total = torch.randn(50, generator=generator()), torch.randn(50, generator=generator(1))
        masked = squared_error(value, ValueTargets(total, valid=torch.ones(50, dtype=torch.bool)))
        torch.testing.assert_close(masked, squared_error(value, ValueTargets(total)))

    def test_none_valid(self) -> None:
        value = torch.ones(3, requires_grad=True)
        loss = squared_error(value, ValueTargets(torch.zeros(3), valid=torch.zeros(3, dtype=torch.bool)))
        loss.backward()
        assert loss.item() == 0.0
        assert not value.grad.any()

    def test_variance_of_targets(self) -> None:
        total = torch.tensor([0.0, 2.0, torch.nan])
        valid = torch.tensor([True, True, False])
        assert target_variance(ValueTargets(total, valid=valid)).item() == 1.0
        assert target_variance(ValueTargets(torch.tensor([0.0, 4.0]))).item() == 4.0
        assert target_variance(ValueTargets(torch.full((1000,), 0.1))).item() == 1.0
        assert target_variance(ValueTargets(torch.zeros(4))).item() == 1.0

    def test_global_credit_ignores_events_and_contexts(self) -> None:
        head = mixture("MOE")
        losses = [GlobalCredit()(head(features()), targets(share), head.bias) for share in (None, random_share())]
        assert torch.equal(*losses)
