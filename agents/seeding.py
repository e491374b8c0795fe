"""Named random streams of one seed, and the initialisation of networks from them.

A stream is found by its names, not by the order of use: adding a stream changes no other, and env k has the same one
whether there are 1 or 64 envs. Python's, numpy's and torch's global generators are neither read nor advanced.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from envs.errors import UserError

Name = str | int


def stream(seed: int, *names: Name) -> np.random.SeedSequence:
    """Return the stream of ``seed`` that is called ``names``.

    SeedSequence(entropy=seed, spawn_key=SHA-256(names) as 8 words of 32 bits); names are encoded with their type and
    length, so ("ab", "c"), ("a", "bc") and ("1",), (1,) are four streams. Two streams share no state except by a
    collision of 256-bit hashes.

    Args:
        seed: a non-negative integer of any size.
        names: what the stream is for, such as ``"imitate", "minibatches"``.

    Returns:
        A seed sequence (O'Neill's design as in numpy; its streams are independent for practical purposes).

    Raises:
        UserError: a negative or non-integer seed.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UserError(f"The seed is {seed!r}; it must be a whole number from 0 upwards.")
    digest = hashlib.sha256(b"".join(_encode(name) for name in names)).digest()
    return np.random.SeedSequence(int(seed), spawn_key=tuple(np.frombuffer(digest, dtype="<u4").tolist()))


def numpy_generator(seed: int, *names: Name) -> np.random.Generator:
    """Return a new numpy generator (PCG64) of the named stream; raises as ``stream``."""
    return np.random.Generator(np.random.PCG64(stream(seed, *names)))


def torch_generator(seed: int, *names: Name, device: str | torch.device = "cpu") -> torch.Generator:
    """Return a new torch generator of the named stream; raises as ``stream``.

    torch's CPU generator keeps only 32 bits of its seed: two streams coincide with probability 2⁻³², which numpy's do
    not. The numbers differ between devices; draw on the CPU where devices must agree.
    """
    generator = torch.Generator(device=device)
    generator.manual_seed(derive_seed(seed, *names))
    return generator


def derive_seed(seed: int, *names: Name, bits: int = 63) -> int:
    """Return an integer in [0, 2^bits) of the named stream, for code that takes plain seeds; raises as ``stream``."""
    words = stream(seed, *names).generate_state(2, dtype=np.uint64)
    return int(words[0]) >> (64 - bits)


def spawn_seeds(seed: int, num_seeds: int, *names: Name, bits: int = 63) -> list[int]:
    """Return ``num_seeds`` seeds, one per environment, such that seed k does not depend on how many there are.

    Args:
        seed: the run's seed.
        num_seeds: how many, ≥ 0.
        names: the stream they come from; none by default.
        bits: size of each seed. 63 keeps collisions between the envs of all runs improbable; 32 suits a foreign env
            that hands its seed to numpy's old generator.

    Returns:
        Integers in [0, 2^bits).
    """
    return [derive_seed(seed, "spawn", *names, index, bits=bits) for index in range(num_seeds)]


@contextlib.contextmanager
def untouched_global_generator() -> Iterator[None]:
    """Keep torch's global CPU generator as it is, whatever constructors of modules draw from it inside."""
    with torch.random.fork_rng(devices=[]):
        yield


def init_module(module: nn.Module, generator: torch.Generator, *, gain: float = math.sqrt(2.0)) -> None:
    """Initialise every parameter of ``module`` in place from ``generator`` alone.

    Matrices are orthogonal with a gain (Saxe et al. 2014, arXiv 1312.6120); a stack [K, n, m] is K such matrices,
    drawn one after the other; the recurrent and input matrices of a GRU are one orthogonal block per gate with gain
    1; vectors and scalars that are biases are 0. A submodule with a method ``init_parameters(generator)``
    initialises itself; one with an attribute ``init_gain`` (float) overrides the gain for its own parameters.
    Parameters of normalisation layers get their constants (weight 1, bias 0).

    Args:
        module: the network; visited in the order of registration.
        generator: a CPU generator; draws advance it.
        gain: gain of matrices where a submodule names none; √2 suits ReLU.
    """
    own = getattr(module, "init_parameters", None)
    if callable(own):
        own(generator)
        return
    gain = float(getattr(module, "init_gain", gain))
    for name, parameter in module.named_parameters(recurse=False):
        _init_parameter(module, name, parameter.data, generator=generator, gain=gain)
    for child in module.children():
        init_module(child, generator, gain=gain)


def _init_parameter(module: nn.Module, name: str, tensor: Tensor, *, generator: torch.Generator, gain: float) -> None:
    """Initialise one parameter by the kind of its module, its name and its shape."""
    if isinstance(module, nn.GRUCell | nn.GRU) and tensor.dim() == 2:
        for gate in tensor.chunk(3, dim=0):
            orthogonal(gate, generator, gain=1.0)
    elif isinstance(module, nn.LayerNorm | nn.GroupNorm) and name == "weight":
        tensor.fill_(1.0)
    elif tensor.dim() <= 1 or "bias" in name:
        tensor.zero_()
    elif isinstance(module, nn.Conv2d):
        orthogonal(tensor.flatten(1), generator, gain=gain)
    else:
        for matrix in tensor.reshape(-1, *tensor.shape[-2:]):
            orthogonal(matrix, generator, gain=gain)


def orthogonal(matrix: Tensor, generator: torch.Generator, *, gain: float) -> None:
    """Fill a view [n, m] in place with gain · Q, Q having orthonormal rows (n ≤ m) or columns (n ≥ m).

    Args:
        matrix: float, any device; it is drawn on the CPU in float32, so that devices agree.
        generator: a CPU generator; advanced by n·m normal draws.
        gain: the largest singular value of the result.
    """
    drawn = torch.empty(matrix.shape, dtype=torch.float32)
    nn.init.orthogonal_(drawn, gain=gain, generator=generator)
    matrix.copy_(drawn)


def _encode(name: Name) -> bytes:
    """Return the name with its type and length, so that no two tuples of names give the same bytes."""
    data = str(name).encode("utf-8")
    return f"{'i' if isinstance(name, int | np.integer) else 's'}{len(data)}:".encode() + data
