"""Build a sealed zoo of the agents of a study that `valuelab niceness monitor --out STUDY` has finished.

    python scripts/build_zoo.py STUDY FOLDER

It prints the seals, and how many agents are of each kind. `valuelab audit FILE --zoo FOLDER` scores a monitor on it.
The shipped zoo, whose seals are `analysis.monitors.zoo.SEALS`, is that of a study with `--seeds 5`.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from analysis.monitors.zoo import load_labels
from analysis.studies.zoo_building import build_zoo
from envs.errors import UserError


def main(study: Path, folder: Path) -> None:
    """Build, and say what was built."""
    for name, seal in build_zoo(study, folder).items():
        print(f'"{name}": "{seal}",')
    labels = load_labels(folder).values()
    kinds = Counter(" and ".join(trait for trait in one.shows if one.shows[trait]) or "neither" for one in labels)
    print(f"{len(labels)} agents: {', '.join(f'{number} {kind}' for kind, number in sorted(kinds.items()))}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: python scripts/build_zoo.py STUDY FOLDER")
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except UserError as error:
        raise SystemExit(str(error)) from error
