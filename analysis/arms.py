"""The arms of the comparison: what differs between them is how V is built, credited and taught, and nothing else.

To add an arm, name it in `ARMS`. An arm is written NAME, or NAME@ENCODER for another E regime than `scratch`
("MONO@imitated"). Definitions: `docs/comparison.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal

from envs.errors import UserError, nearest

ENCODERS = ("scratch", "imitated", "shared")
"""E regimes: V trains an E of its own, reads D's frozen one, or trains D's together with D."""

ROUTED_INTO_E = ("CrossedHistory", "CrossedHistory@dose10", "CrossedHistory@dose25", "CrossedHistory@dose50")
"""Where routed credit reaches E; elsewhere E's is global, and a gate can be routed only with E."""

Lesson = Literal["outcomes", "exact", "context mean", "teacher", "noisy teacher"]


@dataclass(frozen=True)
class Arm:
    """One way to put V together.

    Attributes:
        name: Name in tables.
        head: Key in `shards.registry.HEADS`.
        role: What the arm is for, in a few words.
        options: Fields of `agents.config.AgentConfig` beside the head, such as {"gate_leak": 0.1}.
        shuffled_events: Every episode carries another episode's event labels (routing without history).
        labelled_share: Share of the episodes whose event label is told; the others have global credit.
        in_blocks: The same steps, but one reinforcement event after the other instead of interleaved.
        lesson: What V regresses on: recorded outcomes; the exact V^pi of the recorded policy; V^pi averaged over
            contexts; the `teacher`'s V; or that with as much noise as outcomes have around it.
        teacher: The arm whose V is the lesson.
        control: Its nature is known: it calibrates, and gets no verdict.
        matched: Whether parameters must equal MONO's within 2 %.
        worlds: The only worlds in which the arm means anything; () for all.
    """

    name: str
    head: str
    role: str
    options: Mapping[str, Any] = field(default_factory=dict)
    shuffled_events: bool = False
    labelled_share: float = 1.0
    in_blocks: bool = False
    lesson: Lesson = "outcomes"
    teacher: str | None = None
    control: bool = False
    matched: bool = True
    worlds: tuple[str, ...] = ()

    @property
    def needs_recording(self) -> bool:
        """Whether it learns from a recording in a way of its own, so that it has no experience of its own."""
        told = self.shuffled_events or self.labelled_share < 1.0
        return self.lesson != "outcomes" or self.in_blocks or told

    def frozen(self) -> dict[str, Any]:
        """What a preregistration freezes: everything that makes the arm, as a JSON object."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {
            "options": dict(self.options), "worlds": list(self.worlds)
        }

    def __post_init__(self) -> None:
        """Refuse a teacher without a lesson, and a lesson without its teacher."""
        if (self.teacher is not None) != self.lesson.endswith("teacher"):
            raise ValueError(f"{self.name}: teacher is {self.teacher!r}, but the lesson is {self.lesson!r}.")


def _distilled(name: str, teacher: str) -> tuple[Arm, Arm]:
    """MONO taught by another arm's V on the same states, and its twin with the noise of outcomes."""
    role = f"{teacher}'s function without its history"
    return (
        Arm(name, "MONO", role, lesson="teacher", teacher=teacher),
        Arm(f"{name}-NOISY", "MONO", f"{role}, noise-matched", lesson="noisy teacher", teacher=teacher),
    )


def _leaking(share: float) -> Arm:
    """POS whose gate gives every part `share` of what all get together: the dose of the admission rule."""
    role = f"known sharded, {share:.0%} of its gate leaked"
    return Arm(f"POS-LEAK{100 * share:.0f}", "POS", role, {"gate_leak": share}, control=True, matched=False)


def _mixed(mixer: str) -> Arm:
    return Arm(f"MOE-{mixer.upper()}", "MOE", f"MOE under another mixer: {mixer}", {"mixer": mixer})


