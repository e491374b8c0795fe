"""Arms of unequal budget are not compared."""

from __future__ import annotations

import pytest

from analysis.studies.matching import matching_fault

STEPS = dict.fromkeys(("MONO", "MOE", "POS", "MONO (shared E)"), 1000)
EQUAL = {"MONO": 10_000, "MOE": 10_199, "POS": 30_000, "MONO (shared E)": 9_801}


def test_two_in_a_hundred_are_matched_and_known_controls_are_exempt() -> None:
    assert matching_fault(EQUAL, STEPS) is None


@pytest.mark.parametrize(
    ("parameters", "steps", "said"),
    [
        ({"MOE": 10_300}, {}, "arms are not matched: MOE has 10300 parameters, +3.0% of MONO"),
        ({"MONO (shared E)": 9_700}, {}, "MONO (shared E) has 9700 parameters, -3.0% of MONO"),
        ({}, {"MOE": 900}, "arms are not matched: MOE took 900 gradient steps, MONO 1000"),
    ],
)
def test_the_fault_names_arm_and_number(parameters: dict[str, int], steps: dict[str, int], said: str) -> None:
    fault = matching_fault(EQUAL | parameters, STEPS | steps)
    assert fault is not None and said in fault


def test_without_mono_the_first_matched_arm_is_the_measure() -> None:
    assert "ROUTE has 200 parameters, +100.0% of MOE" in str(
        matching_fault({"POS": 5, "MOE": 100, "ROUTE": 200}, dict.fromkeys(("POS", "MOE", "ROUTE"), 1))
    )
