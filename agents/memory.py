"""What an actor's encoder remembers between the steps of a stream.

Shape key: N envs, M memory.
"""

from __future__ import annotations

import torch
from torch import Tensor

from agents.streams import EnvStream


def zeroed(memory: Tensor | None, stream: EnvStream, *, size: int, device: torch.device) -> Tensor | None:
    """The memory [N, M] with zeros where an episode starts; None for encoders without memory."""
    if size == 0:
        return None
    if memory is None:
        return torch.zeros(stream.num_envs, size, device=device)
    keep = torch.from_numpy(~stream.starts).to(device, memory.dtype)
    return memory * keep.unsqueeze(1)
