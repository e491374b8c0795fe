"""Train an agent in AlphaGo's order, and ask whether its value head uses the context."""

from __future__ import annotations

from pathlib import Path

from agents.config import TrainConfig
from agents.presets import recommended
from agents.train import train
from analysis.probe import Settings, probe_run
from analysis.probing.report import ProbeReport, write_report


def main(out: Path, config: TrainConfig | None = None, settings: Settings | None = None) -> ProbeReport:
    """Write a run into `out`, and its probe into `out`/probe."""
    env_id = "ValueLab/MultiNeed-v0"
    result = train(env_id, config or recommended(env_id, seed=0), out)
    for played in result.metrics["evaluations"]:
        print(f"{played['actor']} on {played['split']} levels: {played['mean_discounted_return']:.3f}")
    report = probe_run(out, settings=settings or Settings(seed=1000))
    write_report(report, out / "probe")
    print(*report.found, *report.not_shown, sep="\n")
    return report


if __name__ == "__main__":
    main(Path("runs/train-and-probe"))
