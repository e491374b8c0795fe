"""What sets the arms apart: grouped, summed, componentwise and bootstrapped credit; mixers; the leak; reflection."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from shards.credit import RoutedCredit
from shards.gates import OracleGate
from shards.head_spec import HeadSpec
from shards.mixers import MIXERS, TopMixer, auction_mixer, max_mixer, mix, sigmoid_mixer, softmax_mixer
from shards.registry import build_head
from shards.value_head import ValueHead, ValueTargets

D, K, H, BATCH = 6, 3, 4, 10
SPEC = HeadSpec(num_features=D, hidden_size=H, num_contexts=K, num_events=K, component_weights=(1.0, -2.0, 0.5))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(*shape: int, seed: int = 2) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def make(name: str, **options: object) -> ValueHead:
    """A head in float64 whose gate and bias are off their start."""
    parts = {"num_parts": K} if name in ("ADD", "MOE", "NEG-2") else {}
    head = build_head(name, dataclasses.replace(SPEC, **parts, **options), generator=generator())
    for key, parameter in head.named_parameters():
        if key.startswith("gate"):
            nn.init.normal_(parameter, generator=generator(1))
    return head.double()


def told(**more: Tensor) -> ValueTargets:
    return ValueTargets(draw(BATCH, seed=3), **more)


def shares() -> Tensor:
    share = torch.rand(BATCH, K, generator=generator(5), dtype=torch.float64)
    return share / share.sum(1, keepdim=True)


def gradients(head: ValueHead, targets: ValueTargets, inputs: Tensor | None = None) -> dict[str, Tensor]:
    inputs = (draw(BATCH, D) if inputs is None else inputs).requires_grad_()
    head.zero_grad()
    head.credit(head(inputs, targets.context), targets).backward()
    found = {name: parameter.grad for name, parameter in head.named_parameters() if parameter.grad is not None}
    return found | {"features": torch.zeros_like(inputs) if inputs.grad is None else inputs.grad}


class TestGroups:
    """MONO-ROUTE: the gradient of a group of units times the share of its event."""

    def test_gradient_of_a_group_is_its_share_of_the_global_gradient(self) -> None:
        share = torch.tensor([0.5, 0.125, 0.375], dtype=torch.float64)
        spec = dataclasses.replace(SPEC, hidden_size=K * H)
        mono = build_head("MONO", spec, generator=generator()).double()
        whole = gradients(mono, told())
        routed = gradients(make("MONO-ROUTE"), told(event_share=share.expand(BATCH, -1)))
        for name in ("parts.input_weight", "parts.input_bias", "parts.output_weight"):
            for k in range(K):
                group = slice(k * H, (k + 1) * H)
                torch.testing.assert_close(routed[name][0, group], share[k] * whole[name][0, group], rtol=1e-13, atol=0)
        assert torch.equal(routed["bias"], whole["bias"])

    def test_gradient_at_every_sample_is_exact(self) -> None:
        head, targets, at = make("MONO-ROUTE"), told(event_share=shares()), []
        for rule in (head.credit_rule, RoutedCredit()):
            head.credit_rule = rule
            estimate = head(draw(BATCH, D))
            estimate.part_values.retain_grad()
            given = targets if not at else dataclasses.replace(targets, event_share=torch.ones_like(shares()))
            head.credit(estimate, given).backward()
            at.append(estimate.part_values.grad)
        assert torch.equal(at[0], shares() * at[1])

    def test_gradient_against_finite_differences(self) -> None:
        """An own weight of group k, all samples of one share: s_k times the difference quotient of the loss."""
        share = torch.tensor([0.25, 0.75, 0.0], dtype=torch.float64)
        head, targets, step = make("MONO-ROUTE"), told(event_share=share.expand(BATCH, -1)), 1e-6
        found = gradients(head, targets)["parts.input_bias"]
        for k in range(K):
            losses = []
            for sign in (1, -1):
                with torch.no_grad():
                    head.parts.input_bias[0, k * H + 1] += sign * step
                    losses.append(head.credit(head(draw(BATCH, D)), targets).item())
                    head.parts.input_bias[0, k * H + 1] -= sign * step
            slope = (losses[0] - losses[1]) / (2 * step)
            assert found[0, k * H + 1].item() == pytest.approx(share[k].item() * slope, abs=1e-7)

    @pytest.mark.parametrize("encoder", ["routed", "global", "stopped"])
    def test_what_reaches_the_features(self, encoder: str) -> None:
        spec = dataclasses.replace(SPEC, hidden_size=K * H)
        whole = gradients(build_head("MONO", spec, generator=generator()).double(), told())["features"]
        head = make("MONO-ROUTE", routing=RoutedCredit(encoder=encoder))
        share = shares()
        inputs = draw(BATCH, D).requires_grad_()
        estimate = head(inputs)
        error = 2 * (estimate.value - told().total).detach() / BATCH
        (routed,) = torch.autograd.grad((error * (share * make("MONO-ROUTE")(inputs).part_values).sum(1)).sum(), inputs)
        expected = {"routed": routed, "global": whole, "stopped": torch.zeros_like(whole)}[encoder]
        found = gradients(head, told(event_share=share))
        torch.testing.assert_close(found["features"], expected, rtol=0, atol=1e-12)
        usual = gradients(make("MONO-ROUTE"), told(event_share=share))
        for name, parameter in head.named_parameters():
            torch.testing.assert_close(found[name], usual[name], rtol=0, atol=1e-12, msg=name)
            assert parameter.grad is not None

    def test_deeper_layers_belong_to_all_groups(self) -> None:
        none = torch.zeros(BATCH, K, dtype=torch.float64)
        one = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64).expand(BATCH, -1)
        head = make("MONO-ROUTE", num_layers=2)
        assert not any(gradients(head, told(event_share=none))[f"parts.{name}"].any() for name in ("input_weight",))
        found = gradients(head, told(event_share=one))
        assert bool(found["parts.input_weight"].any(dim=2).all())
        assert not found["parts.deeper_weight.0"][0, H:].any()

    def test_with_one_hidden_layer_it_is_a_routed_sum(self) -> None:
        """Groups of a network are parts of a sum: with the same weights, ROUTE without a gate learns the same."""
        summed, grouped = make("ROUTE", mixer="sum"), make("MONO-ROUTE")
        summed_found, found = (gradients(head, told(event_share=shares())) for head in (summed, grouped))
        for name in ("parts.input_weight", "parts.output_weight", "bias", "features"):
            torch.testing.assert_close(found[name].flatten(), summed_found[name].flatten(), rtol=0, atol=1e-12)

    def test_what_has_no_gate_routes_none(self) -> None:
        with pytest.raises(ValueError, match="MONO-ROUTE has no gate"):
            make("MONO-ROUTE", routing=RoutedCredit(gate_routed=True))


class TestComponents:
    """HRA: every part regresses on its own component."""

    def test_loss_is_the_sum_over_parts_of_squared_errors(self) -> None:
        head, components = make("HRA"), draw(BATCH, K, seed=7)
        estimate = head(draw(BATCH, D))
        literal = sum((estimate.part_values[b, k] - components[b, k]) ** 2 for b in range(BATCH) for k in range(K))
        loss = head.credit(estimate, told(components=components))
        assert loss.item() == pytest.approx((literal / BATCH).item())
        valid = torch.arange(BATCH) < 4
        literal = sum((estimate.part_values[b, k] - components[b, k]) ** 2 for b in range(4) for k in range(K))
        loss = head.credit(estimate, told(components=components, valid=valid))
        assert loss.item() == pytest.approx((literal / 4).item())

    def test_value_is_the_weighted_sum(self) -> None:
        estimate = make("HRA")(draw(BATCH, D))
        by_hand = estimate.part_values @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
        torch.testing.assert_close(estimate.value, by_hand, rtol=0, atol=1e-12)

    def test_a_part_learns_from_its_component_alone(self) -> None:
        """A part's gradient does not change with the other components, nor with the total."""
        first = gradients(make("HRA"), told(components=draw(BATCH, K, seed=7)))
        other = draw(BATCH, K, seed=8)
        other[:, 1] = draw(BATCH, K, seed=7)[:, 1]
        second = gradients(make("HRA"), dataclasses.replace(told(components=other), total=draw(BATCH, seed=9)))
        for name in ("parts.input_weight", "parts.output_weight"):
            assert torch.equal(first[name][1], second[name][1])
            assert not torch.equal(first[name][0], second[name][0])

    def test_components_of_wrong_shape(self) -> None:
        head = make("HRA")
        with pytest.raises(ValueError, match=r"targets.components has shape \(10, 2\), but must have \(10, 3\)"):
            head.credit(head(draw(BATCH, D)), told(components=draw(BATCH, 2)))


