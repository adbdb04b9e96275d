"""Checks of the spec as rules."""

import pytest

from fiat.builtin.check_rules import rules_of
from fiat.validate.model import ColumnsRule, DuplicatesRule


@pytest.mark.parametrize(("severity", "said"), [("error", "error"), ("warn", "warn")])
def test_severity_warn_holds_for_checks_that_have_words_of_their_own(severity: str, said: str) -> None:
    checks = [
        {"columns": {"unexpected": "error", "missing": "ignore"}, "severity": severity, "key": "c[0]"},
        {"duplicates": {"across": "error", "within": "warn", "max_share": 0.0}, "severity": severity},
    ]
    columns, duplicates = rules_of(checks)
    assert isinstance(columns, ColumnsRule)
    assert (columns.unexpected, columns.missing) == (said, "ignore")
    assert isinstance(duplicates, DuplicatesRule)
    assert (duplicates.across, duplicates.within) == (said, "warn")
