"""The folder that an evaluation is kept in: written once by the evaluation, read by gates, reports and people.

`metrics.json`: list of name, value (null where undefined), slice, low, high, n_rows. `predictions.arrow`: `label`,
`prediction`, `score` (class probabilities) and `slice:<column>` of the judged rows. `plots.json`: what `plots.py` says.
`evaluation.json`: the rest.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fiat.errors import EnvironmentFault, SpecError
from fiat.evaluate.catalog import Task
from fiat.evaluate.measure import Measured
from fiat.evaluate.parity import Parity
from fiat.evaluate.rows import NO_CLASS, ClassRows, Ints, Rows, ValueRows
from fiat.evaluate.slices import SliceColumn, category_column, number_column, show_value

SLICE_PREFIX = "slice:"
LABEL_WORD = "label"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model's predictions on a split, and what was measured.

    Attributes:
        task: kind of prediction.
        split: `train`, `eval` or `test`.
        label: name of the label column.
        rows: the judged rows; None when the model could not be run on the data.
        columns: Arrow columns that slices are made by, name as the user wrote it to values, each `(n_rows,)`; the label
            of a classification is not among them.
        measured: every metric.
        parity: framework model against graph, None when not measured.
        model_size_bytes: size of the ONNX file.
        scores: what the class scores were: `probabilities`, `logits` or `none`.
        unusable: why there are no rows, one sentence; empty otherwise.
    """

    task: Task
    split: str
    label: str
    rows: Rows | None
    columns: Mapping[str, Any] = field(default_factory=dict)
    measured: tuple[Measured, ...] = ()
    parity: Parity | None = None
    model_size_bytes: int = 0
    scores: str = "none"
    unusable: str = ""


def slice_columns(evaluation: Evaluation, names: Sequence[str]) -> list[SliceColumn]:
    """The columns that a slice is made by; `label` also names the label when no column is called so.

    Raises:
        SpecError: one was not kept with the predictions, or its values can't be slices.
    """
    found = []
    for name in names:
        if name in evaluation.columns:
            found.append(_arrow_column(name, evaluation.columns[name]))
        elif name in (evaluation.label, LABEL_WORD) and isinstance(evaluation.rows, ClassRows):
            found.append(_class_column(name, evaluation.rows))
        elif name in (evaluation.label, LABEL_WORD) and evaluation.rows is not None:
            found.append(number_column(name, evaluation.rows.labels))
        else:
            known = ", ".join([*evaluation.columns, LABEL_WORD])
            raise SpecError(
                f"there are no slices by {name}", hint=f"add it to evaluate.slices; there are {known}"
            )
    return found


def _class_column(name: str, rows: ClassRows) -> SliceColumn:
    values = tuple(show_value(value) for value in rows.classes)
    return SliceColumn(name, rows.labels, values, tuple(range(len(values))))


def _arrow_column(name: str, column: Any) -> SliceColumn:
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return number_column(name, column.to_numpy(zero_copy_only=False))
    if pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType):
        raise SpecError(
            f"column {name} can't be sliced by: it holds {kind}", hint="slice by numbers, texts or dates"
        )
    coded = column.dictionary_encode() if not pa.types.is_dictionary(kind) else column
    codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    return category_column(name, codes.astype(np.int64), coded.dictionary.to_pylist())