class TestBootstrap:
    """NEG-2: every part regresses on the total, from its own samples."""

    def test_loss_is_the_mean_over_the_mask(self) -> None:
        head, targets = make("NEG-2"), told(bootstrap_mask=torch.rand(BATCH, K, generator=generator(4)) < 0.5)
        estimate, mask = head(draw(BATCH, D)), targets.bootstrap_mask
        for valid in (None, torch.arange(BATCH) != 2):
            chosen = [
                (estimate.part_values[b, k] - targets.total[b]) ** 2
                for b in range(BATCH)
                for k in range(K)
                if mask[b, k] and (valid is None or valid[b])
            ]
            loss = head.credit(estimate, dataclasses.replace(targets, valid=valid))
            assert loss.item() == pytest.approx(torch.stack(chosen).mean().item())

    def test_a_part_without_samples_learns_nothing(self) -> None:
        mask = torch.ones(BATCH, K, dtype=torch.bool)
        mask[:, 1] = False
        found = gradients(make("NEG-2"), told(bootstrap_mask=mask))["parts.input_weight"]
        assert not found[1].any()
        assert bool(found[0].any()) and bool(found[2].any())
        nothing = gradients(make("NEG-2"), told(bootstrap_mask=torch.zeros_like(mask)))
        assert not any(gradient.any() for gradient in nothing.values())

    def test_value_is_the_mean(self) -> None:
        estimate = make("NEG-2")(draw(BATCH, D))
        torch.testing.assert_close(estimate.value, estimate.part_values.mean(1), rtol=1e-6, atol=1e-8)


