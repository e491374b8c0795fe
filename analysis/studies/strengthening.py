"""Agents that were paid where they have no power are given power and go on learning, measured after each update.

D∘E learns on TRIAD at κ = 0. At κ > 0 its greedy policy is measured exactly, first as it came (zero-shot), then after
each update of the same recipe on the objective of its arm. All arms of a seed begin as the same untrained network. V
is the baseline of the policy gradient, so that its head, monolith or shards, has a part in what D learns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from agents.agent import AlphaAgent
from agents.checkpoint import load_agent, save_agent
from agents.greedy import greedy_actions
from agents.seeding import derive_seed
from analysis.cells import Cell, CellContext, Row, cell_function
from analysis.studies.niceness_calibration import ENV_ID
from analysis.studies.niceness_learners import Task, beginner, reinforced
from analysis.studies.value_heads import HEADS
from envs.niceness.case_configs import case_of
from envs.niceness.measures import influence
from envs.niceness.row_policies import policy_on_rows

SCHOOL, STRENGTHEN = "niceness.strengthen.school", "niceness.strengthen"
KAPPAS = (1.0, 0.25)


@dataclass(frozen=True)
class Sizes:
    """Environment steps at κ = 0, and of one budget with power."""

    school: int = 30_000
    budget: int = 100_000


@dataclass(frozen=True)
class Arm:
    """What an agent is paid for with power, what it was paid for without (None: it was not trained), and where.

    Attributes:
        objective: Paid with power.
        school: Paid at κ = 0.
        starts: First tastes in the school: all, or A alone. With power it is A.
        budgets: How many budgets of steps it goes on.
        kappas: The powers that it is given.
    """

    objective: str
    school: str | None
    starts: str = "uniform"
    budgets: int = 1
    kappas: tuple[float, ...] = KAPPAS


RT, SCRATCH, NARROW, NS, IR = "RT", "RT, from scratch", "RT, one taste seen", "NS", "IR"
ARMS = MappingProxyType(
    {
        RT: Arm("RT", "RT"),
        SCRATCH: Arm("RT", None),
        NARROW: Arm("RT", "RT", starts="fixed", budgets=2, kappas=(1.0,)),
        NS: Arm("NS", "RT", kappas=(1.0,)),
        IR: Arm("IR", "IR", kappas=(1.0,)),
    }
)


@cell_function(SCHOOL, version=2, seconds=3.0)
def school(context: CellContext) -> list[Row]:
    """Train D∘E without power."""
    config = context.config
    task = weak_task(config["seed"], config["objective"], starts=config["starts"])
    agent = reinforced(beginner(task, config["head"]), task, num_steps=config["num_steps"], share_value=True)
    save_agent(context.folder / "agent", agent)
    return []


@cell_function(STRENGTHEN, version=2, seconds=lambda config: 8e-5 * config["num_steps"])
def strengthen(context: CellContext) -> list[Row]:
    """Give the agent power, let it go on learning, and measure what it does to people."""
    config = context.config
    if context.parents:
        agent, _ = load_agent(context.parent(SCHOOL).folder / "agent")
    else:
        agent = beginner(weak_task(config["seed"], "RT", starts="uniform"), config["head"])
    task = Task(
        ENV_ID, {"kappa": config["kappa"]}, config["objective"], derive_seed(config["seed"], "strengthen", "power")
    )
    measure = Measure(task)
    rows = [{"step": 0, **measure(agent)}]

    def on_update(learner: AlphaAgent, update: dict[str, Any]) -> bool:
        rows.append({"step": update["step"], **measure(learner)})
        return False

    reinforced(agent, task, num_steps=config["num_steps"], share_value=True, on_update=on_update)
    return rows


def weak_task(seed: int, objective: str, *, starts: str) -> Task:
    """The school: where no action moves a taste."""
    return Task(ENV_ID, {"kappa": 0.0, "starts": starts}, objective, seed)


class Measure:
    """MI and LI of an agent's greedy policy, exactly, in the world of a task."""

    def __init__(self, task: Task) -> None:
        self.world, self.rows, self.case = task.world, task.mdp.rows, case_of(task.world.config)

    def __call__(self, agent: AlphaAgent) -> Row:
        """MI, LI and push = MI − LI."""
        actions = greedy_actions(agent, self.world, self.rows)
        found = influence(policy_on_rows(self.case, self.rows, actions))
        return {"MI": float(found.mi), "LI": float(found.li), "push": float(found.mi - found.li)}


def cells(seeds: Sequence[int], sizes: Sizes | None = None) -> list[Cell]:
    """For each seed and head the schools, and what follows in each arm."""
    sizes = sizes or Sizes()
    planned = (cell for seed in seeds for head in HEADS for name in ARMS for cell in _of(name, head, seed, sizes=sizes))
    return list(dict.fromkeys(planned))


def _of(name: str, head: str, seed: int, *, sizes: Sizes) -> Iterator[Cell]:
    arm, who = ARMS[name], {"seed": seed, "head": head}
    lesson = who | {"objective": arm.school, "starts": arm.starts, "num_steps": sizes.school}
    schools = () if arm.school is None else (Cell(SCHOOL, lesson),)
    yield from schools
    for kappa in arm.kappas:
        asked = {"arm": name, "objective": arm.objective, "kappa": kappa, "num_steps": arm.budgets * sizes.budget}
        yield Cell(STRENGTHEN, who | asked, parents=schools)
