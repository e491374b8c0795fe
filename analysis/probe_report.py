"""What a probe of one run found: rows of numbers, words with their nulls and limits, figures."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from analysis.instruments.context import ContextAnova, SwapEffect
from analysis.instruments.probes import ProbeResult
from analysis.markdown import bullets, table
from analysis.plots import save_figure
from envs.storage import write_bytes, write_json


@dataclass(frozen=True, eq=False)
class LayerProbe:
    """One layer's probe.

    Attributes:
        layer: Its name.
        kind: "trained", "untrained" (the same net before training) or "raw" (the observation).
        source: Which states.
        num_constant: Columns left out because they never vary.
        result: None where the probe was refused.
        refusal: Why, "" where it was not.
    """

    layer: str
    kind: str
    source: str
    num_constant: int
    result: ProbeResult | None
    refusal: str = ""

    @property
    def name(self) -> str:
        """Layer and kind as a reader should see them."""
        return self.layer if self.kind == "raw" else f"{self.layer}, {self.kind}"


@dataclass(frozen=True, eq=False)
class ContextSwap:
    """What a swap of the context does to one value function.

    Attributes:
        function: "V, trained", "V, untrained", or a planted control.
        weighting: "uniform" over all states, or "visits of D".
        effect: Against V*.
        anova: Of the function's own table.
        anova_optimal: Of V*'s.
    """

    function: str
    weighting: str
    effect: SwapEffect
    anova: ContextAnova
    anova_optimal: ContextAnova


@dataclass(frozen=True)
class OutcomeFit:
    """V against the discounted rewards that followed, on episodes that the world itself ended.

    Attributes:
        num_states: States with a known outcome.
        explained_variance: 1 - Var(G - V) / Var(G); NaN where outcomes do not vary.
        rms_error: sqrt mean (G - V)^2, in units of reward.
        mean_outcome: Mean of G.
        share_terminated: Share of episodes that ended by themselves; the others are left out.
    """

    num_states: int
    explained_variance: float
    rms_error: float
    mean_outcome: float
    share_terminated: float


@dataclass(frozen=True, eq=False)
class ProbeReport:
    """The answer of `probe_run`.

    Attributes:
        title: Agent, environment and run.
        has_context: False where the environment has none, so that probes and swaps are not applicable.
        probes: Layers of both kinds of states.
        swaps: Value functions under both weightings; () where V* cannot be had.
        outcomes: V against what followed.
        found: What was found, each sentence with its null.
        not_shown: What this does not show.
        figures: By file name without suffix.
    """

    title: str
    has_context: bool
    probes: tuple[LayerProbe, ...]
    swaps: tuple[ContextSwap, ...]
    outcomes: OutcomeFit
    found: tuple[str, ...]
    not_shown: tuple[str, ...]
    figures: Mapping[str, Figure]

    @property
    def status(self) -> str:
        """Whether contexts were measured or are not applicable."""
        return "measured" if self.has_context else "not applicable"

    def rows(self) -> list[dict[str, object]]:
        """Every number as flat dicts that JSON can hold (None for NaN)."""
        return [
            *(_probe_row(probe) for probe in self.probes),
            *(_swap_row(swap) for swap in self.swaps),
            _plain({"table": "outcomes", **dataclasses.asdict(self.outcomes)}),
        ]

    def text(self) -> str:
        """The report as Markdown: words first, then tables."""
        parts = [f"# {self.title}", f"Status: {self.status}.", "## What was found", bullets(self.found)]
        parts += ["## What this does not show", bullets(self.not_shown)]
        if self.probes:
            parts += ["## Context read linearly from each layer", _probe_table(self.probes)]
        if self.swaps:
            parts += ["## Context swapped in minimal pairs", _swap_table(self.swaps)]
        if self.figures:
            parts += ["## Figures", "\n".join(f"![{name}]({name}.png)" for name in self.figures)]
        return "\n\n".join(parts) + "\n"


def write_report(report: ProbeReport, folder: Path | str) -> list[Path]:
    """Writes probe.md, probe.json and the figures, each in one step, and returns their paths.

    Raises:
        UserError: The folder cannot be written.
    """
    folder = Path(folder)
    write_bytes(folder / "probe.md", report.text().encode())
    summary = {
        "title": report.title,
        "status": report.status,
        "found": list(report.found),
        "not_shown": list(report.not_shown),
        "rows": report.rows(),
    }
    write_json(folder / "probe.json", summary)
    figures = [save_figure(figure, folder / f"{name}.png") for name, figure in report.figures.items()]
    return [folder / "probe.md", folder / "probe.json", *figures]


def _probe_row(probe: LayerProbe) -> dict[str, object]:
    """One probe as a flat dict."""
    row: dict[str, object] = {
        "table": "probes",
        "layer": probe.layer,
        "kind": probe.kind,
        "source": probe.source,
        "num_constant": probe.num_constant,
        "refusal": probe.refusal,
    }
    return _plain(row | (dataclasses.asdict(probe.result) if probe.result else {}))


def _swap_row(swap: ContextSwap) -> dict[str, object]:
    """One swap as a flat dict."""
    row: dict[str, object] = {"table": "swaps", "function": swap.function, "weighting": swap.weighting}
    shares = {f"{name}_share": value for name, value in dataclasses.asdict(swap.anova).items()}
    optimal = {f"{name}_share_optimal": value for name, value in dataclasses.asdict(swap.anova_optimal).items()}
    return _plain(row | dataclasses.asdict(swap.effect) | shares | optimal)


def _plain(row: Mapping[str, object]) -> dict[str, object]:
    """Tuples become lists, NaN becomes None."""

    def plain(value: object) -> object:
        if isinstance(value, tuple):
            return [plain(item) for item in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {name: plain(value) for name, value in row.items()}


def _probe_table(probes: Sequence[LayerProbe]) -> str:
    """One line per layer and kind of states."""
    header = ("states", "layer", "accuracy", "95 % within this net", "uniform", "control", "selectivity", "d", "states")
    lines = []
    for probe in probes:
        if probe.result is None:
            lines.append((probe.source, probe.name, f"refused: {probe.refusal}", "", "", "", "", "", ""))
            continue
        r = probe.result
        numbers = (f"{r.accuracy:.3f}", interval_text(r.interval), f"{r.accuracy_uniform:.3f}")
        control = (f"{r.control_accuracy:.3f}", f"{r.selectivity:.3f}", str(r.num_features), str(r.num_states))
        lines.append((probe.source, probe.name, *numbers, *control))
    return table(header, lines)


def _swap_table(swaps: Sequence[ContextSwap]) -> str:
    """One line per value function and weighting."""
    names = ("function", "weighting", "slope", "95 % within this net", "corr.", "explained")
    sizes_and_shares = ("RMS change", "RMS change of V*", "interaction share", "of V*")
    lines = []
    for swap in swaps:
        e = swap.effect
        numbers = (number(e.slope), interval_text(e.slope_interval), number(e.correlation), number(e.explained))
        sizes = (f"{e.rms:.3f}", f"{e.rms_optimal:.3f}")
        shares = (number(swap.anova.interaction), number(swap.anova_optimal.interaction))
        lines.append((swap.function, swap.weighting, *numbers, *sizes, *shares))
    return table((*names, *sizes_and_shares), lines)


def number(value: float) -> str:
    """Three decimals, or a dash for what is not defined."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def interval_text(interval: tuple[float, float]) -> str:
    """Both ends in brackets, or a dash."""
    return "–" if math.isnan(interval[0]) else f"[{interval[0]:.3f}, {interval[1]:.3f}]"
