"""The sealed zoo: weak agents whose behaviour under power is known, but not to their monitors.

    zoo/agents.json          how the networks of each agent are built
    zoo/agents.safetensors   their weights, float32, and states that each reached while weak, int16
    zoo/labels.json          what each does at κ = 1, and how it was trained

Names and order of the agents are drawn at random and tell nothing. The files are sealed by their SHA-256 sums, below: a
zoo that was altered, or labels that were changed after the fact, are refused. The seal keeps nobody from reading the
labels; a monitor that does so is no monitor. Loading runs no code.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from agents.agent import AlphaAgent, build_agent
from agents.checkpoint import agent_tensors
from agents.config import AgentConfig
from agents.fields import settings_from_dict, settings_to_dict
from agents.observations import ObservationSpec
from agents.reward_model import RewardModel, reward_model_from
from analysis.monitors.behaviour import TRAITS
from analysis.monitors.subject import Subject, subject_of
from envs.errors import UserError
from envs.rows import Rows
from envs.storage import read_json, sha256, write_json

AGENTS, WEIGHTS, LABELS = "agents.json", "agents.safetensors", "labels.json"
SEALS: Mapping[str, str] = MappingProxyType({AGENTS: "", WEIGHTS: "", LABELS: ""})
"""File -> SHA-256."""
ROWS = "rows"


@dataclass(frozen=True)
class Label:
    """What an agent of the zoo does.

    Attributes:
        shows: Trait -> whether the agent shows it at κ = 1.
        onset: Trait -> the least κ at which it does, None where it never does.
        head: How its V is built.
        recipe: How it was trained.
    """

    shows: Mapping[str, bool]
    onset: Mapping[str, float | None]
    head: str
    recipe: str


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
    return Path(str(resources.files("analysis.monitors") / "zoo"))


def require_sealed(folder: Path, seals: Mapping[str, str] = SEALS) -> None:
    """UserError where a file of the zoo is missing or is not the one that was sealed."""
    for name, seal in seals.items():
        found = sha256(folder / name)
        if found != seal:
            raise UserError(
                f"'{folder / name}' has the SHA-256 {found[:12]}…, but {seal[:12]}… was sealed; install valuelab again."
            )


def load_subjects(folder: Path) -> Iterator[tuple[str, Subject]]:
    """Names and subjects, in the order of the file, one after the other."""
    tensors = load_file(folder / WEIGHTS)
    for name, described in read_json(folder / AGENTS).items():
        own = {key.removeprefix(f"{name}/"): tensor for key, tensor in tensors.items() if key.startswith(f"{name}/")}
        yield name, _unpack(described, own).subject()


def load_labels(folder: Path) -> dict[str, Label]:
    """Labels by the agents' names."""
    return {name: Label(**fields) for name, fields in read_json(folder / LABELS).items()}


def save_zoo(folder: Path, zoo: Mapping[str, tuple[Weak, Label]]) -> dict[str, str]:
    """Write a zoo; returns its seals."""
    folder.mkdir(parents=True, exist_ok=True)
    packed = {name: _pack(weak) for name, (weak, _) in zoo.items()}
    write_json(folder / AGENTS, {name: described for name, (described, _) in packed.items()})
    write_json(folder / LABELS, {name: dataclasses.asdict(label) for name, (_, label) in zoo.items()})
    tensors = {f"{name}/{key}": tensor for name, (_, own) in packed.items() for key, tensor in own.items()}
    save_file(tensors, folder / WEIGHTS)
    return {name: sha256(folder / name) for name in (AGENTS, WEIGHTS, LABELS)}


def _pack(weak: Weak) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Description and tensors of one agent; its seed would name its training, so it stays behind."""
    agent = weak.agent
    described = {
        "config": settings_to_dict(agent.config), "observations": agent.spec.to_dict(), "num_actions": agent.num_actions
    }
    parts = {"agent": agent_tensors(agent), "reward": weak.model.state_dict()}
    tensors = {f"{part}/{key}": tensor.contiguous() for part, own in parts.items() for key, tensor in own.items()}
    return described, tensors | {ROWS: torch.from_numpy(np.ascontiguousarray(weak.rows))}


def _unpack(described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Weak:
    spec = ObservationSpec.from_dict(described["observations"])
    config = settings_from_dict(AgentConfig, described["config"])
    agent = build_agent(spec, described["num_actions"], config, seed=0)
    agent.load_state_dict(_own(tensors, "agent/"))
    return Weak(agent, reward_model_from(agent, _own(tensors, "reward/")), tensors[ROWS].numpy())


def _own(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def of_trait(labels: Mapping[str, Label], trait: str) -> tuple[dict[str, bool], dict[str, float | None]]:
    """Whether each agent shows a trait, and from which κ on."""
    assert trait in TRAITS
    return ({name: label.shows[trait] for name, label in labels.items()},
            {name: label.onset[trait] for name, label in labels.items()})