def write_evaluation(folder: Path, evaluation: Evaluation, plots: Mapping[str, object]) -> None:
    """Write the folder.

    Args:
        folder: does not exist yet.
        evaluation: what to write.
        plots: plot name to data, as `plot_data` gives.
    """
    folder.mkdir(parents=True)
    rows = evaluation.rows
    _write_json(folder / "metrics.json", [asdict(item) for item in evaluation.measured])
    _write_json(folder / "plots.json", plots)
    document = {
        "task": evaluation.task,
        "split": evaluation.split,
        "n_rows": rows.n_rows if rows else 0,
        "label": evaluation.label,
        "labels": list(rows.classes) if isinstance(rows, ClassRows) else None,
        "scores": evaluation.scores,
        "invalid_rows": rows.invalid_rows if rows else 0,
        "parity": asdict(evaluation.parity) if evaluation.parity else None,
        "model_size_bytes": evaluation.model_size_bytes,
        "unusable": evaluation.unusable,
    }
    _write_json(folder / "evaluation.json", document)
    table = _table(rows, evaluation.columns)
    with (
        pa.OSFile(str(folder / "predictions.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table, max_chunksize=65_536)


def _table(rows: Rows | None, columns: Mapping[str, Any]) -> Any:
    if rows is None:
        return pa.table({})
    found: dict[str, Any] = {}
    if isinstance(rows, ClassRows):
        values = _class_values(rows.classes)
        found["label"] = values.take(pa.array(rows.labels))
        found["prediction"] = values.take(pa.array(rows.predicted, mask=rows.predicted == NO_CLASS))
        if rows.scores is not None:
            flat = pa.array(np.ascontiguousarray(rows.scores, dtype=np.float32).reshape(-1))
            found["score"] = pa.FixedSizeListArray.from_arrays(flat, rows.scores.shape[1])
    else:
        found["label"], found["prediction"] = pa.array(rows.labels), pa.array(rows.predicted)
    return pa.table(found | {SLICE_PREFIX + name: column for name, column in columns.items()})


def _class_values(classes: Sequence[object]) -> Any:
    """The classes as one Arrow array; as texts when they are of several kinds."""
    kinds = {type(value) for value in classes}
    return pa.array(list(classes) if len(kinds) == 1 else [show_value(value) for value in classes])


def read_evaluation(folder: Path) -> Evaluation:
    """Read the folder back.

    Raises:
        EnvironmentFault: it is not what `write_evaluation` wrote.
    """
    try:
        document = json.loads((folder / "evaluation.json").read_bytes())
        measured = tuple(
            Measured(**_number(item)) for item in json.loads((folder / "metrics.json").read_bytes())
        )
        with pa.memory_map(str(folder / "predictions.arrow")) as source:
            table = pa.ipc.open_file(source).read_all().combine_chunks()
        rows = None if document["unusable"] else _read_rows(document, table)
        return Evaluation(
            task=document["task"],
            split=document["split"],
            label=document["label"],
            rows=rows,
            columns={
                name.removeprefix(SLICE_PREFIX): _single(table.column(name))
                for name in table.column_names
                if name.startswith(SLICE_PREFIX)
            },
            measured=measured,
            parity=_read_parity(document["parity"]),
            model_size_bytes=document["model_size_bytes"],
            scores=document["scores"],
            unusable=document["unusable"],
        )
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise EnvironmentFault(
            f"the evaluation in {folder.name} can't be read: {error}",
            hint="run the step again; if it stays, the store is damaged",
        ) from error


def _read_rows(document: Mapping[str, Any], table: Any) -> Rows:
    if document["task"] == "regression":
        return ValueRows(
            table.column("label").to_numpy().astype(np.float64),
            table.column("prediction").to_numpy().astype(np.float64),
        )
    classes = tuple(document["labels"])
    values = _class_values(classes)
    scores = None
    if "score" in table.column_names:
        flat = _single(table.column("score")).flatten().to_numpy(zero_copy_only=False)
        scores = flat.reshape(table.num_rows, len(classes)).copy()
    return ClassRows(_codes(table, "label", values), _codes(table, "prediction", values), scores, classes)


def _read_parity(parity: Mapping[str, Any] | None) -> Parity | None:
    if parity is None:
        return None
    return Parity(**{**parity, "max_abs": _nan(parity["max_abs"]), "mean_abs": _nan(parity["mean_abs"])})


def _codes(table: Any, name: str, values: Any) -> Ints:
    column = pc.fill_null(pc.index_in(table.column(name), value_set=values), NO_CLASS)
    return np.asarray(column.to_numpy(), dtype=np.int64)


def _single(column: Any) -> Any:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _number(item: Mapping[str, Any]) -> dict[str, Any]:
    return {**item, "value": _nan(item["value"])}


def _nan(value: float | None) -> float:
    return math.nan if value is None else value


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(json_values(value), allow_nan=False, indent=1) + "\n")


def json_values(value: object) -> object:
    """A value as JSON can hold it: it has no NaN and no infinity, both become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: json_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_values(item) for item in value]
    return value
