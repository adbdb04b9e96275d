"""Roles `gate` and `metric`: the user's own judgement of an evaluation."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fiat.builtin.child_call import call
from fiat.errors import SpecError


def work(request: Mapping[str, Any]) -> None:
    """Call the function and write what it said.

    Raises:
        SpecError: it returned something else than a gate or a metric returns.
    """
    folder = Path(request["evaluation"])
    if request["role"] == "metric":
        _measure(request, folder)
    else:
        _judge(request, folder)


def _judge(request: Mapping[str, Any], folder: Path) -> None:
    baseline = request.get("baseline")
    offers = {
        "metrics": lambda: _metrics(folder),
        "slices": lambda: [item for item in _read(folder, "metrics.json") if item["slice"]],
        "predictions": lambda: _predictions(folder),
        "baseline": lambda: _metrics(Path(baseline)) if baseline else None,
        "evaluation": lambda: _read(folder, "evaluation.json"),
    }
    answer = _gate_answer(call(request, offers), request["call"])
    Path(request["outputs"]["gate"]).write_text(json.dumps(answer, sort_keys=True), "utf-8")


def _measure(request: Mapping[str, Any], folder: Path) -> None:
    table = _predictions(folder)
    offers = {
        "labels": lambda: _array(table, "label"),
        "predictions": lambda: _array(table, "prediction"),
        "scores": lambda: _scores(table),
        "table": lambda: table,
    }
    value = call(request, offers)
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise SpecError(f"{request['call']} returned {type(value).__name__}, expected a number")
    name = request["call"].partition(":")[2]
    document = {"name": name, "value": float(value) if math.isfinite(value) else None}
    Path(request["outputs"]["metric"]).write_text(json.dumps(document, sort_keys=True), "utf-8")


def _gate_answer(said: Any, name: str) -> dict[str, object]:
    """`bool`, `(bool, reason)`, or a mapping with `ok`, `reason`, `value`."""
    if isinstance(said, (bool, np.bool_)):
        said = {"ok": bool(said)}
    elif isinstance(said, tuple) and len(said) == 2:
        said = {"ok": said[0], "reason": said[1]}
    if not isinstance(said, Mapping) or not isinstance(said.get("ok"), (bool, np.bool_)):
        raise SpecError(
            f"gate {name} returned {type(said).__name__}",
            hint="expected True or False, (True or False, reason), or {'ok': ..., 'reason': ..., 'value': ...}",
        )
    value = said.get("value")
    return {
        "ok": bool(said["ok"]),
        "reason": str(said.get("reason") or ""),
        "value": None if value is None else float(value),
    }


def _metrics(folder: Path) -> dict[str, float]:
    return {item["name"]: item["value"] for item in _read(folder, "metrics.json") if not item["slice"]}


def _read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text("utf-8"))


def _predictions(folder: Path) -> pa.Table:
    with pa.memory_map(str(folder / "predictions.arrow")) as source:
        return pa.ipc.open_file(source).read_all()


def _array(table: pa.Table, name: str) -> np.ndarray:
    return np.asarray(table.column(name).to_numpy())


def _scores(table: pa.Table) -> np.ndarray | None:
    """Class scores `(n_rows, n_classes)`, None for regression."""
    if "score" not in table.column_names:
        return None
    column = table.column("score").combine_chunks()
    return np.asarray(column.flatten().to_numpy()).reshape(len(column), -1)
