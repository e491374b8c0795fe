"""Every value head keeps one contract, and the monolith is the ensemble of one."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from shards.controls import BootstrapCredit
from shards.credit import GlobalCredit
from shards.ensemble import StackedParts
from shards.head_spec import HeadSpec
from shards.mixers import MIXERS
from shards.monolith import GroupedMonolith, Monolith
from shards.registry import HEADS, HeadEntry, build_head
from shards.value_head import ValueEstimate, ValueHead, ValueTargets

NUM_FEATURES, NUM_CONTEXTS, WIDTH, BATCH = 7, 3, 5, 12
COMPONENT_WEIGHTS = (1.0, -0.5, 2.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


CASES: dict[str, dict[str, object]] = {name: {} for name in HEADS}
CASES |= {f"MOE {mixer}": {"mixer": mixer} for mixer in MIXERS}
CASES |= {f"ROUTE {mixer}": {"mixer": mixer} for mixer in ("max", "top-k", "auction")}
CASES |= {f"{name} reflection": {"reflection": True} for name, entry in HEADS.items() if "reflection" in entry.options}
CASES |= {"POS leak": {"gate_leak": 0.3}, "MOE auction reflection": {"mixer": "auction", "reflection": True}}
"""Every head with every option that it has."""


def entry_of(case: str) -> HeadEntry:
    return HEADS[case.split()[0]]


def make_spec(case: str, *, num_layers: int = 1) -> HeadSpec:
    name = case.split()[0]
    return HeadSpec(
        num_features=NUM_FEATURES,
        hidden_size=WIDTH,
        num_parts=NUM_CONTEXTS if HEADS[name].parts_from == "num_parts" else None,
        num_contexts=NUM_CONTEXTS,
        num_events=NUM_CONTEXTS,
        component_weights=COMPONENT_WEIGHTS,
        num_layers=num_layers,
        **CASES[case],
    )


def make_head(case: str, *, num_layers: int = 1, seed: int = 0) -> ValueHead:
    head = build_head(case.split()[0], make_spec(case, num_layers=num_layers), generator=generator(seed))
    scatter_gate(head)
    return head


def scatter_gate(head: ValueHead) -> None:
    """Move what starts at zero off its start: there, all weights are equal and no part reads another."""
    for name, parameter in head.named_parameters():
        if name.startswith("gate") or name in ("bias", "parts.others_weight"):
            nn.init.normal_(parameter, generator=generator(99))


def make_features(batch: int = BATCH) -> Tensor:
    return torch.randn(batch, NUM_FEATURES, generator=generator(1))


def make_context(batch: int = BATCH) -> Tensor:
    return torch.arange(batch) % NUM_CONTEXTS


def make_targets(batch: int = BATCH) -> ValueTargets:
    share = torch.rand(batch, NUM_CONTEXTS, generator=generator(2))
    return ValueTargets(
        total=torch.randn(batch, generator=generator(3)),
        components=torch.randn(batch, NUM_CONTEXTS, generator=generator(5)),
        event_share=share / share.sum(1, keepdim=True),
        bootstrap_mask=torch.rand(batch, NUM_CONTEXTS, generator=generator(6)) < 0.7,
        context=make_context(batch),
        valid=torch.arange(batch) != 1,
    )


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("name", CASES)
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
            expected = plain_part(head, part, features)
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
        nan = torch.tensor(torch.nan)
        poisoned = dataclasses.replace(
            targets,
            total=targets.total.where(targets.valid, nan),
            components=targets.components.where(targets.valid.unsqueeze(1), nan),
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
        empty = build_head(name.split()[0], make_spec(name, num_layers=num_layers))
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
        column = dataclasses.replace(given, total=given.total.unsqueeze(1))
        with pytest.raises(ValueError, match=r"targets.total has shape \(12, 1\), but must have \(12,\)"):
            head.credit(estimate, column)
        floats = dataclasses.replace(given, valid=torch.ones(BATCH))
        with pytest.raises(ValueError, match=r"targets.valid has type torch.float32"):
            head.credit(estimate, floats)

    def test_what_a_head_needs_it_asks_for(self, name: str, num_layers: int) -> None:
        head = make_head(name, num_layers=num_layers)
        bare = ValueTargets(make_targets().total)
        assert head.needs_context == name.startswith("POS")
        if head.needs_context:
            with pytest.raises(ValueError, match="oracle gate was given no context.*or use a head with a learned gate"):
                head(make_features())
        elif entry_of(name).needs:
            (need,) = entry_of(name).needs
            with pytest.raises(ValueError, match=f"targets.{need} is None"):
                head.credit(head(make_features()), bare)
        else:
            assert bool(head.credit(head(make_features()), bare).isfinite())


def plain_part(head: ValueHead, part: int, features: Tensor) -> Tensor:
    """What one part says, computed as everybody would write it."""
    stack = head.parts
    if isinstance(head, GroupedMonolith):
        hidden = plain_hidden(stack, 0, stack.input_bias[0] + features @ stack.input_weight[0].t())
        group = slice(part * WIDTH, (part + 1) * WIDTH)
        return hidden[:, group] @ stack.output_weight[0, group]
    said = [plain_value(stack, k, features) for k in range(head.num_parts)]
    if not stack.reflects:
        return said[part]
    others = torch.stack([said[k] for k in range(head.num_parts) if k != part], 1)
    return plain_value(stack, part, features, others @ stack.others_weight[part].t())


def plain_value(stack: StackedParts, part: int, features: Tensor, more: Tensor | float = 0.0) -> Tensor:
    reached = stack.input_bias[part] + features @ stack.input_weight[part].t() + more
    return plain_hidden(stack, part, reached) @ stack.output_weight[part]


def plain_hidden(stack: StackedParts, part: int, reached: Tensor) -> Tensor:
    hidden = reached.relu()
    for weight, bias in zip(stack.deeper_weight, stack.deeper_bias, strict=True):
        hidden = (hidden @ weight[part].t() + bias[part]).relu()
    return hidden


def gradient_of(head: ValueHead, targets: ValueTargets) -> list[Tensor]:
    head.zero_grad()
    head.credit(head(make_features(), make_context()), targets).backward()
    return [parameter.grad.clone() for parameter in head.parameters()]


@pytest.mark.parametrize("batch", [1, 3, 256])
@pytest.mark.parametrize("width", [3, 31, 128])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("mixer", [mixer for mixer in MIXERS if mixer != "sigmoid"])
def test_monolith_equals_ensemble_of_one_bitwise(batch: int, width: int, num_layers: int, mixer: str) -> None:
    spec = HeadSpec(num_features=64, hidden_size=width, num_layers=num_layers)
    one = dataclasses.replace(spec, num_parts=1, mixer=mixer, num_active=1, reflection=True)
    mono, ensemble = build_head("MONO", spec, generator=generator()), build_head("MOE", one, generator=generator())
    scatter_gate(ensemble)
    scatter_gate(mono)
    assert_equal_bitwise(mono, ensemble, batch)
    learned = [name for name, _ in ensemble.named_parameters() if name.startswith("gate")]
    assert bool(learned) == (MIXERS[mixer].gate != "none")
    gradients = run(ensemble, torch.randn(batch, 64), ValueTargets(torch.randn(batch)))[1]
    assert not any(gradients[name].any() for name in learned)


def test_an_ensemble_of_one_under_a_sigmoid_gate_is_no_monolith() -> None:
    spec = HeadSpec(num_features=4, hidden_size=5, num_parts=1, mixer="sigmoid")
    head = build_head("MOE", spec, generator=generator())
    assert torch.equal(head(torch.randn(3, 4)).weights, torch.full((3, 1), 0.5))


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("name", ["ADD", "MONO-ROUTE", "HRA", "NEG-2"])
def test_other_heads_of_one_part_are_the_monolith_bitwise(name: str, num_layers: int) -> None:
    spec = HeadSpec(num_features=64, hidden_size=31, num_layers=num_layers, num_events=1, component_weights=(1.0,))
    one = dataclasses.replace(spec, num_parts=1 if HEADS[name].parts_from == "num_parts" else None)
    mono, head = build_head("MONO", spec, generator=generator()), build_head(name, one, generator=generator())
    # Without a trained bias, the gradient of the bias is all that differs.
    assert_equal_bitwise(mono, head, 33)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_groups_of_units_leave_the_monolith_as_it_is_bitwise(num_layers: int) -> None:
    spec = HeadSpec(num_features=64, hidden_size=30, num_layers=num_layers, num_events=3)
    mono = build_head("MONO", spec, generator=generator())
    grouped = build_head("MONO-ROUTE", dataclasses.replace(spec, hidden_size=10), generator=generator())
    assert all(torch.equal(a, b) for a, b in zip(mono.parameters(), grouped.parameters(), strict=True))
    features = torch.randn(33, 64, generator=generator(3))
    one, many = mono(features), grouped(features)
    assert torch.equal(one.value, many.value)
    assert torch.equal(one.unit_contributions, many.unit_contributions)
    targets = ValueTargets(torch.randn(33), event_share=torch.full((33, 3), torch.nan))
    assert torch.equal(mono.credit(one, targets), grouped.credit(many, targets))


def test_a_sum_of_parts_with_one_hidden_layer_is_one_network() -> None:
    """Then ADD's parts are but names: it starts as MONO of all its units, and learns as it does."""
    spec = HeadSpec(num_features=6, hidden_size=12)
    mono = build_head("MONO", spec, generator=generator()).double()
    added = build_head("ADD", dataclasses.replace(spec, hidden_size=4, num_parts=3), generator=generator()).double()
    targets = ValueTargets(torch.randn(9, generator=generator(2), dtype=torch.float64))
    features = torch.randn(9, 6, generator=generator(1), dtype=torch.float64)
    (values, gradients), (others, others_gradients) = (run(head, features.clone(), targets) for head in (mono, added))
    torch.testing.assert_close(values[0], others[0], rtol=0, atol=1e-12)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient.flatten(), others_gradients[name].flatten(), rtol=0, atol=1e-12)


