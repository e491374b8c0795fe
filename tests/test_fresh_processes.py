"""The same command in fresh processes writes the same bytes, whatever the hash seed by which sets are ordered."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SETTINGS = [
    "--imitation.num-updates", "30", "--num-demonstrations", "20", "--reinforce.num-steps", "512",
    "--reinforce.num-envs", "8", "--reinforce.rollout-length", "16", "--value.num-updates", "30",
    "--value.num-episodes", "24", "--episodes", "8", "--device", "cpu", "--out", "run",
]  # fmt: skip
OURS = ["ValueLab/MultiNeed-v0", "--value-head", "ROUTE", "--option", "size=4", "--option", "num_levels=20"]
FOREIGN = ["MiniGrid-DoorKey-5x5-v0"]
"""Its expert searches over states that it keeps in dicts and sets."""


def written(folder: Path, words: list[str], *, hash_seed: str, seed: str = "3") -> dict[str, bytes]:
    """What `valuelab train` leaves, by name; a picture's bytes count as well."""
    main = "from analysis.cli import main; main()"
    command = [sys.executable, "-c", main, "train", *words, *SETTINGS, "--seed", seed]
    folder.mkdir()
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, timeout=500)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("words", [OURS, FOREIGN], ids=["ours", "foreign"])
def test_training_writes_the_same_bytes(words: list[str], tmp_path: Path) -> None:
    first, second = (written(tmp_path / seed, words, hash_seed=seed) for seed in ("0", "1"))
    assert {"run/checkpoint/weights.safetensors", "run/curve.jsonl", "run/metrics.json"} <= first.keys()
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    other = written(tmp_path / "other", words, hash_seed="0", seed="4")
    assert other["run/checkpoint/weights.safetensors"] != first["run/checkpoint/weights.safetensors"]
