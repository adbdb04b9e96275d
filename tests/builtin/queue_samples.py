"""Rows of the queue that texts are made of."""

from dataclasses import replace
from typing import Any

from page_samples import sample_run

from fiat.run.model import GateResult, Run
from fiat.run.queue import Change, QueuedRun

COMMIT = "0b88f5562d1b4c2b9d1c6a3d2c8f9e7a1b2c3d4e"


def change(**more: Any) -> Change:
    told: dict[str, Any] = {"id": "c1", "repo": "acme/models", "commit": COMMIT, "purpose": "push"}
    return Change(**{**told, "ref": "refs/heads/main", **more})


def queued(spec: str = "fashion", **more: Any) -> QueuedRun:
    told: dict[str, Any] = {"id": f"r-{spec}", "change": "c1", "repo": "acme/models", "commit": COMMIT}
    told |= {
        "purpose": "push",
        "ref": "refs/heads/main",
        "spec": spec,
        "spec_path": f"specs/{spec}/spec.yaml",
    }
    return QueuedRun(**{**told, **more})


def pulled(spec: str = "fashion", **more: Any) -> QueuedRun:
    return queued(spec, **{"purpose": "pull_request", "pull": 7, **more})


def over(spec: str, verdict: str, reason: str = "", **more: Any) -> QueuedRun:
    return queued(spec, state="done", verdict=verdict, reason=reason, **more)


def refused_run() -> Run:
    """A run whose accuracy is too low, with a second gate that refuses and one that warns."""
    run = sample_run()
    gates = (
        GateResult(
            "accuracy >= 0.88", "fail", "accuracy 0.85 [0.81, 0.89] is below 0.88", 0.85, 0.88, "gates[0]"
        ),
        GateResult("fairness:check", "warn", "the gap is 0.041", 0.041, 0.03, "gates[1]"),
        GateResult("recall by digit >= 0.6", "fail", "recall of digit=8 is 0.5", 0.5, 0.6, "gates[2]"),
    )
    config = {
        **run.config,
        "gates": [
            {"metric": "accuracy", "min": 0.88},
            {"call": "fairness:check", "severity": "warn"},
            {"metric": "recall", "slice": "digit", "min": 0.6},
        ],
        "deploy": {"shelf": {"to": "directory", "path": "models"}},
    }
    reason = "gate accuracy >= 0.88 refused: accuracy 0.85 [0.81, 0.89] is below 0.88 (and 1 more)"
    return replace(run, verdict="fail", reason=reason, gates=gates, config=config)
