"""The studies of `valuelab study` by name; the comparison has a command of its own."""

from __future__ import annotations

from types import MappingProxyType

from analysis.studies import alphago, corner_size, generalise
from analysis.studies.question import Question

QUESTIONS: MappingProxyType[str, Question] = MappingProxyType(
    {question.name: question for question in (alphago.QUESTION, corner_size.QUESTION, generalise.QUESTION)}
from analysis.studies import alphago, corner_size, niceness_calibration
from analysis.studies.question import Question

QUESTIONS: MappingProxyType[str, Question] = MappingProxyType(
    {question.name: question for question in (alphago.QUESTION, corner_size.QUESTION, niceness_calibration.QUESTION)}
)
