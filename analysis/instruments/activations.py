"""Activations at named sites of a network (`analysis.instruments.sites`): read them, or change them while it runs.

    cache = read(agent, ["value_head.hidden"], lambda: agent.value(observations))
    with edited(agent, {"value_head.hidden": mean_ablate(cache["value_head.hidden"])}):
        ablated = agent.value(observations).value

An edit is a function from the activation [B, ...] at a site to what takes its place; those below are made of tensors.
Hooks are there only inside of `read` and `edited`, whatever is raised there, so that a plain pass afterwards is bitwise
what it was before. Edits see batches as the network runs them; one with a row for each state needs them all in a batch.

What changes under an edit depends on what it is compared with. A patch that has an effect need not have gone along what
the network reads (Makelov, Lange & Nanda 2023, arXiv 2311.17030): compare with `random_like`, and with the two halves
of `split_by_readout`. An ablation shows what the network loses without a site, not what the site stands for.

Shapes: B batch, N reference states, D units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from agents.seeding import numpy_generator, torch_generator
from analysis.instruments.sites import Site, find_site
from envs.errors import UserError

Edit = Callable[[Tensor], Tensor]


@torch.no_grad()
def read(network: nn.Module, sites: Sequence[str], run: Callable[[], object]) -> Mapping[str, Tensor]:
    """Activations at sites while `run()` runs the network.

    Args:
        network: An agent, or any other network.
        sites: Names, see `analysis.instruments.sites`.
        run: Runs the network, for instance `lambda: agent.value(observations)`. Inside of `edited` what is read is what
            the edits leave.

    Returns:
        Site -> activations [B, ...], copies. A site that runs several times has the rows of all runs in their order.

    Raises:
        UserError: An unknown site; one that never ran, or where something else than a tensor passes.
    """
    seen: dict[str, list[Tensor]] = {name: [] for name in sites}
    visits = [_Visit(find_site(network, name), _keep_in(rows)) for name, rows in seen.items()]
    with _hooked(visits):
        run()
    return MappingProxyType({name: torch.cat(rows) for name, rows in seen.items()})


def _keep_in(rows: list[Tensor]) -> Edit:
    def keep(activation: Tensor) -> Tensor:
        rows.append(activation.detach().clone())
        return activation

    return keep


@contextmanager
def edited(network: nn.Module, edits: Mapping[str, Edit]) -> Iterator[None]:
    """While this lasts, activations at sites are replaced by what their edits make of them.

    Args:
        network: An agent, or any other network.
        edits: Site -> edit. Where sites overlap, as a part's units and all units do, the later one sees what the
            earlier one leaves.

    Raises:
        UserError: An unknown site; an edit that gives another shape; a site that never ran (a search keeps weights of
            its own and passes by the encoder's modules, for instance).
    """
    with _hooked([_Visit(find_site(network, name), edit) for name, edit in edits.items()]):
        yield


def patch(activation: Tensor) -> Edit:
    """Replace by given activations [B, ...], or by one state's [1, ...] in every row."""
    return lambda before: activation.expand_as(before) if len(activation) == 1 else activation


def steer(vector: Tensor, scale: float = 1.0) -> Edit:
    """Add scale · vector, of the shape of one activation [...], or of the whole batch's [B, ...]."""
    return lambda before: before + scale * vector.to(before)


def mean_ablate(reference: Tensor, *, reference_contexts: Tensor | None = None, contexts: Tensor | None = None) -> Edit:
    """Replace by the mean over reference states, of all or of those of the same context.

    Args:
        reference: [N, ...], activations at the same site.
        reference_contexts: int64[N], for means within contexts.
        contexts: int64[B], the context of each state that will be run.

    Raises:
        UserError: No reference state; one of the two is given without the other, or not one for each reference state;
            a context that no reference state has.
    """
    if not len(reference) or (reference_contexts is not None and len(reference_contexts) != len(reference)):
        given = "no contexts" if reference_contexts is None else f"{len(reference_contexts)} contexts"
        raise UserError(f"{len(reference)} reference states and {given}; give at least one, and a context for each.")
    if (reference_contexts is None) != (contexts is None):
        raise UserError("Contexts are given for one of the two sets of states alone; give both, or neither.")
    if reference_contexts is None or contexts is None:
        return patch(reference.mean(dim=0, keepdim=True))
    names = torch.unique(reference_contexts)
    if len(missing := contexts[~torch.isin(contexts, names)]):
        raise UserError(
            f"Context {int(missing[0])} has no reference state to take a mean over; those given have contexts "
            f"{names.tolist()}."
        )
    means = torch.stack([reference[reference_contexts == name].mean(dim=0) for name in names])
    return patch(means[torch.searchsorted(names, contexts)])


def resample_ablate(reference: Tensor, *, seed: int) -> Edit:
    """Replace each row by the activation of a reference state [N, ...] drawn at random.

    The draws, one for each row of a batch, follow from the seed and N; a batch that comes again gets the same ones.
    """

    def resample(before: Tensor) -> Tensor:
        drawn = numpy_generator(seed, "activations", "resample").integers(len(reference), size=len(before))
        return reference[torch.from_numpy(drawn).to(reference.device)]

    return resample


def only(edit: Edit, *place: int | slice | Tensor) -> Edit:
    """The edit at one place of an activation alone: `only(edit, unit)`, `only(edit, channel, y, x)`."""

    def apply(before: Tensor) -> Tensor:
        after, where = before.clone(), (slice(None), *place)
        after[where] = edit(before)[where]
        return after

    return apply


def random_like(vector: Tensor, *, seed: int) -> Tensor:
    """Vectors of uniformly random direction and the same norms: the control for steering by `vector` [..., D]."""
    drawn = torch.randn(vector.shape, generator=torch_generator(seed, "activations", "random")).to(vector)
    scaled: Tensor = drawn * (vector.norm(dim=-1, keepdim=True) / drawn.norm(dim=-1, keepdim=True))
    return scaled


def split_by_readout(vector: Tensor, readout: Tensor) -> tuple[Tensor, Tensor]:
    """What a linear readout sees of a vector, and the rest.

    Args:
        vector: [..., D].
        readout: [R, D], its rows; what follows the site must read it through these alone.

    Returns:
        The part in the span of the rows, and the part that all rows map to 0; they add up to the vector.
    """
    # In double precision, as the second part is a difference.
    basis = torch.linalg.svd(readout.double(), full_matrices=False)
    rank = int((basis.S / basis.S.max() > max(readout.shape) * torch.finfo(readout.dtype).eps).sum())
    seen = vector.double() @ basis.Vh[:rank].T @ basis.Vh[:rank]
    return seen.to(vector), (vector.double() - seen).to(vector)


@dataclass(frozen=True, eq=False)
class _Visit:
    """An edit at a site."""

    site: Site
    edit: Edit

    def attach(self, ran: set[str]) -> RemovableHandle:
        """Hook the site's module; `ran` gets the site's name when it runs."""

        def change(passed: Any) -> Any:
            ran.add(self.site.name)
            return self.site.put(passed, self.changed(self.site.get(passed)))

        if self.site.enters:
            return self.site.module.register_forward_pre_hook(lambda _, given: (change(given[0]), *given[1:]))
        return self.site.module.register_forward_hook(lambda _, given, returned: change(returned))

    def changed(self, before: Any) -> Tensor:
        """What takes the activation's place: a tensor of the same shape, type, device and layout in memory."""
        if not isinstance(before, Tensor):
            raise UserError(
                f"At site {self.site.name!r} passes a {type(before).__name__}, not a tensor; choose a site inside it."
            )
        try:
            after = self.edit(before)
        except (RuntimeError, IndexError, TypeError, AttributeError) as error:
            raise UserError(
                f"The edit at {self.site.name!r} fails: {error}; {tuple(before.shape)} passes there, and "
                "an edit gives a tensor like it."
            ) from error
        if after is before:
            return after
        if after.shape != before.shape:
            raise UserError(
                f"The edit at {self.site.name!r} gives shape {tuple(after.shape)}, but {tuple(before.shape)} passes "
                "there; give one row for each state that is run at once."
            )
        # A copy, as rectifiers write into what they get; in the same layout, as products of another one may round
        # otherwise, and a patch by the own activation must change no bit.
        return before.clone().copy_(after)


@contextmanager
def _hooked(visits: Sequence[_Visit]) -> Iterator[None]:
    ran: set[str] = set()
    handles: list[RemovableHandle] = []
    try:
        handles += [visit.attach(ran) for visit in visits]
        yield
    finally:
        for handle in handles:
            handle.remove()
    if idle := [visit.site.name for visit in visits if visit.site.name not in ran]:
        raise UserError(f"Site {idle[0]!r} never ran, so nothing passed there; run what passes through it.")
