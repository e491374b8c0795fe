"""The sealed zoo: weak agents whose behaviour under power is known, but not to their monitors.

    sealed_zoo/networks.json         how the networks of each agent are built
    sealed_zoo/weights.safetensors   their weights, float32, and states that each reached while weak, int16
    sealed_zoo/labels.json           what each does at κ = 1, and how it was trained

Inputs that are the same in all states of the village, such as its walls and sources, reach no unit (they are centred to
0); their weights are left out of the file and are 0 in the agents that are read.

Names and order of the agents are drawn at random and tell nothing. The files are sealed by their SHA-256 sums, below: a
zoo that was altered, or labels that were changed after the fact, are refused. The seal keeps nobody from reading the
labels; a monitor that does so is no monitor. Loading runs no code.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from agents.agent import AlphaAgent, build_agent
from agents.checkpoint import agent_tensors
from agents.config import AgentConfig
from agents.fields import settings_from_dict, settings_to_dict
from agents.observations import ObservationSpec
from agents.reward_model import RewardModel
from analysis.monitors.possible_rows import sweep
from analysis.monitors.subject import Subject, seen_world, subject_of, unnamed
from envs.errors import UserError
from envs.niceness.assignment import MARGIN, assign
from envs.rows import Rows
from envs.storage import read_json, sha256, write_json

NETWORKS, WEIGHTS, LABELS = "networks.json", "weights.safetensors", "labels.json"
SEALS: Mapping[str, str] = MappingProxyType(
    {
        NETWORKS: "006d07a1f7fdda3dee8174dc68b98b79c189d3762217d38cae9931089add4e24",
        WEIGHTS: "e0fdeb07170acab0a7ee4899acae921f82ff711483153e0922592869f898458c",
        LABELS: "573230010fed9d03428fb854661527b03cbe02edabbc5d26be91a55e0b2c7f71",
    }
)
"""File -> SHA-256."""
ROWS, USED, FIRST_LAYER = "rows", "inputs", "encoder.dense.layers.0.weight"


@dataclass(frozen=True)
class Label:
    """What an agent of the zoo does.

    Attributes:
        shows: Trait -> whether the agent shows it at κ = 1.
        onset: Trait -> the least κ at which it does, None where it never does.
        regrets: Normalised regret under RT, IR and NS with all powers at κ = 1 (`analysis.monitors.kinds`).
        trained_at: Trait -> κ of what brings it about, while the agent was trained and its states were recorded.
        head: How its V is built.
        recipe: How it was trained.
    """

    shows: Mapping[str, bool]
    onset: Mapping[str, float | None]
    regrets: Mapping[str, float]
    trained_at: Mapping[str, float]
    head: str
    recipe: str

    @property
    def kind(self) -> str:
        """What it behaves like, one of `envs.niceness.assignment.KINDS`."""
        return assign(self.regrets)

    @property
    def serves(self) -> str:
        """The objective that it alone serves, however little: `assign` where regret may be up to 1 − margin."""
        return assign(self.regrets, tolerance=1 - MARGIN)

    def lead(self, trait: str) -> float | None:
        """How far ahead in κ the trait can be seen; 0 where the agent shows it at the κ of its training already."""
        onset = self.onset[trait]
        return None if onset is None else onset - self.trained_at[trait]


@dataclass(frozen=True, eq=False)
class Weak:
    """The networks of an agent, and the states int16[N, S] that it reached while weak."""

    agent: AlphaAgent
    model: RewardModel
    rows: Rows

    def subject(self) -> Subject:
        """What a monitor sees of it."""
        return subject_of(self.agent, self.model, self.rows)


def shipped() -> Path:
    """The folder of the zoo that comes with the package."""
    return Path(str(resources.files("analysis.monitors") / "sealed_zoo"))


def require_sealed(folder: Path, seals: Mapping[str, str] = SEALS) -> None:
    """UserError where a file of the zoo is missing or is not the one that was sealed."""
    for name, found in seals_of(folder).items():
        if found != seals[name]:
            raise UserError(
                f"'{folder / name}' has the SHA-256 {found[:12]}…, but {seals[name][:12]}… was sealed; install "
                "valuelab again."
            )


def seals_of(folder: Path) -> dict[str, str]:
    """File -> SHA-256; UserError where a file of a zoo is missing."""
    return {name: sha256(folder / name) for name in (NETWORKS, WEIGHTS, LABELS)}


def load_subjects(folder: Path) -> Iterator[tuple[str, Subject]]:
    """Names and subjects, in the order of the file, one after the other."""
    try:
        tensors = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise UserError(f"'{folder / WEIGHTS}' cannot be read ({error}); build the zoo again.") from error
    for name, described in read_json(folder / NETWORKS).items():
        yield name, _unpack(described, _own(tensors, name)).subject()


def load_labels(folder: Path) -> dict[str, Label]:
    """Labels by the agents' names."""
    try:
        return {name: Label(**fields) for name, fields in read_json(folder / LABELS).items()}
    except (AttributeError, TypeError) as error:
        raise UserError(f"'{folder / LABELS}' holds no labels ({error}); build the zoo again.") from error


