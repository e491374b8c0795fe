"""All tests of the comparison, in the order of tables. To add one, name it here."""

from __future__ import annotations

from types import MappingProxyType

from analysis.studies import (
    binding_cells,
    compression_cells,
    contest_test,
    credit_cells,
    crossing_cells,
    goal_cells,
    law_cells,
    organisation_cells,
    parts_cells,
    power_cells,
    preference_cells,
    reflection_cells,
    retargeting_test,
    search_cells,
    table_cells,
    trend_cells,
    weight_cells,
)

TESTS = MappingProxyType(
    {
        test.key: test
        for test in (
            contest_test.TEST, crossing_cells.TEST, crossing_cells.DOSE_TEST,
            parts_cells.ACTIVATION_TEST, law_cells.TEST, parts_cells.ABLATION_TEST, goal_cells.TEST,
            credit_cells.TEST, preference_cells.TEST, retargeting_test.TEST,
            reflection_cells.ACCESS_TEST, reflection_cells.CROSS_TEST, reflection_cells.CALIBRATION_TEST,
            organisation_cells.TEST, search_cells.TEST, search_cells.GOAL_TEST,
            compression_cells.TEST, trend_cells.TEST, trend_cells.CONTEST_TEST,
            parts_cells.COUNT_TEST, parts_cells.KNOWN_COUNT_TEST, binding_cells.TEST, weight_cells.TEST,
            table_cells.TEST,
            power_cells.MANIPULATION_TEST, power_cells.LOCK_IN_TEST,
        )
    }
)  # fmt: skip
