import json
import math
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fiat.errors import EnvironmentFault
from fiat.run.model import Artifact, Metric, Result, Run, StepResult
from fiat.store.store import Store

MADE_AT = datetime(2026, 11, 21, 6, 15, 0, 123456, tzinfo=UTC)


def make(number: int, **changes: Any) -> Result:
    fields: dict[str, Any] = {
        "fingerprint": f"{number:064x}",
        "step": "train",
        "spec": "digits",
        "run": "20261121-061500-4f2a",
        "outputs": {"model": Artifact(f"{number:032x}.dir", 12, 3)},
        "parts": {"kind": {"kind": "call"}, "params": {"lr": 0.1}},
        "observed": {"fiat.cfg": "-"},
        "metrics": (
            Metric("loss", 0.5, step=1),
            Metric("acc", 0.9, slice="label=7", low=0.8, high=1.0, n_rows=9),
        ),
        "facts": {"rows": {"train": 8}},
        "warnings": ("too few rows",),
        "seconds": 1.25,
        "made_at": MADE_AT,
    }
    return Result(**{**fields, **changes})


def make_run(run_id: str, started_at: datetime, steps: tuple[StepResult, ...]) -> Run:
    return Run(
        run_id,
        "digits",
        "specs/digits",
        "a",
        "b",
        "",
        "",
        False,
        (),
        {},
        "done",
        "pass",
        "",
        started_at,
        steps=steps,
    )


def test_a_result_is_found_by_its_fingerprint_as_it_was_added(reopen: Callable[[], Store]) -> None:
    reopen().results.add(make(1))
    assert reopen().results.find(f"{1:064x}") == make(1)
    assert reopen().results.find(f"{2:064x}") is None


def test_large_parts_are_kept_once_and_read_when_asked_for(store: Store) -> None:
    code = {f"src/module_{number}.py": f"{number:032x}" for number in range(3000)}
    for number in range(20):
        store.results.add(make(number, parts={"code": code, "params": {"n": number}}, observed=code))
    rows = store.database.read("SELECT COUNT(*), SUM(LENGTH(body)) FROM documents")
    assert rows[0][0] == 1
    found = store.results.find(f"{7:064x}")
    assert found is not None
    assert found.parts["params"] == {"n": 7}
    assert dict(found.parts) == {"code": code, "params": {"n": 7}}
    assert found.observed == code
    assert len(found.parts) == 2
    assert "code" in found.parts
    assert "gone" not in found.parts
    assert dict(pickle.loads(pickle.dumps(found)).parts) == {"code": code, "params": {"n": 7}}


def test_the_first_of_two_results_of_the_same_work_wins(reopen: Callable[[], Store]) -> None:
    first, second = make(1, run="a"), make(1, run="b", outputs={})
    assert reopen().results.add(first) == first
    assert reopen().results.add(second) == first
    assert reopen().results.find(first.fingerprint) == first


def test_a_result_can_be_replaced_on_purpose(store: Store) -> None:
    store.results.add(make(1))
    again = make(1, outputs={}, facts={})
    assert store.results.add(again, replace=True) == again
    assert store.results.find(again.fingerprint) == again


def test_many_results_are_found_at_once(store: Store) -> None:
    for number in range(5):
        store.results.add(make(number))
    wanted = [f"{number:064x}" for number in (3, 1, 99, 3)]
    assert store.results.find_many(wanted) == {wanted[0]: make(3), wanted[1]: make(1)}
    assert store.results.find_many([]) == {}
    assert len(store.results.find_many(f"{number:064x}" for number in range(1200))) == 5


def test_a_dropped_result_is_not_found_again(store: Store) -> None:
    store.results.add(make(1))
    store.results.drop(make(1).fingerprint)
    assert store.results.find(make(1).fingerprint) is None
    store.results.drop("never there")


def test_the_last_result_of_a_step_is_the_one_its_newest_run_used(store: Store) -> None:
    store.results.add(make(1, made_at=MADE_AT))
    store.results.add(make(2, made_at=MADE_AT + timedelta(hours=1)))
    assert store.results.last("digits", "train") == make(2, made_at=MADE_AT + timedelta(hours=1))
    used = StepResult("train", "call", "ran", fingerprint=f"{2:064x}")
    store.runs.add(make_run("r1", MADE_AT + timedelta(hours=1), (used,)))
    back = StepResult("train", "call", "reused", fingerprint=f"{1:064x}")
    store.runs.add(make_run("r2", MADE_AT + timedelta(hours=2), (back,)))
    failed = StepResult("train", "call", "failed", fingerprint=f"{3:064x}")
    store.runs.add(make_run("r3", MADE_AT + timedelta(hours=3), (failed,)))
    assert store.results.last("digits", "train") == make(1)
    assert store.results.last("digits", "other") is None
    assert store.results.last("other", "train") is None


def test_names_that_are_not_utf8_do_not_break_the_database(store: Store) -> None:
    name = b"caf\xe9.csv".decode("utf-8", "surrogateescape")
    result = make(1, observed={name: "-"}, facts={"name": name, "nul": "a\0b"}, step="tr\0ain\udce9")
    store.results.add(result)
    found = store.results.find(result.fingerprint)
    assert found is not None
    assert found.observed == {name: "-"}
    assert found.facts == {"name": name, "nul": "a\0b"}
    assert found.step == "tr\N{REPLACEMENT CHARACTER}ain?"


def test_a_lost_document_is_a_fault_with_a_next_step(reopen: Callable[[], Store]) -> None:
    store = reopen()
    store.results.add(make(1, parts={"code": {str(number): "x" * 32 for number in range(99)}}))
    with store.database.write() as transaction:
        transaction.execute("DELETE FROM documents")
    found = reopen().results.find(make(1).fingerprint)
    assert found is not None
    with pytest.raises(EnvironmentFault, match=r"document .* gone"):
        found.parts["code"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
_NUMBERS = st.floats(allow_nan=False)
_METRICS = st.builds(
    Metric,
    name=st.text(min_size=1, max_size=9),
    value=_NUMBERS,
    step=st.none() | st.integers(0, 10**12),
    slice=st.text(max_size=9),
    low=st.none() | _NUMBERS,
    high=st.none() | _NUMBERS,
    n_rows=st.integers(0, 10**12),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.dictionaries(st.text(max_size=8), _JSON, max_size=5),
    facts=st.dictionaries(st.text(max_size=8), _JSON, max_size=3),
    metrics=st.lists(_METRICS, max_size=4).map(tuple),
    warnings=st.lists(st.text(max_size=30), max_size=3).map(tuple),
)
def test_whatever_json_a_result_holds_comes_back(
    local: Store,
    parts: dict[str, object],
    facts: dict[str, object],
    metrics: tuple[Metric, ...],
    warnings: tuple[str, ...],
) -> None:
    result = make(1, parts=parts, facts=facts, metrics=metrics, warnings=warnings)
    local.results.add(result, replace=True)
    assert local.results.find(result.fingerprint) == result


def test_a_metric_that_is_not_a_number_is_kept(store: Store) -> None:
    store.results.add(make(1, metrics=(Metric("loss", math.nan), Metric("worst", math.inf, low=-math.inf))))
    found = store.results.find(make(1).fingerprint)
    assert found is not None
    assert math.isnan(found.metrics[0].value)
    assert found.metrics[1] == Metric("worst", math.inf, low=-math.inf)
    assert json.dumps(found.facts)
