"""What pages and reports are given of a run."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fiat.builtin.page_data_anomalies import checks_of
from fiat.run.model import Result, Run, StepResult
from fiat.store.store import Store, open_store
from fiat.validate.model import Anomaly, Example
from fiat.wiring.pages import gather_page
from fiat.wiring.told import told_of

START = datetime(2026, 11, 1, tzinfo=UTC)
ANOMALY = Anomaly(
    "out_of_range_high", "age", "2 rows are above 100", 2, (Example("train", 17, 250),), split="train"
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / ".fiat", url=None, now=lambda: START, checkout=tmp_path) as store:
        yield store


def checked_run(store: Store, tmp_path: Path) -> Run:
    """A run whose check refused its data, as the store has it."""
    facts: dict[str, dict[str, object]] = {
        "data.people": {"rows": {"train": 300}},
        "check.people": {"anomalies": [asdict(ANOMALY)], "n_anomalies": 1, "refused": "1 error"},
    }
    steps = []
    for place, (name, told) in enumerate(facts.items()):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "a.json").write_text(name)
        made = {"out": store.artifacts.put(folder)}
        fingerprint = str(place) * 64
        store.results.add(Result(fingerprint, name, "t", "run-1", made, {}, facts=told, made_at=START))
        steps.append(StepResult(name, name.partition(".")[0], "ran", fingerprint=fingerprint, outputs=made))
    run = Run(
        id="run-1",
        spec="t",
        spec_path="spec.yaml",
        spec_digest="",
        plan_digest="",
        commit="",
        branch="",
        dirty=False,
        overrides=(),
        config={},
        state="done",
        verdict="fail",
        reason="",
        started_at=START,
        steps=tuple(steps),
    )
    store.runs.add(run)
    return run


def test_what_a_check_found_reaches_the_page_and_whoever_is_told(store: Store, tmp_path: Path) -> None:
    run = checked_run(store, tmp_path)
    told = told_of(store, tmp_path, run)
    assert checks_of(told.data)["data.people"] == ([ANOMALY], 1)
    page = gather_page(store, tmp_path, run)
    assert "2 rows are above 100: rows 17, ... of train" in page
    assert '<bdi class="code">250</bdi>' in page
