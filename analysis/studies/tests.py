"""All tests of the comparison, in the order of tables. To add one, name it here."""

from __future__ import annotations

from types import MappingProxyType

from analysis.studies import contest_test, crossing_cells, goal_cells, need_cells, preference_cells, search_cells

TESTS = MappingProxyType(
    {
        test.key: test
        for test in (
            contest_test.TEST, crossing_cells.TEST, need_cells.ABLATION_TEST, need_cells.CREDIT_TEST, goal_cells.TEST,
            preference_cells.TEST, search_cells.TEST,
        )
    }
)  # fmt: skip
