"""Checks of the spec as rules."""

import pytest

from fiat.builtin.check_rules import rules_of
from fiat.validate.model import ColumnsRule, DistanceRule, DuplicatesRule


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


def test_what_no_log_holds_is_passed_over_only_against_what_is_served() -> None:
    checks = [{"skew": {"against": against, "max": 0.1}} for against in ("serving", "previous")]
    served, previous = rules_of(checks, ["id"], ["name"])
    assert isinstance(served, DistanceRule)
    assert isinstance(previous, DistanceRule)
    assert (served.ignore, previous.ignore) == (("id", "name"), ("id",))
