"""A run with everything that a page can show."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from fiat.builtin.page_model import RunPage
from fiat.run.model import Artifact, GateResult, Metric, Run, StepResult

START = datetime(2026, 11, 21, 6, 15, tzinfo=UTC)
INPUTS = {
    "data.scans": (),
    "train": ("data.scans",),
    "export": ("train", "data.scans"),
    "evaluate": ("export", "data.scans"),
    "gates": ("evaluate",),
}


def step(
    name: str, state: str = "ran", reason: str = "no result yet", at: float = 0, took: float = 2.0
) -> StepResult:
    began = START + timedelta(seconds=at)
    if state not in ("ran", "failed"):
        return StepResult(name, "call", state, reason)  # type: ignore[arg-type]
    return StepResult(
        name,
        "call",
        state,  # type: ignore[arg-type]
        reason,
        seconds=took,
        attempt=1,
        outputs={"out": Artifact("d41d8cd98f00b204e9800998ecf8427e.dir", 2048, 2)},
        started_at=began,
        ended_at=began + timedelta(seconds=took),
        resources={"peak_memory_bytes": 1 << 30},
    )


def sample_run() -> Run:
    metrics = [
        Metric("accuracy", 0.9722, low=0.951, high=0.9846, n_rows=360),
        Metric("log_loss", 0.0931, low=0.06, high=0.13, n_rows=360),
        Metric("writers", 12.0),
        Metric("accuracy", 0.99, slice="digit=1", low=0.97, high=1.0, n_rows=40),
        Metric("accuracy", 0.80, slice="digit=8", low=0.7, high=0.9, n_rows=37),
        Metric("accuracy", math.nan, slice="digit=9", n_rows=0),
        Metric("accuracy", 0.95, slice="digit=3", low=0.9, high=0.98, n_rows=41),
    ]
    gates = (
        GateResult("accuracy >= 0.95", "pass", "0.9722 is at least 0.95", 0.9722, 0.95, "gates[0]"),
        GateResult("fairness:check", "warn", "the gap is 0.041", 0.041, 0.03, "gates[1]"),
    )
    config = {
        "fiat": 1,
        "name": "digits",
        "params": {"seed": 7, "model": {"lr": 0.01}},
        "gates": [{"metric": "accuracy", "min": 0.95}, {"call": "fairness:check", "severity": "warn"}],
    }
    return Run(
        id="20261121-061500-4f2a1c",
        spec="digits",
        spec_path="specs/digits",
        spec_digest="5e" * 32,
        plan_digest="7c" * 32,
        commit="0b88f5562d1b4c2b9d1c6a3d2c8f9e7a1b2c3d4e",
        branch="improve",
        dirty=True,
        overrides=("params.lr=0.01",),
        config=config,
        state="done",
        verdict="warn",
        reason="gate fairness:check: the gap is 0.041",
        started_at=START,
        ended_at=START + timedelta(seconds=55),
        host="desk-7",
        steps=(
            step("data.scans", "reused", "nothing changed"),
            step("train", at=1, took=40, reason="params: lr 0.003 -> 0.01"),
            step("export", at=41, took=6),
            step("evaluate", at=47),
            step("gates", at=49, took=0.2),
        ),
        metrics=tuple(metrics),
        gates=gates,
        model_digest="9e107d9d372bb6826bd81d3542a419d6.dir",
    )


def sample_page() -> RunPage:
    curve = {"label": "8", "fpr": [0, 0.1, 1], "tpr": [0, 0.9, 1], "auc": 0.93}
    return RunPage(
        run=sample_run(),
        inputs=INPUTS,
        curves=tuple(
            ("train", Metric(name, 1 / (at + 1), at)) for at in range(5) for name in ("loss", "eval_loss")
        ),
        plots={
            "confusion": {"labels": ["1", "8"], "counts": [[30, 2], [5, 32]], "unpredicted": 1},
            "roc": {"curves": [{**curve, "label": "1", "auc": 0.99}, curve]},
            "precision_recall": {
                "curves": [{"label": "8", "recall": [0, 1], "precision": [1, 0.4], "average_precision": 0.8}]
            },
            "calibration": {
                "bins": [
                    {"low": 0.8, "high": 0.9, "n_rows": 9, "confidence": 0.85, "right": 0.7},
                    {"low": 0.0, "high": 0.1, "n_rows": 0, "confidence": None, "right": None},
                ],
                "ece": 0.0123,
            },
            "scores": {"edges": [0, 0.5, 1], "counts": {"right": [1, 40], "wrong": [2, 0]}},
            "residuals": {
                "points": [[5.0, 0.5], [6.0, -0.25]],
                "histogram": {"edges": [-1, 0, 1], "counts": [3, 4]},
            },
        },
        evaluation={
            "split": "test",
            "n_rows": 360,
            "model_size_bytes": 45123,
            "parity": {"max_abs": 3e-6, "n_rows": 360},
        },
        baseline="run 20261119-081512-77ab01, released from branch main",
        baseline_metrics=(Metric("accuracy", 0.96, low=0.94, high=0.98), Metric("log_loss", 0.09)),
        data={
            "data.scans": {
                "rows": {"train": 1257, "test": 360},
                "columns": [{"name": "digit", "type": "int64"}],
                "features": [f"p{number}" for number in range(64)],
                "class_rows": {"train": {"1": 600, "8": 657}, "test": {"1": 180, "8": 180}},
                "source_digest": "a1b2c3",
                "format": "csv",
                "n_files": 1,
            }
        },
        manifest={"name": "digits", "files": {"model.onnx": {"sha256": "ab" * 32, "size_bytes": 45123}}},
        signature={
            "inputs": [{"name": "features", "dtype": "float32", "shape": [None, 64]}],
            "outputs": [{"name": "scores", "dtype": "float32", "shape": [None, 2]}],
            "labels": [1, 8],
            "opset": 18,
            "producer": "pytorch",
        },
        versions={"python": "3.11.7", "fiat": "0.1.0"},
    )


def failed_page() -> RunPage:
    page = sample_page()
    steps = (
        step("data.scans", "reused"),
        step("train", "failed", "ValueError: loss is not finite"),
        step("export", "skipped", "train failed"),
    )
    run = replace(
        page.run,
        verdict="error",
        reason="step train failed",
        steps=steps,
        metrics=(),
        gates=(),
        model_digest="",
    )
    return RunPage(run, INPUTS, logs={"train": ("epoch 1", "ValueError: loss is not finite")})


def study_documents() -> dict[str, object]:
    """What a search leaves: four trials, of which the third is the best and the last failed."""
    curve = [[1, 0.5], [2, 0.8], [3, 0.9]]
    trials = [
        {"number": 1, "params": {"lr": 0.01, "layers": 1}, "state": "done", "value": 0.9, "seconds": 12.0},
        {"number": 2, "params": {"lr": 0.3, "layers": 3}, "state": "stopped", "value": 0.4, "seconds": 3.5},
        {
            "number": 3,
            "params": {"lr": 0.003, "layers": 2},
            "state": "done",
            "value": 0.9312,
            "seconds": 14.2,
        },
        {"number": 4, "params": {"lr": 0.1, "layers": 2}, "state": "failed", "value": None, "seconds": 1.0},
    ]
    return {
        "best": {"params": {"lr": 0.003, "layers": 2}, "value": 0.9312, "trial": 3},
        "trials": [{**trial, "curve": curve if trial["value"] else []} for trial in trials],
    }