class TestMixers:
    @settings(max_examples=50, deadline=None)
    @given(seed=st.integers(0, 2**31), num_parts=st.integers(1, 5), ties=st.booleans())
    def test_weights(self, seed: int, num_parts: int, ties: bool) -> None:
        scores, said = draw(8, num_parts, seed=seed), draw(8, num_parts, seed=seed + 1)
        if ties:
            scores, said = scores.sign(), said.sign()
        soft = softmax_mixer(scores, said)
        for k in range(1, num_parts + 1):
            weights = TopMixer(k)(scores, said)
            assert bool(((weights > 0).sum(1) == k).all())
            torch.testing.assert_close(weights.sum(1), torch.ones(8, dtype=torch.float64))
            ratio = soft / soft.gather(1, scores.argmax(1, keepdim=True))
            torch.testing.assert_close(weights / weights.amax(1, keepdim=True), ratio * (weights > 0))
        assert torch.equal(TopMixer(num_parts)(scores, said), soft)
        assert torch.equal(sigmoid_mixer(scores, said), 1 / (1 + (-scores).exp())) or torch.allclose(
            sigmoid_mixer(scores, said), 1 / (1 + (-scores).exp()), atol=1e-12
        )
        rows = torch.arange(8)
        for weights, by in ((auction_mixer(scores, said), scores), (max_mixer(scores, said), said)):
            assert torch.equal(weights.sort(1).values[:, -1], torch.ones(8, dtype=torch.float64))
            assert torch.equal(weights.count_nonzero(1), torch.ones(8, dtype=torch.int64))
            first = [row.index(max(row)) for row in by.tolist()]
            assert torch.equal(weights[rows, torch.tensor(first)], torch.ones(8, dtype=torch.float64))

    def test_max_is_the_maximum(self) -> None:
        estimate = make("MOE", mixer="max")(draw(BATCH, D))
        head = make("MOE", mixer="max")
        assert torch.equal(estimate.value, head(draw(BATCH, D)).part_values.amax(1) + head.bias)
        assert not any(name.startswith("gate") for name, _ in head.named_parameters())

    @pytest.mark.parametrize("mixer", ["max", "auction", "top-k"])
    def test_parts_that_do_not_decide_learn_nothing(self, mixer: str) -> None:
        head = make("MOE", mixer=mixer)
        estimate = head(draw(BATCH, D))
        estimate.part_values.retain_grad()
        head.credit(estimate, told()).backward()
        silent = estimate.weights == 0
        assert bool(silent.any())
        assert not estimate.part_values.grad[silent].any()
        assert bool((estimate.part_values.grad[~silent] != 0).all())

    def test_bids_learn_as_a_softmax_would(self) -> None:
        """d loss/d bid_k = error·σ_k (p_k − Σ_l σ_l p_l), although the value is the winner's."""
        scores, said = draw(BATCH, K, seed=8).requires_grad_(), draw(BATCH, K, seed=9)
        value = mix(said, auction_mixer(scores, said), torch.zeros(()))
        assert torch.equal(value.detach(), said.gather(1, scores.argmax(1, keepdim=True)).squeeze(1))
        (found,) = torch.autograd.grad(value.sum(), scores)
        soft = scores.detach().softmax(1)
        torch.testing.assert_close(found, soft * (said - (soft * said).sum(1, keepdim=True)), rtol=0, atol=1e-12)

    @pytest.mark.parametrize("mixer", [mixer for mixer in MIXERS if mixer not in ("max", "auction")])
    def test_gradient_of_the_value_against_finite_differences(self, mixer: str) -> None:
        head = make("MOE", mixer=mixer)
        inputs = draw(4, D).requires_grad_()
        assert torch.autograd.gradcheck(lambda given: head(given).value, (inputs,))

    @pytest.mark.parametrize("mixer", MIXERS)
    def test_every_mixer_learns(self, mixer: str) -> None:
        """The target is x_0 where x_1 > 0 and −x_0 elsewhere, which no linear value fits."""
        inputs = torch.randn(256, 2, generator=generator(4))
        targets = ValueTargets(torch.where(inputs[:, 1] > 0, inputs[:, 0], -inputs[:, 0]))
        spec = HeadSpec(num_features=2, hidden_size=8, num_parts=3, mixer=mixer)
        head = build_head("MOE", spec, generator=generator())
        optimizer = torch.optim.Adam(head.parameters(), lr=0.02)
        for _ in range(400):
            optimizer.zero_grad()
            loss = head.credit(head(inputs), targets)
            loss.backward()
            optimizer.step()
        assert loss.item() < 0.2 * targets.total.var().item()

    @pytest.mark.parametrize("mixer", ["auction", "top-k"])
    def test_routed_credit_under_few_deciding_parts(self, mixer: str) -> None:
        """The share scales what the mixer lets through."""
        at = []
        for name in ("ROUTE", "MOE"):
            head = make(name, mixer=mixer)
            estimate = head(draw(BATCH, D))
            estimate.part_values.retain_grad()
            head.credit(estimate, told(event_share=shares())).backward()
            at.append(estimate.part_values.grad)
        assert torch.equal(at[0], shares() * at[1])


