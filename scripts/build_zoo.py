"""Build the sealed zoo from a study that `valuelab niceness monitor --out STUDY` has finished.

    python scripts/build_zoo.py STUDY analysis/monitors/sealed_zoo

It prints the seals that belong into `analysis.monitors.zoo.SEALS`. The zoo is what the study's own agents are, so that
whoever runs the study again can build it again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from analysis.studies.monitoring import QUESTION
from analysis.studies.zoo_building import build_zoo

if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: python scripts/build_zoo.py STUDY FOLDER")
    for name, seal in build_zoo(Path(sys.argv[1]), Path(sys.argv[2]), seeds=range(QUESTION.num_seeds)).items():
        print(f'"{name}": "{seal}",')