def assert_equal_bitwise(mono: ValueHead, head: ValueHead, batch: int) -> None:
    """Values and all gradients that both have are the same bits."""
    targets = ValueTargets(torch.randn(batch, generator=generator(4)))
    told = dataclasses.replace(
        targets,
        components=targets.total.unsqueeze(1),
        event_share=torch.ones(batch, 1),
        bootstrap_mask=None if isinstance(head.credit_rule, GlobalCredit) else torch.ones(batch, 1, dtype=torch.bool),
    )
    if isinstance(head.credit_rule, BootstrapCredit):
        targets = dataclasses.replace(targets, valid=torch.ones(batch, dtype=torch.bool))
    (values, gradients), (others, others_gradients) = (
        run(one, torch.randn(batch, 64, generator=generator(3)), given)
        for one, given in ((mono, targets), (head, told))
    )
    assert all(torch.equal(a, b) for a, b in zip(values, others, strict=True))
    trained = [name for name in gradients if name in others_gradients]
    assert set(gradients) - set(trained) <= {"bias"}
    for name in trained:
        assert torch.equal(gradients[name], others_gradients[name]), name


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
    head = build_head("MOE", HeadSpec(num_features=4, hidden_size=3, num_parts=4), generator=generator())
    assert torch.equal(head(torch.randn(5, 4, generator=generator())).weights, torch.full((5, 4), 0.25))


