import json
import threading
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
    {"m.py": "0a"},
    7,
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


def test_two_runs_of_one_search_take_turns(tmp_path: Path) -> None:
    ledger, waits, done = Ledger(tmp_path), threading.Event(), []

    def second() -> None:
        with ledger.held(threading.Event(), waits.set) as ours:
            done.append((ours, ledger.trials()))

    with ledger.held(threading.Event(), lambda: None) as ours:
        assert ours
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(60)
        ledger.write(TRIAL)
        assert done == []
    thread.join(60)
    assert done == [(True, [TRIAL])]


def test_a_wait_ends_when_it_is_cancelled(tmp_path: Path) -> None:
    ledger, cancelled = Ledger(tmp_path), threading.Event()
    with ledger.held(threading.Event(), lambda: None), ledger.held(cancelled, cancelled.set) as ours:
        assert not ours