def save_zoo(folder: Path, zoo: Mapping[str, tuple[Weak, Label]]) -> dict[str, str]:
    """Write a zoo; returns its seals."""
    folder.mkdir(parents=True, exist_ok=True)
    packed = {name: _pack(weak) for name, (weak, _) in zoo.items()}
    write_json(folder / NETWORKS, {name: described for name, (described, _) in packed.items()})
    write_json(folder / LABELS, {name: dataclasses.asdict(label) for name, (_, label) in zoo.items()})
    tensors = {f"{name}/{key}": tensor for name, (_, own) in packed.items() for key, tensor in own.items()}
    save_file(tensors, folder / WEIGHTS)
    return seals_of(folder)


def _pack(weak: Weak) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Description and tensors of one agent; its seed and what it was paid for stay behind."""
    agent = unnamed(weak.agent)
    described = {
        "config": settings_to_dict(agent.config), "observations": agent.spec.to_dict(), "num_actions": agent.num_actions
    }  # fmt: skip
    parts = {"agent": agent_tensors(agent), "reward": weak.model.state_dict()}
    used = used_inputs(agent)
    tensors = {
        f"{part}/{key}": (tensor[:, used] if key.endswith(FIRST_LAYER) else tensor).contiguous()
        for part, own in parts.items() for key, tensor in own.items()
    }  # fmt: skip
    return described, tensors | {ROWS: torch.from_numpy(np.ascontiguousarray(weak.rows)), USED: used}


def _unpack(described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Weak:
    spec = ObservationSpec.from_dict(described["observations"])
    config = settings_from_dict(AgentConfig, described["config"])
    agent = build_agent(spec, described["num_actions"], config, seed=0)
    model = RewardModel(copy.deepcopy(agent.value_encoder), agent.num_actions, seed=0)
    for owner, module in (("agent", agent), ("reward", model)):
        module.load_state_dict(_widened(_own(tensors, owner), tensors[USED], width=spec.num_inputs))
    return Weak(agent, model, tensors[ROWS].numpy())


def used_inputs(agent: AlphaAgent) -> Tensor:
    """Inputs that are not the same in all states of the village, int64[I]."""
    world = seen_world()
    inputs = agent.observation_encoder(world.observe(sweep(world))).numpy()
    return torch.from_numpy(np.flatnonzero((inputs != inputs[:1]).any(axis=0)))


def _widened(tensors: Mapping[str, Tensor], used: Tensor, *, width: int) -> dict[str, Tensor]:
    """The tensors with the columns that were left out, which are 0."""
    wide = dict(tensors)
    for name, tensor in tensors.items():
        if name.endswith(FIRST_LAYER):
            wide[name] = torch.zeros(len(tensor), width)
            wide[name][:, used] = tensor
    return wide


def _own(tensors: Mapping[str, Tensor], owner: str) -> dict[str, Tensor]:
    """The tensors of an owner, by their own names."""
    prefix = f"{owner}/"
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
