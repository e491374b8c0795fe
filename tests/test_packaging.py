"""The wheel holds exactly the four packages, and the command line starts fast."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from analysis.monitors.zoo import SEALS, shipped

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.slow
def test_the_wheel_holds_exactly_the_four_packages(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("valuelab-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"envs", "shards", "agents", "analysis"}
    zoo = "analysis/monitors/sealed_zoo/"
    assert {name.removeprefix(zoo) for name in names if name.startswith(zoo)} == set(SEALS)


def test_the_sealed_zoo_is_package_data() -> None:
    assert "monitors/sealed_zoo/*" in PROJECT["tool"]["setuptools"]["package-data"]["analysis"]
    assert shipped() == ROOT / "analysis" / "monitors" / "sealed_zoo"


def test_the_project_is_private_and_names_itself() -> None:
    project = PROJECT["project"]
    assert project["name"] == "valuelab"
    assert "Private :: Do Not Upload" in project["classifiers"]
    assert project["scripts"] == {"valuelab": "analysis.cli:main"}
    assert PROJECT["tool"]["setuptools"]["package-dir"] == {"": "."}


def test_every_dependency_is_pinned() -> None:
    """Everything that is installed because valuelab or an extra of it asks for it, directly or through others."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    pinned = {canonicalize_name(name): version for name, version in pins.items()}
    assert pinned["torch"] == "2.13.0"
    extras = [name for group in PROJECT["project"]["optional-dependencies"].values() for name in group]
    waiting, seen = [Requirement(name) for name in PROJECT["project"]["dependencies"] + extras], set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in seen or re.match(r"nvidia-|triton$|cuda-", name):  # torch's own builds pin these themselves.
            continue
        seen.add(name)
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            assert requirement.marker is not None or name not in pinned, f"{name} is not installed"
            continue
        assert name in pinned, f"{name} {found.version} is not in constraints.txt"
        assert found.version.split("+")[0] == pinned[name], f"{name}: {found.version} is installed"
        needs = [Requirement(text) for text in found.requires or []]
        waiting += [need for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]


def test_every_dependency_is_used() -> None:
    source = "\n".join(path.read_text() for package in ("envs", "shards", "agents", "analysis")
                       for path in (ROOT / package).rglob("*.py"))
    modules = {"pillow": "PIL", "scikit-learn": "sklearn", "stable-baselines3": "stable_baselines3"}
    for requirement in PROJECT["project"]["dependencies"]:
        name = re.split(r"[<>=]", requirement)[0]
        assert re.search(rf"(import|from) {modules.get(name, name)}\b|['\"]{name}['\"]", source), f"{name} is not used"


def test_help_is_fast_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, runpy\n"
        "sys.argv = ['valuelab', '--help']\n"
        "try:\n    from analysis.cli import main; main()\n"
        "except SystemExit as stop:\n    assert not stop.code\n"
        "heavy = {'torch', 'numba', 'sklearn', 'matplotlib', 'polars', 'gymnasium'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    seconds = []
    for _ in range(3):
        # Processor time: on a busy machine the wall clock says nothing of the command.
        start = os.times()
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
        end = os.times()
        seconds.append(end.children_user + end.children_system - start.children_user - start.children_system)
        assert run.returncode == 0, run.stderr
        assert "train" in run.stdout
    assert min(seconds) < 0.5