@pytest.mark.parametrize("mixer", ["top-k", "auction"])
def test_gates_under_which_few_parts_decide_start_uneven(mixer: str) -> None:
    spec = HeadSpec(num_features=16, hidden_size=3, num_parts=4, mixer=mixer)
    head = build_head("MOE", spec, generator=generator())
    weights = head(torch.randn(200, 16, generator=generator(1))).weights
    assert bool(((weights > 0).sum(0) > 20).all())
    even = build_head("MOE", dataclasses.replace(spec, mixer="softmax"), generator=generator())
    assert torch.equal(head.parts.input_weight, even.parts.input_weight)


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
@pytest.mark.parametrize("name", CASES)
def test_same_weights_on_another_device(name: str) -> None:
    here = make_head(name)
    there = make_head(name).to("cuda")
    for head in (here, there):
        head.reset_parameters(generator(3))
    estimate = there(make_features().cuda(), make_context().cuda())
    torch.testing.assert_close(estimate.value.cpu(), here(make_features(), make_context()).value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_runs_where_there_is_no_data(name: str) -> None:
    """On the "meta" device every tensor made on the wrong device is an error, and there is no data to look at."""
    if name.startswith("POS"):
        pytest.skip("the oracle gate looks at the contexts, which the meta device does not have")
    head = make_head(name).to("meta")
    given = make_targets()
    told = {field.name: getattr(given, field.name).to("meta") for field in dataclasses.fields(given)}
    # The variance of valid targets is taken from a selection, whose size depends on data.
    targets = ValueTargets(**told | ({"valid": None} if name == "NEG-F" else {}))
    loss = head.credit(head(make_features().to("meta")), targets)
    assert loss.device.type == "meta"
