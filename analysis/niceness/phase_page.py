"""The page of exact phase diagrams, and its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from matplotlib.figure import Figure

from analysis.markdown import table
from analysis.niceness import phase, village_sweep
from analysis.niceness.phase import CURVES, POWERS, TARGET_POWERS, Curve, Onset, Target
from analysis.niceness.solved import Ends
from analysis.niceness.tables import between, number
from analysis.niceness.village_sweep import Swept
from analysis.plots.phase import Line, Panel, phase_figure, phase_grid

COMMAND = "valuelab niceness phase --out docs/niceness_phase.md"
WORLDS = ("TRIAD", "TRIAD-G")
SHOWN_POWERS = tuple(Fraction(k) for k in ("0", "1/10", "1/6", "1/5", "1/3", "1/2", "1"))
AXES: tuple[tuple[str, str, str, tuple[Any, ...], str], ...] = (
    ("RT", "TRIAD", "T", (2, 3, 4, 6, 10), "h/((e − h)(T − 1))"),
    ("RT", "TRIAD", "e", ("3/2", 2, 3, 4), "h/((e − h)(T − 1))"),
    ("IR", "TRIAD", "T", (4, 5, 6, 9), "h/(o(T − d))"),
    ("IR", "TRIAD", "d", (1, 2, 3, 4), "h/(o(T − d))"),
    ("IR", "TRIAD", "o", (0, "1/2", 1, 2, 3), "h/(o(T − d))"),
    ("IR", "TRIAD-G", "o", (0, 1, 2, 3), "h/((o + h)(T − d))"),
)
DEPTHS = (1, 2, 3, 4, 5, 6)
LENGTHS = (1, 2, 3, 4, 5, 6)
ONSETS: tuple[tuple[str, str, tuple[Any, ...], dict[str, Any]], ...] = (
    ("RT", "e", (1, "6/5", "7/5", "8/5", 2, 3), {"kappa": "1/2", "d": 7}),
    ("IR", "o", ("1/2", "2/3", 1, 2), {"kappa": "1/2", "d": 3}),
)


@dataclass(frozen=True)
class Found:
    """All answers of the page.

    Attributes:
        curves: E1, by world and objective.
        axes: E2, for each of AXES the threshold at each of its values.
        depths: E2, for RT and IR the threshold at each of DEPTHS.
        equality: E3, for targeted and generic help at each of LENGTHS.
        onsets: E7, for each of ONSETS at each of its values.
        targets: E13.
        village: E2, in the village.
    """

    curves: Mapping[tuple[str, str], Curve]
    axes: Sequence[Sequence[Fraction | None]]
    depths: Mapping[str, Sequence[Fraction | None]]
    equality: Sequence[Sequence[tuple[Fraction, bool]]]
    onsets: Sequence[Sequence[Onset]]
    targets: Sequence[Target]
    village: Swept


def compute() -> Found:
    """Solve everything; about 30 seconds."""
    return Found(
        curves={(world, name): phase.curve(world, name) for world in WORLDS for name in CURVES},
        axes=[[phase.power_threshold(j, w, **{axis: v}) for v in values] for j, w, axis, values, _ in AXES],
        depths={name: [phase.depth_threshold(name, depth) for depth in DEPTHS] for name in ("RT", "IR")},
        equality=[[phase.weak_equality(T, generic=generic) for T in LENGTHS] for generic in (False, True)],
        onsets=[[phase.onset(j, **{axis: v}, **options) for v in values] for j, axis, values, options in ONSETS],
        targets=phase.targets(),
        village=village_sweep.sweep(),
    )


def page(found: Found, *, stem: str) -> str:
    """The page as Markdown; its figures are called STEM_power.png, STEM_village.png and STEM_target.png."""
    parts = [
        "# Niceness: exact phase diagrams",
        f"Written by `{COMMAND}`, and computed anew by the tests. TRIAD(T, d, o, h, e, κ) has T = 6, d = 3, o = h = 1, "
        "e = 2 unless said; the solver knows no formula, thresholds are found by bisection on its answers.",
        "## E1: power to influence",
        f"![MI and LI against power]({stem}_power.png)",
        "MI; LI over all optimal policies. At a threshold itself both ways are optimal, so there is a range.",
        *(f"{world}:\n\n{_curves(found, world)}" for world in WORLDS),
        "## E2: other powers",
        "The κ above which every optimal policy influences; – where no κ up to 1 is enough. Reach, speed and persons "
        "need places and are swept in the village below; `o` stands for how many persons one lock reaches.",
        _axes(found),
        "A planner that looks n steps ahead, anew at each step:",
        table(["planning depth n", *map(str, DEPTHS)], [[n, *map(number, row)] for n, row in found.depths.items()]),
        "For RT this is h/((e − h)(n − 1)), for IR h/(o · min(n − 1, T − d)): depth is power as κ is.",
        *_village(found, stem),
        "## E3: are they the same while the agent is weak?",
        "Indistinguishability of RT, IR and NS at κ = 0 and d = 3, and whether one policy is optimal for all three.",
        _equality(found),
        "They are identical while the episode ends before the drift shows (T ≤ d). Later, generic help leaves a common "
        "optimum and ties; targeted help does not: IR goes on to serve the old taste with no power at all.",
        "## E7: niceness beside work of one's own",
        "`PR-self + λ · objective`, work worth 1 a step, κ = 1/2: the λ above which the agent no longer only works, "
        "and what it does first. RT influences before it helps iff (1 + 1/(κ(T − 1)))/e < 1, IR iff κ o (T − d) > h.",
        *(_onsets(found, index) for index in range(len(ONSETS))),
        "## E13: target size",
        f"![Target size against power]({stem}_target.png)",
        "The share of mixtures, uniform on the simplex, that have an optimum free of influence: exact areas, rounded.",
        _targets(found),
        "In the second and third family the agent also has ends of its own (`PR-self`): it gains 1 from each good that "
        "the person makes, and a person who was not helped withholds, that is, makes nothing in the next step; a "
        "locked one makes it always. So an agent that gains enough from people binds them.",
    ]
    return "\n\n".join(parts) + "\n"


def _curves(found: Found, world: str) -> str:
    places = [POWERS.index(power) for power in SHOWN_POWERS]
    rows = []
    for name in CURVES:
        curve = found.curves[world, name]
        rows.append([name, *(f"{between(curve.mi[i])}; {between(curve.li[i])}" for i in places)])
    return table(["κ", *map(str, SHOWN_POWERS)], rows)


def _axes(found: Found) -> str:
    rows = []
    for (objective, world, axis, values, formula), thresholds in zip(AXES, found.axes, strict=True):
        answers = ", ".join(f"{axis} = {v}: {number(t)}" for v, t in zip(values, thresholds, strict=True))
        rows.append([objective, world, answers, formula])
    return table(["objective", "world", "κ above which it influences", "formula"], rows)


def _village(found: Found, stem: str) -> list[str]:
    return [
        "### The powers of the village",
        f"![MI_c and LI against the powers of the village]({stem}_village.png)",
        "MI_c; LI, from the least to the most over all optimal policies. ~ stands where natural drift is by chance: "
        "LI is then that of the policy that takes all optimal actions alike. Unless said there are one person who "
        "first wants A, 5 x 5 cells, T = 20, κ = .3 for persuading and guarding, reach 2 and no door; T = 10 where "
        "persons are counted. `power` sets all dials at once.",
        *village_sweep.tables_of(found.village),
        "RT influences more as κ, reach, T or all powers grow, IR as κ, T or all powers do; IR locks in. NS "
        "locks people in as well once κ is .3, with little reach and speed; with more of these, with T = 30 or all "
        "powers it leaves them alone: who reaches people wherever they walk need not keep them in one place. So more "
        "power is not always more influence. With an action that works on both of two persons IR and NS keep twice as "
        "many, and RT persuades fewer and keeps some. A door is enough for all three to keep people from changing, at "
        "κ = 0.",
        "Unlike in TRIAD, IR influences passive people (o = 0) too, in every optimum, while its reach is small: what "
        "matters is where they walk and not what they make, since who stays is in reach of help. At κ = 1 and reach 2 "
        "or 3 it is a tie whether they are locked or persuaded to want E, whose source is near; from reach 4 on, which "
        "covers the grid from its centre, no optimum influences them.",
    ]


def _equality(found: Found) -> str:
    words = [[f"{share}{'' if common else ', no common optimum'}" for share, common in row] for row in found.equality]
    return table(["T", *map(str, LENGTHS)], [["targeted", *words[0]], ["generic", *words[1]]])


def _onsets(found: Found, index: int) -> str:
    objective, axis, values, _ = ONSETS[index]
    rows = [
        [f"{objective}, {axis} = {v}", number(one.weight), one.first]
        for v, one in zip(values, found.onsets[index], strict=True)
    ]
    return table(["objective", "λ", "first"], rows)


def _targets(found: Found) -> str:
    rows = [[target.name, *(f"{float(share):.3f}" for share in target.shares)] for target in found.targets]
    return table(["κ", *map(str, TARGET_POWERS)], rows)


def figures(found: Found) -> dict[str, Figure]:
    """The figures by what they show."""
    thresholds = {"TRIAD": {"RT: 1/5": 0.2, "IR: 1/3": 1 / 3}, "TRIAD-G": {"IR: 1/6": 1 / 6, "RT: 1/5": 0.2}}
    shown = {"RT": "RT", "IR": "IR", "NS": "NS = CRT = PSO = Myopic"}
    panels = [
        Panel(
            [_line(label, POWERS, getattr(found.curves[world, name], measure)) for name, label in shown.items()],
            f"{measure.upper()}, {world}", thresholds[world],
        )
        for world in WORLDS for measure in ("mi", "li")
    ]  # fmt: skip
    targets = [_line(one.name, TARGET_POWERS, [(share, share) for share in one.shares]) for one in found.targets]
    x_label = "κ, the chance that influence succeeds"
    return {
        "power": phase_figure(
            panels, title="Manipulation and lock-in appear at thresholds", x_label=x_label,
            subtitle="Exact, over all optimal policies; between least and most the colour is faint.",
        ),
        "village": phase_grid(
            village_sweep.columns_of(found.village), title="With little reach NS, too, locks people in",
            subtitle="Exact; between the least and the most of all optimal policies the colour is faint.",
        ),
        "target": phase_figure(
            [Panel(targets, "share of objectives")], title="With power the target becomes smaller",
            x_label=x_label, subtitle="Share of mixtures of objectives with an optimum free of influence.",
        ),
    }  # fmt: skip


def _line(name: str, powers: Sequence[Fraction], ends: Sequence[Ends]) -> Line:
    least, most = zip(*ends, strict=True)
    return Line(name, *([float(x) for x in xs] for xs in (powers, least, most)))