class TestLeak:
    def test_none_is_the_oracle_bitwise_and_all_is_even(self) -> None:
        context = torch.arange(BATCH) % K
        plain, none, every = (OracleGate(K, leak=leak)(draw(BATCH, D), context) for leak in (0.0, 0.0, 1.0))
        assert torch.equal(plain, none)
        assert torch.equal(plain, nn.functional.one_hot(context, K).double())
        torch.testing.assert_close(every, torch.full((BATCH, K), 1 / 3, dtype=torch.float64), rtol=1e-15, atol=0)
        values = [make("POS", gate_leak=leak)(draw(BATCH, D), context) for leak in (0.0, 1.0)]
        assert torch.equal(values[0].value, make("POS")(draw(BATCH, D), context).value)
        torch.testing.assert_close(values[1].value, values[1].part_values.mean(1), rtol=0, atol=1e-12)

    @settings(max_examples=25, deadline=None)
    @given(leak=st.floats(0, 1))
    def test_weights_sum_to_one_and_mix_linearly(self, leak: float) -> None:
        context = torch.arange(BATCH) % K
        one_hot = nn.functional.one_hot(context, K).double()
        weights = OracleGate(K, leak=leak)(draw(BATCH, D), context)
        torch.testing.assert_close(weights.sum(1), torch.ones(BATCH, dtype=torch.float64))
        torch.testing.assert_close(weights, (1 - leak) * one_hot + leak / K, rtol=0, atol=1e-15)

    @pytest.mark.parametrize("wrong", [-0.1, 1.5])
    def test_a_leak_out_of_range(self, wrong: float) -> None:
        with pytest.raises(ValueError, match="gate_leak is .*must lie in"):
            make("POS", gate_leak=wrong)


