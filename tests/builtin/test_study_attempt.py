from pathlib import Path

import pytest

from fiat.builtin.study_attempt import reason_of
from fiat.ports.compute import JobResult

ERROR = {"type": "ValueError", "message": "no such thing", "file": "/box/w/specs/train.py", "line": 7}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (None, "exited with code 1"),
        ({}, "exited with code 1"),
        ("odd", "exited with code 1"),
        (ERROR, "ValueError: no such thing (train.py:7)"),
        ({"type": "SpecError", "message": "it takes no `lr`"}, "it takes no `lr`"),
        ({"type": "ValueError", "message": "of a child's own", "class": "x"}, "exited with code 1"),
    ],
)
def test_a_trial_that_failed_says_what_its_code_said(error: object, reason: str) -> None:
    assert reason_of(JobResult("failed", "exited with code 1", result={"error": error})) == reason


def test_no_folder_of_the_machine_is_told() -> None:
    assert str(Path(str(ERROR["file"])).parent) not in reason_of(JobResult("failed", result={"error": ERROR}))
