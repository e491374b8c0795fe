"""Where tensors live: the choice of a device, and one line that says why it was chosen."""

from __future__ import annotations

import torch

from envs.errors import UserError, nearest

DEVICES = ("auto", "cpu", "cuda")


def resolve_device(name: str = "auto") -> tuple[torch.device, str]:
    """Return the device called ``auto``, ``cpu`` or ``cuda``, and a line for the user.

    ``auto`` takes CUDA where torch can use it and the CPU elsewhere; nothing needs CUDA.

    Raises:
        UserError: an unknown name, or ``cuda`` where torch cannot use it.
    """
    if name not in DEVICES:
        raise UserError(f"Device {name!r} is unknown; allowed: {', '.join(DEVICES)}.{nearest(name, DEVICES)}")
    if name == "cpu":
        return torch.device("cpu"), "Device cpu: as asked."
    missing = _missing_cuda()
    if not missing:
        reason = "as asked" if name == "cuda" else "torch found it"
        return torch.device("cuda"), f"Device cuda ({torch.cuda.get_device_name()}): {reason}."
    if name == "cuda":
        raise UserError(f"Device 'cuda' cannot be used: {missing}; use --device cpu, or install torch with CUDA.")
    return torch.device("cpu"), f"Device cpu: {missing}."


def _missing_cuda() -> str:
    """Say why CUDA cannot be used; an empty string where it can."""
    if torch.version.cuda is None:
        return f"torch {torch.__version__} was built without CUDA"
    return "" if torch.cuda.is_available() else "torch finds no CUDA device"