class TestReflection:
    @pytest.mark.parametrize("num_layers", [1, 2])
    @pytest.mark.parametrize("name", ["ADD", "MOE", "ROUTE", "HRA", "POS", "NEG-2"])
    def test_it_starts_as_none_bitwise(self, name: str, num_layers: int) -> None:
        context = torch.arange(BATCH) % K
        plain, reflecting = (make(name, num_layers=num_layers, reflection=on) for on in (False, True))
        own = dict(reflecting.named_parameters())
        assert all(torch.equal(parameter, own[key]) for key, parameter in plain.named_parameters())
        assert set(own) - {key for key, _ in plain.named_parameters()} == {"parts.others_weight"}
        estimates = [head(draw(BATCH, D), context) for head in (plain, reflecting)]
        assert torch.equal(estimates[0].value, estimates[1].value)

    def test_a_part_reads_the_others_and_not_itself(self) -> None:
        head = make("MOE", reflection=True)
        said = head(draw(BATCH, D)).part_values
        with torch.no_grad():
            nn.init.normal_(head.parts.others_weight, generator=generator(3))
            read = head(draw(BATCH, D)).part_values
            head.parts.output_weight[1] *= 2.0
            louder = head(draw(BATCH, D)).part_values
        assert not torch.isclose(said, read).any()
        assert torch.equal(louder[:, 1], 2.0 * read[:, 1]), "part 1 has not read itself"
        assert not torch.isclose(louder[:, [0, 2]], read[:, [0, 2]]).all(0).any()

    def test_to_read_a_part_is_not_to_train_it(self) -> None:
        """The error of the part in charge reaches no weight of the parts that it reads."""
        context = torch.zeros(BATCH, dtype=torch.int64)
        head = make("POS", reflection=True)
        nn.init.normal_(head.parts.others_weight, generator=generator(3))
        found = gradients(head, told(context=context))
        for name in ("parts.input_weight", "parts.output_weight", "parts.others_weight"):
            assert bool(found[name][0].any())
            assert not found[name][1:].any()

    @pytest.mark.parametrize("encoder", ["routed", "global", "stopped"])
    def test_routed_credit_stays_routed(self, encoder: str) -> None:
        only = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64).expand(BATCH, -1)
        head = make("ROUTE", reflection=True, routing=RoutedCredit(encoder=encoder))
        nn.init.normal_(head.parts.others_weight, generator=generator(3))
        found = gradients(head, told(event_share=only))
        for name in ("parts.input_weight", "parts.output_weight", "parts.others_weight"):
            assert bool(found[name][1].any())
            assert not found[name][[0, 2]].any()
        assert bool(found["features"].any()) == (encoder != "stopped")

    def test_gradient_against_finite_differences(self) -> None:
        """Of what a part reads: with the first pass held fixed, R's gradient is the difference quotient of the loss."""
        head, targets, step = make("MOE", reflection=True), told(), 1e-6
        nn.init.normal_(head.parts.others_weight, generator=generator(3))
        found = gradients(head, targets)["parts.others_weight"]
        for index in ((0, 1, 0), (1, 2, 1), (2, 3, 0)):
            losses = []
            for sign in (1, -1):
                with torch.no_grad():
                    head.parts.others_weight[index] += sign * step
                    losses.append(head.credit(head(draw(BATCH, D)), targets).item())
                    head.parts.others_weight[index] -= sign * step
            assert found[index].item() == pytest.approx((losses[0] - losses[1]) / (2 * step), abs=1e-7)

    def test_one_part_has_none_to_read(self) -> None:
        spec = HeadSpec(num_features=D, hidden_size=H, num_parts=1, reflection=True)
        assert "parts.others_weight" not in dict(build_head("MOE", spec).named_parameters())
