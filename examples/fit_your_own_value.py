"""Fit a V of your own, in plain torch, to recorded episodes, and put CrossedHistory's question to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from analysis.predictions.crossed_history import Crossing, crossing
from analysis.predictions.crossed_states import crossed_rows, object_distances
from envs import make_world
from envs.demonstrations import demonstrate
from envs.episodes import Episodes, load_episodes, save_episodes


def inputs(seen: dict[str, np.ndarray]) -> Tensor:
    """Planes (but the last one, the walls, which never changes) and vector side by side, float32[n, D]."""
    planes = seen["planes"][:, :-1].reshape(len(seen["planes"]), -1)
    return torch.from_numpy(np.concatenate([planes, seen["vector"]], axis=1)).float()


def fit(data: Episodes, num_updates: int) -> nn.Module:
    """Regress the discounted return from every step to the end of its episode on what was seen at that step."""
    returns, is_last = data.rewards.copy(), np.isin(np.arange(data.num_steps), data.offsets[1:] - 1)
    for step in np.flatnonzero(~is_last)[::-1]:
        returns[step] += data.discount * returns[step + 1]
    x, y = inputs(data.observations), torch.from_numpy(returns).float()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(x.shape[1], 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(num_updates):
        batch = torch.randint(len(x), (256,))
        loss = (net(x[batch])[:, 0] - y[batch]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


def question(net: nn.Module, data: Episodes) -> Crossing:
    """Is V lower where cue and object never met in training, although V* is the same?"""
    world = make_world(data.env_id, **data.options).in_layout("crossed")
    rows = crossed_rows(world, num_layouts=40)  # int16[layouts, cues, objects, row]
    flat, shape = rows.reshape(-1, world.row_size), rows.shape[:3]
    optimum = data.discount ** (object_distances(flat).min(axis=1) - 1)
    with torch.no_grad():
        values = net(inputs(world.observe(flat)))[:, 0].double().numpy()
    return crossing(values.reshape(shape), optimum.reshape(shape), np.array(data.options["pairing"]))


def main(out: Path, num_episodes: int = 20_000, num_updates: int = 1000) -> Crossing:
    """Record an expert with 5 % random actions; a comparison leaves such files in artifacts/*/episodes.npz."""
    world = make_world("CrossedHistory", pairing=(1, 0), num_levels=100_000)
    experts = demonstrate(world, world.levels("train"), num_episodes=num_episodes, seed=0, noise=0.05)
    save_episodes(out / "episodes.npz", experts)
    data = load_episodes(out / "episodes.npz")
    answer = question(fit(data, num_updates), data)
    print({name: round(number, 3) for name, number in vars(answer).items()})
    return answer


if __name__ == "__main__":
    main(Path("runs/fit-your-own-value"))
