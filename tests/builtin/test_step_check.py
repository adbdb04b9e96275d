"""The step that checks data: what it compares with what is served, and what it says where nothing was."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from fiat.builtin.step_check import CheckStep
from fiat.ports.step import StepContext, StepOutcome
from fiat.profile.document import write_profile
from fiat.profile.measure import profile_batches
from fiat.profile.model import DataProfile
from tests.validate.judged import dataset

SKEW = {"skew": {"against": "serving", "max": 0.1}, "severity": "error", "key": "data.d.checks[0]"}
N = 300
ROWS: Mapping[str, object] = {
    "id": list(range(N)),
    "city": ["Rome", "Oslo"] * (N // 2),
    "y": ["a", "b"] * (N // 2),
}


class Check:
    """A dataset with a check, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # `city` alone is a feature: `id` is kept for people.
        self.dataset = dataset(folder / "dataset", ROWS, label="y", features=("city",))
        self.said: list[str] = []

    def run(
        self,
        served: Mapping[str, Sequence[object]] | None,
        *,
        logged: bool = True,
        redacted: Sequence[str] = (),
        facts: Mapping[str, object] | None = None,
    ) -> StepOutcome:
        inputs = {"dataset": self.dataset}
        if served is not None:
            inputs["serving"] = self.folder / "serving"
            inputs["serving"].mkdir()
            profile = profile_batches([pa.record_batch(dict(served))], split="serving")
            write_profile(inputs["serving"], DataProfile((profile,)))
        params = {"name": "d", "checks": [SKEW], "is_logged": logged, "redacted": list(redacted)}
        outputs = {"profile": self.folder / "profile"}
        context = StepContext("check", params, inputs, outputs, self.folder, self.folder, facts or {})
        return CheckStep().run(context, self.said.append)


@pytest.fixture
def check(tmp_path: Path) -> Check:
    return Check(tmp_path)


def gate(outcome: StepOutcome) -> Any:
    return outcome.facts["gate"]


def test_features_are_held_against_what_is_served_and_other_columns_are_not(check: Check) -> None:
    outcome = check.run({"city": ["Rome", "Oslo"] * 200})
    assert gate(outcome)["state"] == "pass"
    assert "served" not in gate(outcome)["reason"]
    assert outcome.facts["n_anomalies"] == 0  # neither `id` nor the label is missed


def test_skew_refuses_the_data(check: Check) -> None:
    outcome = check.run({"city": ["Rome"] * 400})
    assert gate(outcome)["state"] == "fail"
    assert "Oslo 0.0% -> 50.0%" in gate(outcome)["reason"]
    assert "refused" in outcome.facts


def test_what_is_never_logged_is_not_missed(check: Check) -> None:
    assert check.run({"other": [1] * 400}, redacted=["city"]).facts["n_anomalies"] == 1  # `other`
    assert not [line for line in check.said if "city" in line]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "nothing was served yet"),
        ({"logged": False}, "the log of requests is off without `monitor`"),
        ({"facts": {"sees_served": False}}, "strangers"),
    ],
)
def test_where_nothing_was_served_the_check_passes_and_says_why(
    check: Check, given: dict[str, Any], words: str
) -> None:
    outcome = check.run(None, **given)
    assert gate(outcome)["state"] == "pass"
    assert words in gate(outcome)["reason"]
    assert any(words in line for line in check.said)
