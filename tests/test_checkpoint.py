"""Checkpoints come back bitwise; what is missing, cut, flipped or newer is refused; killed while saving, one loads."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents import checkpoint
from agents.agent import AlphaAgent, build_agent
from agents.checkpoint import (
    MANIFEST,
    WEIGHTS,
    agent_tensors,
    load_agent,
    save_agent,
)
from agents.config import AgentConfig
from agents.observations import ObservationSpec
from envs import storage
from envs.errors import NonFiniteError, UserError
from shards.registry import HEADS

SPACE = spaces.Dict(image=spaces.Box(0, 255, (3, 3, 3), np.uint8), direction=spaces.Discrete(4), text=spaces.Text(4))
SMALL = {"encoder_sizes": (8,), "hidden_size": 32, "num_contexts": 2, "num_events": 2, "memory_size": 8,
         "component_weights": (1.0, -1.0)}  # fmt: skip
FILES = (WEIGHTS, "agent.json", MANIFEST)


def sample() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"image": rng.integers(0, 5, (6, 3, 3, 3), dtype=np.uint8), "direction": rng.integers(0, 4, 6)}


def make(seed: int = 0, **settings: object) -> AlphaAgent:
    config = AgentConfig(**{**SMALL, **settings})  # type: ignore[arg-type]
    return build_agent(SPACE, 3, config, seed=seed, sample=sample())


def same(first: AlphaAgent, second: AlphaAgent) -> bool:
    a, b = agent_tensors(first), agent_tensors(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("regime", ["scratch", "imitated", "shared"])
def test_an_agent_comes_back_bitwise(tmp_path: Path, head: str, regime: str) -> None:
    agent = make(head=head, value_encoder=regime)
    for parameter in agent.parameters():
        parameter.data.add_(torch.linspace(0, 1, parameter.numel()).reshape(parameter.shape))
    save_agent(tmp_path / "run" / "checkpoint", agent, extra={"env_id": "X-v0", "discount": 0.95})
    back, extra = load_agent(tmp_path / "run" / "checkpoint")
    assert extra == {"env_id": "X-v0", "discount": 0.95}
    assert same(agent, back) and back.shared == agent.shared and back.config == agent.config and back.seed == agent.seed
    assert [p.requires_grad for p in back.parameters()] == [p.requires_grad for p in agent.parameters()]
    context = torch.zeros(6, dtype=torch.int64) if agent.value_head.needs_context else None
    assert torch.equal(back.policy_logits(sample()), agent.policy_logits(sample()))
    assert torch.equal(back.value(sample(), context=context).value, agent.value(sample(), context=context).value)


@pytest.mark.parametrize("encoder", ["conv", "gru"])
def test_every_encoder_comes_back(tmp_path: Path, encoder: str) -> None:
    agent = make(encoder=encoder)
    save_agent(tmp_path / "agent", agent)
    back, extra = load_agent(tmp_path / "agent")
    assert same(agent, back) and extra == {}
    assert torch.equal(back.policy_logits(sample()), agent.policy_logits(sample()))


def test_equal_agents_give_equal_files_and_only_three(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_agent(tmp_path / name, make(), extra={"x": 1})
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(FILES)
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in FILES)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    save_agent(tmp_path / "agent", make())
    resign(tmp_path / "agent", kind="state")
    with pytest.raises(UserError, match="holds 'state', not 'agent'"):
        load_agent(tmp_path / "agent")


def test_400_random_bit_flips_are_all_refused_by_the_files_name(tmp_path: Path) -> None:
    """torch and safetensors accept almost all of these."""
    folder = tmp_path / "agent"
    save_agent(folder, make())
    rng = np.random.default_rng(0)
    for number in range(400):
        path = folder / FILES[number % 3]
        data = path.read_bytes()
        flipped = bytearray(data)
        bit = int(rng.integers(len(data) * 8))
        flipped[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(flipped)
        with pytest.raises(UserError) as caught:
            load_agent(folder)
        assert str(folder) in str(caught.value) and "\n" not in str(caught.value)
        path.write_bytes(data)
    load_agent(folder)


@pytest.mark.parametrize("name", FILES)
def test_bits_all_over_each_file_count(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "agent"
    save_agent(folder, make())
    data = (folder / name).read_bytes()
    for bit in range(0, len(data) * 8, 7 if name == MANIFEST else 997):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << (bit % 8)
        (folder / name).write_bytes(flipped)
        with pytest.raises(UserError):
            checkpoint._check_files(folder)


@pytest.mark.parametrize("name", FILES)
def test_missing_truncated_and_lengthened_files_are_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "agent"
    save_agent(folder, make())
    data = (folder / name).read_bytes()
    for length in {0, 1, len(data) // 2, len(data) - 1}:
        (folder / name).write_bytes(data[:length])
        with pytest.raises(UserError, match=f"{name}.*truncated"):
            load_agent(folder)
    (folder / name).write_bytes(data + b"\0")
    with pytest.raises(UserError, match=f"{name}.*altered"):
        load_agent(folder)
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"Cannot read.*{name}.*No such file"):
        load_agent(folder)
    with pytest.raises(UserError, match="There is no checkpoint folder"):
        load_agent(tmp_path / "nowhere")


def resign(folder: Path, **changes: object) -> None:
    """Write a manifest that vouches for whatever the folder holds: a forger can do this, a fault cannot."""
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["sha256"]
    manifest |= changes
    for name in manifest["files"]:
        manifest["files"][name] = checkpoint._entry((folder / name).read_bytes())
    storage.write_json(folder / MANIFEST, {**manifest, "sha256": checkpoint._digest(manifest)})


def test_a_newer_schema_is_refused_by_number(tmp_path: Path) -> None:
    save_agent(tmp_path / "agent", make())
    resign(tmp_path / "agent", schema=2)
    with pytest.raises(UserError, match="schema 2; this version reads up to 1: upgrade"):
        load_agent(tmp_path / "agent")


def test_a_forged_description_runs_no_code_and_is_refused_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "agent"
    save_agent(folder, make())
    good = json.loads((folder / "agent.json").read_text())
    for change, message in [
        ({"encoder": "os.system"}, "Encoder 'os.system' is unknown"),
        ({"head": "subprocess"}, "no value head 'subprocess'"),
        ({"encoder_sizes": [16]}, "needs"),
        ({"value_encoder": "shared"}, "does not belong"),
        ({"colour": 1}, "no field 'colour'"),
    ]:
        bad = json.loads(json.dumps(good))
        bad["agent"]["config"] |= change
        storage.write_json(folder / "agent.json", bad)
        resign(folder)
        with pytest.raises(UserError, match=message):
            load_agent(folder)
    for bad in ({}, [], {"agent": None}, {"agent": {**good["agent"], "observations": {"leaves": [{}], "dropped": []}}}):
        storage.write_json(folder / "agent.json", bad)
        resign(folder)
        with pytest.raises(UserError, match="does not describe an agent"):
            load_agent(folder)


def test_a_pickle_in_place_of_the_weights_is_refused(tmp_path: Path) -> None:
    save_agent(tmp_path / "agent", make())
    torch.save({"x": torch.zeros(1)}, tmp_path / "agent" / WEIGHTS)
    resign(tmp_path / "agent")
    with pytest.raises(UserError, match="cannot be read"):
        load_agent(tmp_path / "agent")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_never_reach_the_disk(tmp_path: Path, value: float) -> None:
    agent = make()
    save_agent(tmp_path / "agent", agent)
    before = {name: (tmp_path / "agent" / name).read_bytes() for name in FILES}
    agent.policy_head.weight.data[0, 0] = value
    with pytest.raises(NonFiniteError, match=r"policy_head\.weight"):
        save_agent(tmp_path / "agent", agent)
    with pytest.raises(ValueError, match="finite"):
        save_agent(tmp_path / "new", make(), extra={"loss": value})
    assert {name: (tmp_path / "agent" / name).read_bytes() for name in FILES} == before
    assert [path.name for path in tmp_path.iterdir()] == ["agent"]


def test_the_one_before_is_kept_and_named_when_the_new_one_is_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "agent"
    for seed in (0, 1, 2):
        save_agent(folder, make(seed))
    (folder / WEIGHTS).write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"load '.*agent\.previous' instead"):
        load_agent(folder)
    assert same(load_agent(storage.previous_folder(folder))[0], make(1))


def test_somebodys_folder_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"holds 'thesis\.tex'"):
        save_agent(tmp_path / "notes", make())
    save_agent(tmp_path / "agent", make())
    (tmp_path / "agent.previous").mkdir()
    (tmp_path / "agent.previous" / "mine").write_text("")
    with pytest.raises(UserError, match="holds 'mine'"):
        save_agent(tmp_path / "agent", make())
    assert (tmp_path / "notes" / "thesis.tex").read_text() == "years of work"


def test_an_unwritable_place_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        save_agent(tmp_path / "file" / "agent", make())


def test_a_saved_description_holds_no_import_path(tmp_path: Path) -> None:
    save_agent(tmp_path / "agent", make())
    text = (tmp_path / "agent" / "agent.json").read_text()
    assert not any(word in text for word in ("agents.", "shards.", "torch", "import", "<class"))


def test_the_fitted_levels_are_part_of_the_checkpoint(tmp_path: Path) -> None:
    agent = make()
    assert agent.spec != ObservationSpec.from_space(SPACE)
    save_agent(tmp_path / "agent", agent)
    back, _ = load_agent(tmp_path / "agent")
    assert back.spec == agent.spec and back.spec.dropped == ("text",)


WRITER = """
import sys, torch
from gymnasium import spaces
from agents.agent import build_agent
from agents.checkpoint import save_agent
from agents.config import AgentConfig
agent = build_agent(spaces.Discrete(4), 2, AgentConfig(), seed=0)
print("ready", flush=True)
for number in range(10**9):
    for parameter in agent.parameters():
        torch.nn.init.constant_(parameter, float(number))
    save_agent(sys.argv[1], agent, extra={"number": number})
    print(number, flush=True)
"""


@pytest.mark.slow
def test_killed_8_times_while_saving_one_checkpoint_always_loads(tmp_path: Path) -> None:
    folder = tmp_path / "agent"
    for delay in np.linspace(0.0, 0.2, 8):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
            process.stdout.readline()
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            numbers = process.stdout.read().split()
        agent, extra = load_agent(folder)
        assert all(bool((parameter == extra["number"]).all()) for parameter in agent.parameters())
        assert extra["number"] >= (int(numbers[-1]) if numbers and numbers[-1].isdigit() else 0) - 1
        storage.sweep(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} <= {"agent", "agent.previous"}
