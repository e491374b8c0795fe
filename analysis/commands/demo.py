"""`valuelab demo`: the main job from end to end, in a few minutes: train, compare, probe, and say what was found.

Finished parts are found again in the folder, so that an interrupted demo goes on, and a second one only shows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agents.checkpoint import load_agent
from agents.config import ReinforceConfig, TrainConfig
from agents.device import resolve_device
from agents.evaluation import evaluate
from agents.fields import settings_to_dict
from agents.history import HISTORY
from agents.measuring import measure_run
from agents.run_folder import BEST, CHECKPOINT, CONFIG, CURVE, LAST, METRICS
from agents.train import train
from analysis.cell_files import StudyFolder, finished
from analysis.cli import Demo
from analysis.cli_words import Device
from analysis.commands.compare import follow
from analysis.commands.curve_figure import draw_curve
from analysis.commands.demo_words import Trained, conclusion
from analysis.commands.folders import require_writable
from analysis.commands.printing import say, table_of
from analysis.commands.returns import show as show_returns
from analysis.commands.stopping import stopped_by_signals
from analysis.commands.train import introduction
from analysis.probe import Settings, probe_agent
from analysis.probing.activity import untrained_twin
from analysis.probing.collecting import Collection, collect
from analysis.probing.outcomes import outcome_fit
from analysis.probing.report import ProbeReport, write_report
from analysis.progress import Journey
from analysis.studies.comparison import ComparisonResult, run_comparison
from analysis.studies.plan import ComparisonPlan, cells_of, make_plan
from analysis.studies.yoked import AGENT, FIT, options_of
from envs.errors import UserError, require_integer
from envs.storage import TEMPORARY_PREFIX, previous_folder, read_json

MINIGRID, CROSSED = "MiniGrid-Empty-8x8-v0", "ValueLab/CrossedHistory-v0"
NUM_SEEDS = 3
NUM_UNTRAINED = 16
NUM_HELD_OUT = 64
"""Episodes of the untrained network, which take as long as the time limit lets them."""
PROBED_BY = ("readability", "context", "outcomes")
SECONDS = {"train": 35.0, "measure": 8.0, "compare": 75.0, "probe": 10.0}
"""What the parts take on two cores, in seconds; the remaining time that is shown adapts to the machine."""


def run(command: Demo) -> int:
    """Do what is not done yet, show all of it, and end in words; 1 where cells of the comparison failed."""
    require_integer("--seed", command.seed, low=0, high=2**63 - 1)
    require_integer("--workers", command.workers, low=0, high=1024)
    require_writable(command.out)
    device = resolve_device(command.device)[0].type
    config = settings(command.seed, command.device)
    plan = make_plan("quick", tests=("T0", "CrossedHistory"), num_seeds=NUM_SEEDS, device=device)
    is_trained = _is_trained(command.out / "minigrid", config)
    is_compared = (command.out / "comparison" / "summary.txt").exists()
    journey = Journey(
        "demo", SECONDS | ({"train": 0.0} if is_trained else {}) | ({"compare": 2.0} if is_compared else {})
    )
    trained = _train(command.out / "minigrid", config, journey, is_trained=is_trained)
    result = _compare(command, plan, journey)
    report, paths = _probe(command.out, plan, journey)
    say("", *conclusion(trained, result, report), "")
    say(*(f"Figure: {path}" for path in (trained.figure, *result.figures, *paths) if str(path).endswith(".png")))
    say(f"Tables: {result.folder / 'rows.parquet'}", f"Words: {result.folder / 'summary.txt'}")
    say(*(f"Words: {path}" for path in paths if path.suffix == ".md"))
    say("Next: valuelab compare --preset first (six arms, 20 seeds, four tests), or valuelab train --help.")
    return result.study.exit_code


def settings(seed: int, device: Device) -> TrainConfig:
    """Settings of the MiniGrid run: the defaults, with fewer steps, because imitation leaves little to reinforce."""
    return TrainConfig(seed=seed, device=device, reinforce=ReinforceConfig(num_steps=100_000))


def _is_trained(folder: Path, config: TrainConfig) -> bool:
    """Whether a finished run with these settings stands in the folder.

    Raises:
        UserError: something else stands there, or its checkpoint was damaged.
    """
    if (folder / CONFIG).exists() and read_json(folder / CONFIG).get("settings") != settings_to_dict(config):
        raise UserError(f"'{folder}' holds a run with other settings (such as its seed); choose another --out.")
    if (folder / METRICS).exists():
        load_agent(folder / CHECKPOINT)
        return True
    agents = {name for part in (CHECKPOINT, LAST, BEST) for name in (part, previous_folder(part).name)}
    own = {CONFIG, CURVE, HISTORY, *agents}
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    foreign = sorted(name for name in names - own if not name.startswith(TEMPORARY_PREFIX))
    if foreign:
        raise UserError(f"'{folder}' holds {foreign[0]!r}, which is not the demo's; choose another --out.")
    return False


def _train(folder: Path, config: TrainConfig, journey: Journey, *, is_trained: bool) -> Trained:
    """Part 1: the agent, its return against the optimum, and that of the same network before training."""
    say(f"1. An agent for {MINIGRID}: imitate plans found by search, reinforce, then fit V to outcomes.")
    say(*introduction(MINIGRID, {}, device=config.device))
    if is_trained:
        say(f"Found finished in {folder}.")
    else:
        with journey.piece("train") as display, stopped_by_signals() as stop:
            train(MINIGRID, config, folder, resume=True, stop=stop, progress=display.tell, announce=display.print)
    agent, _ = load_agent(folder / CHECKPOINT)
    with journey.piece("measure") as display:
        found = measure_run(agent, MINIGRID, config, progress=lambda share, text: display.tell(share / 2, text))
        (line,) = found.lines
        display.tell(0.5, "the untrained network plays")
        twin = untrained_twin(agent)
        before = evaluate(twin, MINIGRID, greedy=False, num_episodes=NUM_UNTRAINED, seed=config.seed)
        fit = outcome_fit(collect(agent, MINIGRID, seed=1000, collection=Collection(num_episodes=NUM_HELD_OUT)))
    show_returns([line], title=f"{config.agent.head} on {MINIGRID}, seed {config.seed}")
    title = f"{MINIGRID}: return while reinforcing"
    figure = draw_curve(folder, title=title, best=line.optimum.undiscounted)
    return Trained(MINIGRID, line, float(np.mean(before.returns)), fit, figure)


def _compare(command: Demo, plan: ComparisonPlan, journey: Journey) -> ComparisonResult:
    """Part 2: the comparison."""
    seeds = f"{len(plan.seeds)} seeds, which are too few for a verdict"
    say("", f"2. The comparison on {CROSSED}: {', '.join(plan.arms)}; {seeds}.")
    with journey.piece("compare") as display:
        result = run_comparison(plan, command.out / "comparison", workers=command.workers, progress=follow(display))
    table_of(result.table, title="Scores: means over seeds with 95 % t intervals")
    return result


def _probe(out: Path, plan: ComparisonPlan, journey: Journey) -> tuple[ProbeReport | None, list[Path]]:
    """Part 3: the probe of one V of the comparison, because a context is there to be found."""
    say("", f"3. The probe of one V of the comparison: MONO, seed {plan.seeds[0]}.")
    study = StudyFolder(out / "comparison")
    fit = next(cell for cell in cells_of(plan) if cell.function == FIT and cell.config["arm"] == "MONO")
    if not finished(study, fit.hash):
        say("Left out, because its cell failed.")
        return None, []
    agent, _ = load_agent(study.artifacts(fit.hash) / AGENT)
    options = options_of("CrossedHistory", plan.seeds[0])
    with journey.piece("probe") as display:
        report = probe_agent(
            agent, CROSSED, settings=Settings(seed=1000), names=PROBED_BY, options=options, progress=display.tell
        )
    return report, write_report(report, out / "probe")
