"""The studies of `valuelab study` by name; the comparison has a command of its own."""

from __future__ import annotations

from types import MappingProxyType

from analysis.studies import (
    alphago,
    corner_size,
    generalise,
    monitoring,
    niceness_calibration,
    niceness_depth,
    niceness_dilemmas,
    niceness_power,
    niceness_reward,
    niceness_strengthen,
    niceness_village,
)
from analysis.studies.question import Question

_ALL = (
    alphago, corner_size, generalise, monitoring, niceness_calibration, niceness_depth, niceness_dilemmas,
    niceness_power, niceness_reward, niceness_strengthen, niceness_village,
)  # fmt: skip
QUESTIONS: MappingProxyType[str, Question] = MappingProxyType(
    {module.QUESTION.name: module.QUESTION for module in _ALL}
)
