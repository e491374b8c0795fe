"""All tests of the comparison, in the order of tables. To add one, name it here."""

from __future__ import annotations

from types import MappingProxyType

from analysis.studies import (
    compression_cells,
    contest_test,
    crossing_cells,
    need_cells,
    reflection_cells,
    retargeting_test,
    trend_cells,
)

TESTS = MappingProxyType(
    {
        test.key: test
        for test in (
            contest_test.TEST, crossing_cells.TEST, need_cells.ABLATION_TEST, need_cells.CREDIT_TEST,
            retargeting_test.TEST,
            reflection_cells.ACCESS_TEST, reflection_cells.CROSS_TEST, reflection_cells.CALIBRATION_TEST,
            compression_cells.TEST, trend_cells.TEST, trend_cells.CONTEST_TEST,
        )
    }
)  # fmt: skip
