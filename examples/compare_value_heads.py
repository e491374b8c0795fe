"""Compare value heads that learned from the same recorded episodes, with the plan frozen beforehand."""

from __future__ import annotations

from pathlib import Path

from analysis.preregistration import preregister
from analysis.studies.comparison import ComparisonResult, run_comparison
from analysis.studies.plan import ComparisonPlan, frozen, make_plan


def main(out: Path, plan: ComparisonPlan | None = None, workers: int = 2) -> ComparisonResult:
    """Freeze the plan in `out`/plan.json, and run it into `out`/study."""
    plan = plan or make_plan("quick", arms=("MONO", "MOE", "ROUTE"), tests=("CrossedHistory",), num_seeds=3)
    preregister(frozen(plan), out / "plan.json")
    result = run_comparison(plan, out / "study", workers=workers, preregistration=out / "plan.json")
    for line, per_seed in result.scores.tests["CrossedHistory"].lines.items():
        print(line, [round(score, 3) for score in per_seed.values()])
    print(result.words)
    return result


if __name__ == "__main__":
    main(Path("runs/compare-value-heads"))
