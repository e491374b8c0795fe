"""The checker: plays an env in many ways, and reports what a sound env would not have done."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from envs.checks.declarations import check_calls_out_of_order, check_declarations
from envs.checks.drawing import check_drawing
from envs.checks.endings import check_endings
from envs.checks.other_process import check_other_process
from envs.checks.players import Broken, Clock, Make, OutOfTime
from envs.checks.repeats import check_instances, check_leftovers, check_repeats
from envs.checks.report import Findings, Report
from envs.checks.rules import GLOBAL_CHANCE, NONDETERMINISM, RESULT_SHAPE, SEED_IGNORED, Rule
from envs.checks.seeding import check_seeds
from envs.checks.subject import Subject, global_chance, maker
from envs.errors import require_integer, require_number

Progress = Callable[[float, str], None]


class _Part(NamedTuple):
    """A part of the check.

    Attributes:
        name: In words.
        share: Of the whole work, roughly.
        check: Records its findings.
        unless: Rules that, once broken, leave it nothing to judge by.
    """

    name: str
    share: float
    check: Callable[[Subject], None]
    unless: tuple[Rule, ...] = ()


_ANY_CHANCE = (NONDETERMINISM, GLOBAL_CHANCE, SEED_IGNORED)
_PARTS = (
    _Part("repeated plays", 0.15, check_repeats),
    _Part("calls out of order", 0.05, check_calls_out_of_order),
    _Part("seeds", 0.1, check_seeds, _ANY_CHANCE),
    _Part("state left by earlier episodes", 0.1, check_leftovers, _ANY_CHANCE),
    _Part("two instances", 0.1, check_instances, _ANY_CHANCE),
    _Part("ends of episodes", 0.1, check_endings, _ANY_CHANCE),
    _Part("rendering", 0.1, check_drawing, _ANY_CHANCE),
    _Part("another process", 0.1, check_other_process, _ANY_CHANCE),
)
_SURVEY_SHARE = 1 - sum(part.share for part in _PARTS)


def check_env(
    env: str | Make,
    *,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    num_steps: int = 16_000,
    seconds: float = 50.0,
    imports: Sequence[str] = (),
    progress: Progress | None = None,
) -> Report:
    """Find faults in an env.

    Args:
        env: A registered id, or a factory, which is called with the options, and with render_mode for rendering.
        options: Keyword arguments of `gymnasium.make`, or of the factory.
        seed: Decides all seeds and actions of the check, 0 to 2**31; the same seed repeats it.
        num_steps: Steps of the survey, 240 to 10**7, up to a twelfth of them in one episode (at most 1000). The other
            parts take about as many again.
        seconds: After these the check stops, and says what it did not judge.
        imports: Modules that register the id, for the play in another process.
        progress: Told the share done and the part.

    Returns:
        The report. A clean one says that nothing was found, not that nothing is there: a fault that shows less often
        than once in `num_steps` is likely missed.

    Raises:
        UserError: A number out of range.
        gymnasium.error.Error: An id that nobody registered.
    """
    require_integer("seed", seed, low=0, high=2**31)
    require_integer("num_steps", num_steps, low=240, high=10**7)
    require_number("seconds", seconds, low=0.001, high=10**6)
    name, make = maker(env, options or {})
    subject = Subject(
        make, seed=seed, num_steps=num_steps, findings=Findings(), clock=Clock(seconds), imports=tuple(imports)
    )
    with warnings.catch_warnings(), global_chance(0):
        # What Gymnasium warns of is found by the rules, with a place and a cure.
        warnings.simplefilter("ignore")
        _run(subject, progress or (lambda share, part: None))
    findings, clock = subject.findings, subject.clock
    return Report(name, tuple(findings.ordered()), tuple(findings.not_judged), clock.num_steps, clock.num_episodes)


def _run(subject: Subject, tell: Progress) -> None:
    """All parts, as far as the env can be played."""
    tell(0.0, "a survey of episodes")

    def survey(subject: Subject) -> None:
        check_declarations(subject)
        subject.survey(lambda share: tell(share * _SURVEY_SHARE, "a survey of episodes"))

    _judge(subject, _Part("a survey of episodes", _SURVEY_SHARE, survey))
    if subject.findings.has(RESULT_SHAPE) or not subject.episodes:
        subject.findings.skip("All other rules", "the env cannot be played")
        return
    done = _SURVEY_SHARE
    for part in _PARTS:
        tell(done, part.name)
        broken = [rule.name for rule in part.unless if subject.findings.has(rule)]
        if broken:
            subject.findings.skip(part.name.capitalize(), f"needs an env without {' and '.join(broken)}")
        else:
            _judge(subject, part)
        done += part.share
    tell(1.0, "done")


def _judge(subject: Subject, part: _Part) -> None:
    try:
        part.check(subject)
    except Broken:
        subject.findings.skip(part.name.capitalize(), "broken off, for the env broke down")
    except OutOfTime:
        subject.findings.skip(part.name.capitalize(), f"broken off, for the {subject.clock.seconds:g} s were used up")