ARMS = MappingProxyType(
    {
        arm.name: arm
        for arm in (
            Arm("MONO", "MONO", "one network, global credit: the main question"),
            # Routed into E, a sum without a gate does not fit where ROUTE does.
            Arm(
                "MONO-ROUTE", "MONO-ROUTE", "MONO, groups of units routed by event: history without modules",
                {"route_encoder": "global"},
            ),
            Arm("MOE", "MOE", "parts under a learned gate, global credit: parts without history"),
            Arm("ROUTE", "ROUTE", "MOE with gradients routed by reinforcement event: parts with history"),
            Arm("ROUTE-RAND", "ROUTE", "ROUTE with shuffled labels: routing without history", shuffled_events=True),
            Arm("POS", "POS", "known sharded: disjoint experts behind an oracle gate", control=True, matched=False),
            Arm(
                "NEG-F", "NEG-F", "known unsharded: the same function, every unit serves all contexts alike",
                control=True,
            ),
            *(_leaking(share) for share in (0.1, 0.25, 0.5, 1.0)),
            Arm("ADD", "ADD", "parts without a gate; with one hidden layer it is MONO but for rounding"),
            Arm("HRA", "HRA", "a head for each component of the reward, each with its own credit"),
            Arm("ROUTE-HALF", "ROUTE", "ROUTE told the events of half of the episodes", labelled_share=0.5),
            Arm(
                "ROUTE-GATE", "ROUTE", "ROUTE whose gate is routed, too", {"route_gate": True}, worlds=ROUTED_INTO_E,
            ),
            Arm(
                "ROUTE-GLOBAL-E", "ROUTE", "ROUTE whose E has global credit, as MONO-ROUTE's has",
                {"route_encoder": "global"}, worlds=ROUTED_INTO_E,
            ),
            Arm("MOE-REFLECT", "MOE", "MOE whose parts read each other", {"reflection": True}),
            Arm("ROUTE-REFLECT", "ROUTE", "ROUTE whose parts read each other", {"reflection": True}),
            *map(_mixed, ("max", "sigmoid", "top-k", "auction")),
            Arm("MONO-BLOCK", "MONO", "MONO, one event after the other: order in time", in_blocks=True),
            Arm("MOE-BLOCK", "MOE", "MOE, one event after the other: order in time", in_blocks=True),
            *_distilled("DISTILL", "MONO"),
            *_distilled("DISTILL-POS", "POS"),
            Arm(
                "POS-EXACT", "POS", "known sharded, taught the exact V^pi", lesson="exact", control=True, matched=False
            ),
            Arm("NEG-F-EXACT", "NEG-F", "known unsharded, taught the exact V^pi", lesson="exact", control=True),
            Arm("NEG-2", "NEG-2", "known unsharded: many heads, one history", control=True, matched=False),
            Arm(
                "NEG-1", "MONO", "known blind to contexts: another function", lesson="context mean", control=True,
                matched=False, worlds=("MultiNeed", "DiamondGhost"),
            ),
        )
    }
)  # fmt: skip
"""All arms by name, in the order of tables."""

LABELLED = ("MONO-ROUTE", "ROUTE", "HRA", "ROUTE-HALF", "ROUTE-GATE", "ROUTE-GLOBAL-E", "ROUTE-REFLECT")
"""Arms whose credit is divided by the labels of events or components that they are told: what is local to a history in
them holds partly by construction."""

CONTRASTS = (
    ("MOE", "MONO", "parts"), ("MONO-ROUTE", "MONO", "routing"), ("ROUTE", "MOE", "routing in parts"),
    ("ROUTE", "ROUTE-RAND", "history"),
)  # fmt: skip
"""The primary contrasts: (arm, minus arm, what the difference isolates)."""


@dataclass(frozen=True, order=True)
class Line:
    """An arm under an E regime: one row of a test's table."""

    arm: str
    encoder: str = "scratch"

    def __str__(self) -> str:
        return self.arm if self.encoder in ("scratch", "-") else f"{self.arm} ({self.encoder} E)"

    @property
    def spec(self) -> str:
        """The line as it is asked for: "MONO" or "MONO@imitated"."""
        return self.arm if self.encoder == "scratch" else f"{self.arm}@{self.encoder}"


def find_lines(specs: Sequence[str]) -> tuple[Line, ...]:
    """The lines that are asked for as "NAME" or "NAME@ENCODER"; UserError for an unknown or repeated one."""
    lines = []
    for spec in specs:
        name, _, encoder = spec.partition("@")
        if name not in ARMS:
            raise UserError(f"There is no arm {name!r}; the arms are {', '.join(ARMS)}.{nearest(name, ARMS)}")
        if encoder and encoder not in ENCODERS:
            hint = nearest(encoder, ENCODERS)
            raise UserError(f"There is no E regime {encoder!r} in {spec!r}; it is one of {', '.join(ENCODERS)}.{hint}")
        lines.append(Line(name, encoder or "scratch"))
    if len(set(lines)) < len(lines):
        raise UserError(f"Arms are {', '.join(specs)}; name each arm once.")
    return tuple(lines)


def contrasts_among(names: Sequence[str]) -> list[tuple[str, str, str]]:
    """The primary contrasts whose two arms are both in `names`."""
    return [contrast for contrast in CONTRASTS if contrast[0] in names and contrast[1] in names]
