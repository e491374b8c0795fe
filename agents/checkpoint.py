"""Checkpoints: a folder of safetensors, JSON and a manifest of SHA-256 sums. Loading one never runs code.

    FOLDER/weights.safetensors   tensors by name; "state/..." are what a stage in progress needs to go on
    FOLDER/agent.json            what they belong to
    FOLDER/manifest.json         schema, kind, SHA-256 and size of the two, and a SHA-256 of itself

A folder is written under a temporary name, fsynced and renamed, and what it replaces is kept as ``FOLDER.previous``.
A missing, truncated or altered file is refused by name; a checkpoint records registry keys, never import paths.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor

from agents.agent import AlphaAgent, build_agent
from agents.config import AgentConfig
from agents.fields import settings_from_dict, settings_to_dict
from agents.observations import ObservationSpec
from envs import storage
from envs.errors import NonFiniteError, UserError

SCHEMA = 1
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
DESCRIPTION = "agent.json"
KIND = "agent"
STATE = "state/"
"""Begins the names of tensors that are no weights of the agent."""


class DamagedCheckpoint(UserError):
    """A file of a checkpoint is missing, shortened or altered."""


def save_agent(
    folder: str | Path,
    agent: AlphaAgent,
    *,
    extra: Mapping[str, Any] | None = None,
    state: Mapping[str, Tensor] | None = None,
) -> None:
    """Write an agent; the folder holds the old checkpoint or the new one at any instant.

    Args:
        folder: the checkpoint's own folder; it is replaced.
        agent: on any device.
        extra: JSON-ready facts to keep beside it; ``load_agent`` returns them.
        state: further tensors to keep beside it (`agents.training_state`); ``load_with_state`` returns them.

    Raises:
        NonFiniteError: a weight or another tensor is NaN or infinite; nothing is written.
        UserError: the folder cannot be written.
    """
    description = {
        "config": settings_to_dict(agent.config),
        "observations": agent.spec.to_dict(),
        "num_actions": agent.num_actions,
        "seed": agent.seed,
        "value_discount": agent.value_discount,
    }
    meta = {"agent": description, "extra": dict(extra or {})}
    kept = {f"{STATE}{name}": tensor for name, tensor in (state or {}).items()}
    _write(folder, agent_tensors(agent) | kept, meta)


def load_agent(folder: str | Path) -> tuple[AlphaAgent, dict[str, Any]]:
    """Read an agent and the ``extra`` facts that were saved with it; raises as ``load_with_state``."""
    agent, extra, _ = load_with_state(folder)
    return agent, extra


def load_with_state(folder: str | Path) -> tuple[AlphaAgent, dict[str, Any], dict[str, Tensor]]:
    """Read an agent onto the CPU.

    Returns:
        The agent, the ``extra`` facts and the ``state`` that were saved with it.

    Raises:
        DamagedCheckpoint: a file is missing, truncated or altered.
        UserError: there is no such folder; the schema is newer; the weights do not fit the description; the description
            names an encoder or a head that this version does not have.
    """
    tensors, meta = _read(folder)
    try:
        description = meta["agent"]
        spec = ObservationSpec.from_dict(description["observations"])
        config = settings_from_dict(AgentConfig, description["config"])
        agent = build_agent(spec, description["num_actions"], config, seed=description["seed"])
        agent.value_discount = description.get("value_discount")
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise UserError(f"Checkpoint '{folder}' does not describe an agent ({error!r}); save it again.") from error
    _fill(agent, {name: tensor for name, tensor in tensors.items() if not name.startswith(STATE)}, folder)
    state = {name.removeprefix(STATE): tensor for name, tensor in tensors.items() if name.startswith(STATE)}
    return agent, meta["extra"], state


def require_intact(folder: str | Path) -> None:
    """Read the files of a checkpoint and compare them with its manifest; raises as ``load_with_state``."""
    _check_files(Path(folder))


def agent_tensors(agent: AlphaAgent) -> dict[str, Tensor]:
    """Return parameters and persistent buffers by name; a shared encoder appears once, under ``policy_encoder``."""
    state = agent.state_dict()
    return {name: tensor for name, tensor in state.items() if not (agent.shared and name.startswith("value_encoder."))}


def _fill(agent: AlphaAgent, tensors: Mapping[str, Tensor], folder: str | Path) -> None:
    """Copy tensors into a freshly built agent whose names, shapes and types must agree with them."""
    own = agent_tensors(agent)
    for name in sorted(own.keys() | tensors.keys()):
        if name not in own or name not in tensors:
            where = "does not belong to the described agent" if name not in own else "is missing"
            raise UserError(f"Weight {name!r} {where} in checkpoint '{folder}'; save the agent again.")
        if own[name].shape != tensors[name].shape or own[name].dtype != tensors[name].dtype:
            seen = f"{tuple(tensors[name].shape)} {tensors[name].dtype}"
            needed = f"{tuple(own[name].shape)} {own[name].dtype}"
            raise UserError(f"Weight {name!r} in checkpoint '{folder}' is {seen}; the described agent needs {needed}.")
        own[name].copy_(tensors[name])


def _write(folder: str | Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write the three files to a temporary folder and put it in place."""
    folder = Path(folder).absolute()
    for path in (folder, storage.previous_folder(folder)):
        _refuse_foreign(path)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise NonFiniteError(f"tensor {name!r} of checkpoint '{folder.name}'")
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    files = {WEIGHTS: tensors_to_bytes(plain), DESCRIPTION: storage.json_bytes(meta)}
    temporary = storage.temporary_path(folder.parent)
    try:
        for name, data in {**files, MANIFEST: _manifest(files)}.items():
            storage.write_bytes(temporary / name, data)
        storage.replace_folder(temporary, folder)
    except BaseException:
        storage.remove(temporary)
        raise


