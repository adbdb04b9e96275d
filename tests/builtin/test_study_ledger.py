import json
from dataclasses import replace
from pathlib import Path

import pytest

from fiat.builtin.study_ledger import Ledger, Trial, digest_of

TRIAL = Trial(
    3,
    {"lr": 0.1, "act": {"name": "elu"}},
    "done",
    ((1, 0.5), (None, 0.75)),
    2.5,
    "",
    "step 4",
    {"read": ["m.py"]},
)


def test_a_trial_comes_back_as_it_was(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.write(replace(TRIAL, state="running", values=()))
    ledger.write(TRIAL)
    ledger.write(Trial(1, {"lr": 0.2}))
    assert ledger.trials() == [Trial(1, {"lr": 0.2}), TRIAL]
    assert TRIAL.value == 0.75
    assert Trial(1, {}).value is None


def test_a_trial_is_known_by_its_parameters_alone() -> None:
    assert (
        digest_of({"a": 1, "b": 2})
        == digest_of({"b": 2, "a": 1})
        == Trial(9, {"a": 1, "b": 2}, "failed").digest
    )
    assert digest_of({"a": 1}) != digest_of({"a": True})


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"number": 1}', '{"number": 1, "params": {}, "values": 3}']
)
def test_what_is_damaged_or_half_written_is_no_trial(tmp_path: Path, text: str) -> None:
    ledger = Ledger(tmp_path)
    ledger.write(TRIAL)
    (tmp_path / "0123456789abcdef.json").write_text(text)
    (tmp_path / "fedcba9876543210.part").write_text(json.dumps({"number": 1}))
    assert ledger.trials() == [TRIAL]
