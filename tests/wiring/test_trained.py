"""What is known of trainings: from results, from logs of what has no result, and of reused steps from who made them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fiat.run.model import Artifact, Metric, Result, Run, StepResult
from fiat.store.store import Store, open_store
from fiat.wiring.pages import gather_page
from fiat.wiring.trained import logged_metrics, trained_of

START = datetime(2026, 11, 1, tzinfo=UTC)
TUNE = {"objective": {"maximize": "accuracy"}}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / ".fiat", url=None, now=lambda: START, checkout=tmp_path) as store:
        yield store


def run_of(*steps: StepResult, name: str = "run-1") -> Run:
    return Run(
        id=name,
        spec="t",
        spec_path="spec.yaml",
        spec_digest="",
        plan_digest="",
        commit="",
        branch="",
        dirty=False,
        overrides=(),
        config={"tune": TUNE},
        state="done",
        verdict="pass",
        reason="",
        started_at=START,
        steps=steps,
    )


def made(store: Store, tmp_path: Path, *metrics: Metric, run: str = "run-1", **used: object) -> StepResult:
    """A training that ran, as the store has it."""
    path = tmp_path / f"model of {run}"
    path.write_text("weights")
    outputs = {"model": store.artifacts.put(path)}
    store.results.add(Result("a" * 64, "train", "t", run, outputs, {}, metrics=metrics, made_at=START))
    return StepResult("train", "call", "ran", fingerprint="a" * 64, outputs=outputs, resources=used)


def log(tmp_path: Path, step: str, *lines: str) -> Path:
    folder = tmp_path / "runs" / "run-1"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{step}.log"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def losses(*steps: int, value: float = 0.5) -> list[str]:
    return [f"FIAT_METRIC loss={value} step={at}" for at in steps]


def test_curves_and_finals_come_from_the_result(store: Store, tmp_path: Path) -> None:
    step = made(store, tmp_path, Metric("loss", 0.5, 1), Metric("accuracy", 0.9), gpu_ids=["0"])
    log(tmp_path, "train", *losses(1, 2, 3))
    found = trained_of(store, tmp_path, run_of(step))
    assert found.curves == (("train", Metric("loss", 0.5, 1)),)
    assert found.finals == {"train": (Metric("accuracy", 0.9),)}
    assert found.usage == {"train": {"gpu_ids": ["0"]}}
    assert found.studies == {}


@pytest.mark.parametrize("state", ["failed", "cancelled", "running"])
def test_a_training_without_a_result_is_shown_from_its_log(store: Store, tmp_path: Path, state: str) -> None:
    step = StepResult("train", "call", state)  # type: ignore[arg-type]
    log(tmp_path, "train", "epoch 1", *losses(1), "FIAT_METRIC loss=nan step=2", "FIAT_METRIC broken")
    found = trained_of(store, tmp_path, run_of(step))
    assert [metric.step for _, metric in found.curves] == [1, 2]
    page = gather_page(store, tmp_path, run_of(replace(step, state="failed")))
    assert "1 value of loss is no finite number, the first at step 2." in page


def test_a_later_attempt_stands_for_what_it_did_again(tmp_path: Path) -> None:
    path = log(
        tmp_path,
        "train",
        *losses(1, 2, 3, 4),
        "FIAT_METRIC other=1 step=9",
        "--- the worker died; trying again",
        *losses(3, 4, 5, value=0.25),
    )
    found = [(metric.step, metric.value) for metric in logged_metrics(path) if metric.name == "loss"]
    assert found == [(1, 0.5), (2, 0.5), (3, 0.25), (4, 0.25), (5, 0.25)]
    assert Metric("other", 1.0, 9) in logged_metrics(path)


def test_a_training_that_went_on_has_the_beginning_of_its_curve_too(store: Store, tmp_path: Path) -> None:
    metrics = (Metric("loss", 0.2, 3), Metric("loss", 0.1, 4))
    step = made(store, tmp_path, *metrics, resumed="went on from the checkpoint of step 2")
    log(tmp_path, "train", *losses(1, 2, 3), "--- lost; trying again", *losses(3, 4, value=0.1))
    found = trained_of(store, tmp_path, run_of(step))
    assert [(metric.step, metric.value) for _, metric in found.curves] == [
        (1, 0.5),
        (2, 0.5),
        (3, 0.2),
        (4, 0.1),
    ]


def test_a_reused_training_says_what_it_used_when_it_was_made(store: Store, tmp_path: Path) -> None:
    first = made(store, tmp_path, Metric("loss", 0.5, 1), run="run-0", gpu_memory_bytes=7, resumed="went on")
    store.runs.add(run_of(first, name="run-0"))
    again = StepResult("train", "call", "reused", fingerprint=first.fingerprint, outputs=first.outputs)
    found = trained_of(store, tmp_path, run_of(again))
    assert found.usage == {"train": {"gpu_memory_bytes": 7}}
    assert [metric.value for _, metric in found.curves] == [0.5]


def test_the_documents_of_a_search_are_read_and_what_is_gone_is_left_out(
    store: Store, tmp_path: Path
) -> None:
    best, trials = tmp_path / "best", tmp_path / "trials"
    best.write_text(json.dumps({"params": {"lr": 0.1}, "value": 0.9, "trial": 1}))
    trials.write_text(json.dumps([{"number": 1, "params": {"lr": 0.1}, "state": "done", "value": 0.9}]))
    outputs = {"best": store.artifacts.put(best), "trials": store.artifacts.put(trials)}
    step = StepResult("tune", "call", "ran", outputs=outputs)
    found = trained_of(store, tmp_path, run_of(step)).studies["tune"]
    assert found["best"] == {"params": {"lr": 0.1}, "value": 0.9, "trial": 1}
    assert ">accuracy 0.9000 in trial 1<" in gather_page(store, tmp_path, run_of(step))
    gone = replace(step, outputs={**outputs, "trials": Artifact("0" * 32, 3)})
    assert trained_of(store, tmp_path, run_of(gone)).studies["tune"]["trials"] is None
    assert 'id="training"' in gather_page(store, tmp_path, run_of(gone))