def _refuse_foreign(folder: Path) -> None:
    """Refuse to replace a file, or a folder that holds anything but a checkpoint: it is somebody's data."""
    if not folder.exists():
        return
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else {folder.name}
    foreign = sorted(names - {WEIGHTS, MANIFEST, DESCRIPTION})
    if foreign:
        raise UserError(f"'{folder}' holds {foreign[0]!r}, which is no checkpoint's; choose a folder of its own.")


def _read(folder: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the bytes that the manifest vouches for, and only those."""
    folder = Path(folder)
    if not folder.exists() and storage.previous_folder(folder).exists():
        # A process killed between the two renames of a replacement leaves the old content there.
        folder = storage.previous_folder(folder)
    files = _check_files(folder)
    try:
        return tensors_from_bytes(files[WEIGHTS]), storage.parse_json(files[DESCRIPTION])
    except (SafetensorError, ValueError, RecursionError) as error:
        raise DamagedCheckpoint(f"Checkpoint '{folder}' cannot be read ({error}); save it again.") from error


def _check_files(folder: Path) -> dict[str, bytes]:
    """Return the content of the files after checking it against the manifest."""
    if not folder.is_dir():
        raise UserError(f"There is no checkpoint folder '{folder}'; check the path.")
    manifest = _read_manifest(folder)
    if manifest["kind"] != KIND:
        raise UserError(f"Checkpoint '{folder}' holds {manifest['kind']!r}, not {KIND!r}; choose another folder.")
    contents = {}
    for name in (WEIGHTS, DESCRIPTION):
        data = _read_bytes(folder / name)
        entry = manifest["files"].get(name)
        if entry != _entry(data):
            fault = "is truncated" if entry and len(data) < entry["bytes"] else "was altered"
            raise DamagedCheckpoint(
                f"File '{folder / name}' {fault}: its SHA-256 is not the manifest's; {_cure(folder)}."
            )
        contents[name] = data
    return contents


def _read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest, refusing a newer schema and any byte that was changed."""
    path = folder / MANIFEST
    data = _read_bytes(path)
    try:
        manifest = storage.parse_json(data)
        schema, digest = manifest["schema"], manifest.pop("sha256")
        if isinstance(schema, int) and schema > SCHEMA:
            raise UserError(f"Checkpoint '{folder}' has schema {schema}; this version reads up to {SCHEMA}: upgrade.")
        intact = digest == _digest(manifest) and data == storage.json_bytes({**manifest, "sha256": digest})
        intact = intact and isinstance(manifest["files"], dict) and isinstance(manifest["kind"], str)
    except UserError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        intact = False
    if not intact:
        raise DamagedCheckpoint(f"File '{path}' was altered or truncated; {_cure(folder)}.")
    assert isinstance(manifest, dict)
    return manifest


def _read_bytes(path: Path) -> bytes:
    """Read a whole file; DamagedCheckpoint where it is missing."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DamagedCheckpoint(f"Cannot read '{path}': {error.strerror}; {_cure(path.parent)}.") from error


def _cure(folder: Path) -> str:
    """Say what to load instead."""
    previous = storage.previous_folder(folder)
    return f"load '{previous}' instead" if previous.exists() else "restore the folder from a copy or train again"


def _manifest(files: Mapping[str, bytes]) -> bytes:
    """Return the manifest's bytes."""
    manifest = {"schema": SCHEMA, "kind": KIND, "files": {name: _entry(data) for name, data in files.items()}}
    return storage.json_bytes({**manifest, "sha256": _digest(manifest)})


def _entry(data: bytes) -> dict[str, Any]:
    """Return what the manifest says of one file."""
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def _digest(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the manifest without its own sum."""
    return hashlib.sha256(storage.json_bytes(dict(manifest))).hexdigest()
