"""Every value head keeps one contract, and the monolith is the ensemble of one."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from shards.credit import GlobalCredit
from shards.ensemble import Ensemble, StackedParts
from shards.gates import LinearGate
from shards.mixers import softmax_mixer
from shards.monolith import Monolith
from shards.registry import HEADS, build_head
from shards.value_head import ValueEstimate, ValueHead, ValueTargets

NUM_FEATURES, NUM_CONTEXTS, WIDTH, BATCH = 7, 3, 5, 12


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_head(name: str, *, num_layers: int = 1, seed: int = 0) -> ValueHead:
    head = build_head(
        name,
        num_features=NUM_FEATURES,
        hidden_size=WIDTH,
        num_parts=NUM_CONTEXTS if name == "MOE" else None,
        num_contexts=NUM_CONTEXTS,
        num_events=NUM_CONTEXTS,
        num_layers=num_layers,
        generator=generator(seed),
    )
    scatter_gate(head)
    return head


def scatter_gate(head: ValueHead) -> None:
    """Move a learned gate off its start, where all weights are equal."""
    for name, parameter in head.named_parameters():
        if name.startswith("gate") or name == "bias":
            nn.init.normal_(parameter, generator=generator(99))


def make_features(batch: int = BATCH) -> Tensor:
    return torch.randn(batch, NUM_FEATURES, generator=generator(1))


def make_context(batch: int = BATCH) -> Tensor:
    return torch.arange(batch) % NUM_CONTEXTS


def make_targets(batch: int = BATCH) -> ValueTargets:
    share = torch.rand(batch, NUM_CONTEXTS, generator=generator(2))
    return ValueTargets(
        total=torch.randn(batch, generator=generator(3)),
        event_share=share / share.sum(1, keepdim=True),
        context=make_context(batch),
        valid=torch.arange(batch) != 1,
    )


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("name", HEADS)
class TestContract:
    def test_shapes(self, name: str, num_layers: int) -> None:
        head = make_head(name, num_layers=num_layers)
        for batch in (0, 1, BATCH):
            estimate = head(make_features(batch), make_context(batch))
            assert estimate.value.shape == (batch,)
            assert estimate.part_values.shape == estimate.weights.shape == (batch, head.num_parts)
            assert estimate.unit_contributions.shape == (batch, len(head.unit_part))
            assert estimate.hidden.shape == (batch, head.num_parts, WIDTH)
        assert head.unit_part.dtype == torch.int64
        assert head.bias.shape == ()

    def test_value_is_the_sum_of_its_contributions(self, name: str, num_layers: int) -> None:
        head = make_head(name, num_layers=num_layers).double()
        estimate = head(make_features().double(), make_context())
        for contributions in (estimate.weights * estimate.part_values, estimate.unit_contributions):
            torch.testing.assert_close(contributions.sum(1) + head.bias, estimate.value, rtol=0, atol=1e-12)

    def test_unit_part_says_whose_unit_it_is(self, name: str, num_layers: int) -> None:
        head = make_head(name, num_layers=num_layers).double()
        estimate = head(make_features().double(), make_context())
        for part in range(head.num_parts):
            of_part = estimate.unit_contributions[:, head.unit_part == part].sum(1)
            torch.testing.assert_close(of_part, estimate.contributions[:, part], rtol=0, atol=1e-12)

    def test_value_against_plain_modules(self, name: str, num_layers: int) -> None:
        head = make_head(name, num_layers=num_layers).double()
        features = make_features().double()
        estimate = head(features, make_context())
        for part in range(head.num_parts):
            expected = plain_network(head, part)(features).squeeze(1)
            torch.testing.assert_close(estimate.part_values[:, part], expected, rtol=0, atol=1e-12)

    def test_gradients_are_finite_and_reach_every_parameter(self, name: str, num_layers: int) -> None:
        head = make_head(name, num_layers=num_layers)
        features = make_features().requires_grad_()
        loss = head.credit(head(features, make_context()), make_targets())
        loss.backward()
        assert loss.shape == () and bool(loss.isfinite())
        for key, tensor in (("features", features), *head.named_parameters()):
            assert tensor.grad is not None, key
            assert bool(tensor.grad.isfinite().all()), key
            assert bool((tensor.grad != 0).any()), key

    def test_samples_that_are_not_valid_do_not_count(self, name: str, num_layers: int) -> None:
        head, targets = make_head(name, num_layers=num_layers), make_targets()
        poisoned = ValueTargets(
            total=targets.total.where(targets.valid, torch.tensor(torch.nan)),
            event_share=targets.event_share,
            context=targets.context,
            valid=targets.valid,
        )
        gradients = [gradient_of(head, given) for given in (targets, poisoned)]
        assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))

    def test_seed_decides_weights_and_global_generator_nothing(self, name: str, num_layers: int) -> None:
        torch.manual_seed(0)
        before = torch.get_rng_state()
        first = make_head(name, num_layers=num_layers)
        assert torch.equal(before, torch.get_rng_state())
        torch.manual_seed(1)
        second, other = make_head(name, num_layers=num_layers), make_head(name, num_layers=num_layers, seed=5)
        second.reset_parameters(generator(7))
        first.reset_parameters(generator(7))
        pairs = list(zip(first.state_dict().items(), second.state_dict().values(), strict=True))
        assert all(torch.equal(a, b) for (_, a), b in pairs)
        assert not torch.equal(first.parts.input_weight, other.parts.input_weight)

    def test_without_generator_values_are_nan_until_loaded(self, name: str, num_layers: int) -> None:
        source = make_head(name, num_layers=num_layers)
        counts = {"num_contexts": NUM_CONTEXTS, "num_events": NUM_CONTEXTS, "num_parts": source.num_parts}
        empty = build_head(name, num_features=NUM_FEATURES, hidden_size=WIDTH, num_layers=num_layers, **counts)
        features, context = make_features(), make_context()
        assert bool(empty(features, context).value.isnan().all())
        empty.load_state_dict(source.state_dict())
        assert torch.equal(empty(features, context).value, source(features, context).value)

    def test_wrong_features_are_refused(self, name: str, num_layers: int) -> None:
        head = make_head(name, num_layers=num_layers)
        for wrong in (torch.zeros(BATCH, NUM_FEATURES + 1), torch.zeros(NUM_FEATURES), torch.zeros(2, 2, NUM_FEATURES)):
            with pytest.raises(ValueError, match=r"features have shape .* reads \[batch, 7\]"):
                head(wrong, make_context())

    def test_wrong_targets_are_refused(self, name: str, num_layers: int) -> None:
        head = make_head(name, num_layers=num_layers)
        estimate = head(make_features(), make_context())
        given = make_targets()
        column = ValueTargets(given.total.unsqueeze(1), event_share=given.event_share, context=given.context)
        with pytest.raises(ValueError, match=r"targets.total has shape \(12, 1\), but must have \(12,\)"):
            head.credit(estimate, column)
        floats = ValueTargets(
            given.total, event_share=given.event_share, context=given.context, valid=torch.ones(BATCH)
        )
        with pytest.raises(ValueError, match=r"targets.valid has type torch.float32"):
            head.credit(estimate, floats)

    def test_what_a_head_needs_it_asks_for(self, name: str, num_layers: int) -> None:
        head = make_head(name, num_layers=num_layers)
        bare = ValueTargets(make_targets().total)
        assert head.needs_context == (name == "POS")
        if head.needs_context:
            with pytest.raises(ValueError, match="oracle gate was given no context.*or use a head with a learned gate"):
                head(make_features())
        elif HEADS[name].needs:
            (need,) = HEADS[name].needs
            with pytest.raises(ValueError, match=f"targets.{need} is None"):
                head.credit(head(make_features()), bare)
        else:
            assert bool(head.credit(head(make_features()), bare).isfinite())


def plain_network(head: ValueHead, part: int) -> nn.Sequential:
    """One part as everybody would write it."""
    stack = head.parts
    layers: list[nn.Module] = []
    weights = [stack.input_weight[part], *(weight[part] for weight in stack.deeper_weight)]
    biases = [stack.input_bias[part], *(bias[part] for bias in stack.deeper_bias)]
    for weight, bias in zip(weights, biases, strict=True):
        linear = nn.Linear(weight.shape[1], weight.shape[0]).double()
        linear.weight.data, linear.bias.data = weight.detach(), bias.detach()
        layers += [linear, nn.ReLU()]
    last = nn.Linear(WIDTH, 1, bias=False).double()
    last.weight.data = stack.output_weight[part].detach().unsqueeze(0)
    return nn.Sequential(*layers, last)


def gradient_of(head: ValueHead, targets: ValueTargets) -> list[Tensor]:
    head.zero_grad()
    head.credit(head(make_features(), make_context()), targets).backward()
    return [parameter.grad.clone() for parameter in head.parameters()]


@pytest.mark.parametrize("batch", [1, 3, 256])
@pytest.mark.parametrize("width", [3, 31, 128])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_monolith_equals_ensemble_of_one_bitwise(batch: int, width: int, num_layers: int) -> None:
    stack = StackedParts(64, num_parts=1, hidden_size=width, num_layers=num_layers)
    mono = Monolith(stack, GlobalCredit())
    mono.reset_parameters(generator())
    ensemble = Ensemble(copy.deepcopy(stack), LinearGate(64, 1), softmax_mixer, credit_rule=GlobalCredit())
    ensemble.reset_parameters(generator())
    scatter_gate(ensemble)
    scatter_gate(mono)
    targets = ValueTargets(torch.randn(batch, generator=generator(4)))
    results = [run(head, torch.randn(batch, 64, generator=generator(3)), targets) for head in (mono, ensemble)]
    names = [name for name, _ in mono.named_parameters()]
    assert all(torch.equal(a, b) for a, b in zip(results[0][0], results[1][0], strict=True))
    for name in ("features", *names):
        assert torch.equal(results[0][1][name], results[1][1][name]), name
    assert not results[1][1]["gate.weight"].any()


def run(head: ValueHead, features: Tensor, targets: ValueTargets) -> tuple[list[Tensor], dict[str, Tensor]]:
    features.requires_grad_()
    estimate: ValueEstimate = head(features)
    head.credit(estimate, targets).backward()
    gradients = {name: parameter.grad for name, parameter in head.named_parameters()}
    values = [estimate.value, estimate.part_values, estimate.weights, estimate.unit_contributions]
    return values, gradients | {"features": features.grad}


def test_monolith_refuses_several_parts() -> None:
    with pytest.raises(ValueError, match="a monolith was given 2 parts"):
        Monolith(StackedParts(4, num_parts=2, hidden_size=3, num_layers=1), GlobalCredit())


def test_learned_gate_starts_even() -> None:
    head = build_head("MOE", num_features=4, hidden_size=3, num_parts=4, generator=generator())
    assert torch.equal(head(torch.randn(5, 4, generator=generator())).weights, torch.full((5, 4), 0.25))


class TestOracle:
    def test_one_part_decides(self) -> None:
        head = make_head("POS")
        estimate = head(make_features(), make_context())
        assert torch.equal(estimate.weights, nn.functional.one_hot(make_context(), NUM_CONTEXTS).float())
        assert torch.equal(estimate.value, estimate.part_values.gather(1, make_context().unsqueeze(1)).squeeze(1))

    def test_parts_share_no_weight(self) -> None:
        """Training on context 0 changes nothing in any other: the known answer behind T5's positive control."""
        head, features = make_head("POS"), make_features()
        before = head(features, make_context()).value.detach()
        optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
        chosen = make_context() == 0
        for _ in range(5):
            optimizer.zero_grad()
            estimate = head(features[chosen], make_context()[chosen])
            head.credit(estimate, ValueTargets(torch.full((int(chosen.sum()),), 9.0))).backward()
            optimizer.step()
        after = head(features, make_context()).value.detach()
        assert torch.equal(before[~chosen], after[~chosen])
        assert not torch.isclose(before[chosen], after[chosen]).any()

    @pytest.mark.parametrize("wrong", [-1, NUM_CONTEXTS])
    def test_context_out_of_range(self, wrong: int) -> None:
        context = make_context()
        context[4] = wrong
        with pytest.raises(ValueError, match=f"context holds {wrong}, but an oracle gate over 3 contexts takes 0 to 2"):
            make_head("POS")(make_features(), context)

    def test_context_of_wrong_form(self) -> None:
        for context in (make_context().float(), make_context().unsqueeze(1)):
            with pytest.raises(ValueError, match=r"must be int64 of shape \(12,\)"):
                make_head("POS")(make_features(), context)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", HEADS)
def test_same_weights_on_another_device(name: str) -> None:
    here = make_head(name)
    there = make_head(name).to("cuda")
    for head in (here, there):
        head.reset_parameters(generator(3))
    estimate = there(make_features().cuda(), make_context().cuda())
    torch.testing.assert_close(estimate.value.cpu(), here(make_features(), make_context()).value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", HEADS)
def test_runs_where_there_is_no_data(name: str) -> None:
    """On the "meta" device every tensor made on the wrong device is an error, and there is no data to look at."""
    if name == "POS":
        pytest.skip("the oracle gate looks at the contexts, which the meta device does not have")
    head = make_head(name).to("meta")
    given = make_targets()
    targets = ValueTargets(
        given.total.to("meta"),
        event_share=given.event_share.to("meta"),
        context=given.context.to("meta"),
        # The variance of valid targets is taken from a selection, whose size depends on data.
        valid=None if name == "NEG-F" else given.valid.to("meta"),
    )
    loss = head.credit(head(make_features().to("meta")), targets)
    assert loss.device.type == "meta"
