"""Turn a Stable-Baselines3 zip into files that hold no code: weights as safetensors, shapes and settings as JSON.

    python scripts/sb3_to_safetensors.py model.zip folder [--algorithm PPO]

Loading such a zip runs whatever its author put there, since it holds pickles; so this script stands outside the
packages, and you run it where you trust the file. A model whose policy is `agents.sb3.ValueLabPolicy` becomes a
checkpoint that `agents.checkpoint.load_agent` and `valuelab probe` read; any other policy becomes `policy.safetensors`,
whose tensors have the names of its `state_dict`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import stable_baselines3
from safetensors.torch import save_file

from agents.checkpoint import save_agent
from agents.sb3 import ValueLabPolicy, agent_from_sb3


def convert(path: Path, folder: Path, *, algorithm: str = "PPO") -> Path:
    """Write the model's weights into a folder, which must not exist, and return it."""
    if folder.exists():
        raise SystemExit(f"{folder} exists already; name another folder.")
    model = getattr(stable_baselines3, algorithm).load(path, device="cpu")
    if isinstance(model.policy, ValueLabPolicy):
        save_agent(folder, agent_from_sb3(model))
        return folder
    folder.mkdir(parents=True)
    tensors = {name: tensor.contiguous().clone() for name, tensor in model.policy.state_dict().items()}
    save_file(tensors, folder / "policy.safetensors")
    facts = {
        "algorithm": algorithm, "policy": type(model.policy).__name__, "discount": model.gamma,
        "observation_space": str(model.observation_space), "action_space": str(model.action_space),
        "shapes": {name: list(tensor.shape) for name, tensor in tensors.items()},
    }  # fmt: skip
    (folder / "policy.json").write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")
    return folder


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zip", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--algorithm", default="PPO", choices=["A2C", "DDPG", "DQN", "PPO", "SAC", "TD3"])
    arguments = parser.parse_args()
    print(convert(arguments.zip, arguments.folder, algorithm=arguments.algorithm))


if __name__ == "__main__":
    main()
