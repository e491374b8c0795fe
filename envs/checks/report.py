"""What the checker found: findings, each under the name of its rule, and what could not be judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from envs.checks.rules import Rule


@dataclass(frozen=True)
class Finding:
    """A rule that an env broke.

    Attributes:
        rule: Which one.
        what: What happened, in words.
        seen: The value seen, "" where there is none.
        where: Episode and step, or the call, "" where it has no place.
    """

    rule: Rule
    what: str
    seen: str = ""
    where: str = ""

    def __str__(self) -> str:
        """Rule, place, what happened, value, cure."""
        place = f" ({self.where})" if self.where else ""
        seen = f": {self.seen}" if self.seen else ""
        return f"{self.rule.name}{place}: {self.what}{seen}. Cure: {self.rule.cure}."


@dataclass(frozen=True)
class Report:
    """The result of a check.

    Attributes:
        name: The env.
        findings: The first of each rule that was broken, faults before warnings.
        not_judged: Sentences on rules that could not be judged, and why.
        num_steps: Steps taken in all.
        num_episodes: Episodes begun in all.
    """

    name: str
    findings: tuple[Finding, ...]
    not_judged: tuple[str, ...]
    num_steps: int
    num_episodes: int

    @property
    def faults(self) -> tuple[Finding, ...]:
        """What makes results wrong or irreproducible."""
        return tuple(finding for finding in self.findings if finding.rule.severity == "fault")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What Gymnasium allows, and somebody will trip over."""
        return tuple(finding for finding in self.findings if finding.rule.severity == "warning")


@dataclass
class Findings:
    """The first finding of each rule; later ones say no more."""

    found: dict[str, Finding] = field(default_factory=dict)
    not_judged: list[str] = field(default_factory=list)

    def add(self, rule: Rule, what: str, *, seen: object = "", where: str = "") -> None:
        """Record a finding, unless the rule has one."""
        self.found.setdefault(rule.name, Finding(rule, what, _short(seen), where))

    def skip(self, what: str, why: str) -> None:
        """Record that something could not be judged."""
        self.not_judged.append(f"{what}: {why}.")

    def has(self, *rules: Rule) -> bool:
        """Whether one of the rules was broken."""
        return any(rule.name in self.found for rule in rules)

    def ordered(self) -> Iterator[Finding]:
        """Faults, then warnings."""
        for severity in ("fault", "warning"):
            yield from (finding for finding in self.found.values() if finding.rule.severity == severity)


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 160 else f"{text[:157]}..."
