"""The same play in another process under another hash seed.

The order of a set of strings follows from the hash seed of the process, so within one process nobody sees that an env
depends on it. Only an env that is made from a registration by name can be made again elsewhere.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from envs.checks.players import Broken, Clock
from envs.checks.report import Findings
from envs.checks.rules import OTHER_PROCESS
from envs.checks.subject import Subject
from envs.checks.values import difference

_SECONDS = 60


def check_other_process(subject: Subject) -> None:
    """Compare play 0 here with play 0 there; what keeps the other process from playing is said, and is no fault."""
    spec = subject.spec
    try:
        described = spec.to_json() if spec is not None else None
    except ValueError:
        described = None
    if described is None:
        subject.findings.skip(OTHER_PROCESS.name, "the env is not registered by the name of its class")
        return
    asked = {
        "spec": described, "seed": subject.seed, "num_steps": subject.num_steps, "imports": list(subject.imports),
    }  # fmt: skip
    here = subject.solo(0)
    there = _played_there(asked)
    if isinstance(there, str):
        subject.findings.skip(OTHER_PROCESS.name, there)
        return
    for moment, facts in zip(here, there, strict=False):
        seen = difference(moment.facts, facts)
        if seen:
            subject.findings.add(OTHER_PROCESS, "two plays differ in two processes", seen=seen, where=moment.where)
            return


def _played_there(asked: dict[str, Any]) -> list[dict[str, str]] | str:
    """The facts of each moment, or the reason why there are none."""
    hash_seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    surroundings = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            [sys.executable, "-c", f"from {__name__} import answer; answer()"], input=json.dumps(asked),
            env=surroundings, timeout=_SECONDS, capture_output=True, text=True, check=True,
        )  # fmt: skip
        # Packages may greet on stdout, so what counts is the last line.
        facts: list[dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
    except subprocess.CalledProcessError as error:
        return f"the other process failed ({(error.stderr.strip().splitlines() or ['no message'])[-1]})"
    except (subprocess.TimeoutExpired, ValueError, IndexError) as error:
        return f"the other process gave no answer ({type(error).__name__})"
    return facts


def answer() -> None:
    """What the other process runs: play as stdin asks, and print the facts of each moment as JSON."""
    asked = json.load(sys.stdin)
    sys.path.append(os.getcwd())
    for name in asked["imports"]:
        importlib.import_module(name)
    spec = EnvSpec.from_json(asked["spec"])
    subject = Subject(
        lambda **options: gymnasium.make(spec, disable_env_checker=True, **options),
        seed=asked["seed"], num_steps=asked["num_steps"], findings=Findings(), clock=Clock(_SECONDS),
    )  # fmt: skip
    try:
        print("\n" + json.dumps([moment.facts for moment in subject.solo(0)]))
    except Broken:
        sys.exit(str(next(subject.findings.ordered())))
