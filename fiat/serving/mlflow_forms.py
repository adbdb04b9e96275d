"""The forms of MLflow's scoring server: `/invocations` for callers of MLflow and SageMaker.

A body has one of `dataframe_split`, `dataframe_records`, `instances` and `inputs`, or is CSV. Answers are
`{"predictions": [...]}` with one item a row: the value when the model has one output, else a record of all outputs.

Source: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally, "Inference Server Specification".
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import orjson

from fiat.serving.columns import TableInputs
from fiat.serving.refusal import BadRequest, shown
from fiat.serving.requests import AnyArray, InferRequest
from fiat.serving.tensors import BYTES, ModelInfo

_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_JSON_TYPES = ("", "application/json", "application/x-www-form-urlencoded")
_ERROR_CODES = {404: "RESOURCE_DOES_NOT_EXIST", 429: "REQUEST_LIMIT_EXCEEDED", 503: "TEMPORARILY_UNAVAILABLE"}
_NOT_SENT = msgspec.UNSET


class _Split(msgspec.Struct):
    data: list[list[Any]]
    columns: list[str | int] | None = None


class _Body(msgspec.Struct):
    dataframe_split: _Split | msgspec.UnsetType = _NOT_SENT
    dataframe_records: list[dict[str, Any]] | msgspec.UnsetType = _NOT_SENT
    instances: list[Any] | msgspec.UnsetType = _NOT_SENT
    inputs: list[Any] | dict[str, Any] | msgspec.UnsetType = _NOT_SENT
    params: dict[str, Any] | None = None


class InvocationReader:
    """Reads bodies for one model; made once a version."""

    def __init__(self, info: ModelInfo) -> None:
        self._table = TableInputs(info)
        self._body = msgspec.json.Decoder(_Body)

    def read(self, body: bytes, content_type: str = "") -> InferRequest:
        """Read a body.

        Args:
            body: unpacked.
            content_type: value of the header, empty when there is none: then it is read as JSON.

        Raises:
            BadRequest: it is none of the forms, or doesn't fit the model. 415 when it is of another content type.
        """
        kind = content_type.partition(";")[0].strip().lower()
        if kind == "text/csv":
            return InferRequest(None, *self._read_csv(body))
        if kind not in _JSON_TYPES:
            raise BadRequest(
                f"the content type {shown(kind)} is not taken: send application/json or text/csv", status=415
            )
        message = self._parse(body)
        sent = [name for name in _FORMS if getattr(message, name) is not _NOT_SENT]
        if len(sent) != 1:
            raise BadRequest(f"the body has {', '.join(sent) or 'none'} of {', '.join(_FORMS)}, expected one")
        inputs, n_rows = getattr(self, f"_read_{sent[0]}")(getattr(message, sent[0]))
        return InferRequest(None, inputs, n_rows, parameters=message.params or {})

    def _parse(self, body: bytes) -> _Body:
        try:
            try:
                return self._body.decode(body)
            except msgspec.DecodeError:
                if b"NaN" not in body:
                    raise
                # MLflow's own client writes what is missing like this, which is no JSON.
                return self._body.decode(msgspec.json.encode(json.loads(body, parse_constant=_constant)))
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            why = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
            raise BadRequest(f"the body is none of MLflow's forms: {why}") from error

    def _read_dataframe_split(self, split: _Split) -> tuple[dict[str, AnyArray], int]:
        names = split.columns
        if names is None or names == list(range(len(names))):
            names = list(self._table.features)
        if len(set(names)) != len(names):
            raise BadRequest("dataframe_split names a column twice")
        for number, row in enumerate(split.data):
            if len(row) != len(names):
                raise BadRequest(
                    f"row {number} of dataframe_split has {len(row)} values, expected {len(names)}"
                )
        values = zip(*split.data, strict=True) if split.data else [()] * len(names)
        columns: dict[str, Sequence[Any]] = dict(zip(map(str, names), values, strict=True))
        return self._table.from_columns(columns, len(split.data)), len(split.data)

    def _read_dataframe_records(self, rows: list[dict[str, Any]]) -> tuple[dict[str, AnyArray], int]:
        # A column that some rows have is missing in the others; without rows nothing can be missing. Others are not even
        # looked for: rows that all have columns of their own would make a table of rows times rows.
        wanted = [name for name in self._table.columns if not rows or any(name in row for row in rows)]
        columns = {name: [row.get(name) for row in rows] for name in wanted}
        return self._table.from_columns(columns, len(rows)), len(rows)

    def _read_instances(self, rows: list[Any]) -> tuple[dict[str, AnyArray], int]:
        names = self._table.input_names
        if rows and all(isinstance(row, dict) for row in rows):
            if any(set(row) != set(names) for row in rows):
                return self._read_dataframe_records(rows)
            return {name: self._table.from_tensor(name, [row[name] for row in rows]) for name in names}, len(
                rows
            )
        return {self._only("instances"): self._table.from_tensor(names[0], rows)}, len(rows)

    def _read_inputs(self, inputs: list[Any] | dict[str, Any]) -> tuple[dict[str, AnyArray], int]:
        if isinstance(inputs, list):
            name = self._only("inputs")
            return {name: self._table.from_tensor(name, inputs)}, len(inputs)
        for name, values in inputs.items():
            if not isinstance(values, list):
                raise BadRequest(f"{shown(name)} of inputs is no list")
        n_rows = len(next(iter(inputs.values()), []))
        if any(len(values) != n_rows for values in inputs.values()):
            raise BadRequest("the lists of inputs are of different lengths")
        if set(inputs) == set(self._table.input_names):
            return {name: self._table.from_tensor(name, values) for name, values in inputs.items()}, n_rows
        return self._table.from_columns(inputs, n_rows), n_rows

    def _only(self, form: str) -> str:
        names = self._table.input_names
        if len(names) != 1:
            raise BadRequest(
                f"{form} must name the model's inputs, for it has {len(names)}: {shown(', '.join(names))}"
            )
        return names[0]

    def _read_csv(self, body: bytes) -> tuple[dict[str, AnyArray], int]:
        try:
            rows = [row for row in csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")) if row]
        except (csv.Error, UnicodeDecodeError) as error:
            raise BadRequest(f"the body is no CSV in UTF-8: {error}") from error
        if not rows:
            raise BadRequest("the CSV has no line with the names of its columns")
        names, *data = rows
        if len(set(names)) != len(names):
            raise BadRequest("the CSV names a column twice")
        for number, row in enumerate(data, 1):
            if len(row) != len(names):
                raise BadRequest(f"row {number} of the CSV has {len(row)} values, expected {len(names)}")
        columns = {
            name: self._table.cells(name, [row[place] for row in data]) for place, name in enumerate(names)
        }
        return self._table.from_columns(columns, len(data)), len(data)


def write_invocations(outputs: Mapping[str, AnyArray], info: ModelInfo) -> bytes:
    """The answer to an invocation.

    Args:
        outputs: name to array, first axis rows.
        info: of the model.
    """
    texts = {tensor.name for tensor in info.answered if tensor.datatype == BYTES}
    columns = {name: _by_row(array) for name, array in outputs.items()}
    if len(columns) == 1:
        ((name, rows),) = columns.items()
        return _dumped({"predictions": rows.tolist() if name in texts else rows})
    rows_of = [rows.tolist() if name in texts else list(rows) for name, rows in columns.items()]
    records = [dict(zip(columns, row, strict=True)) for row in zip(*rows_of, strict=True)]
    return _dumped({"predictions": records})


def write_invocation_error(message: str, status: int) -> bytes:
    """An error in MLflow's shape.

    Args:
        message: one sentence.
        status: of the HTTP answer.
    """
    code = _ERROR_CODES.get(status, "BAD_REQUEST" if status < 500 else "INTERNAL_ERROR")
    return msgspec.json.encode({"error_code": code, "message": message})


def _constant(word: str) -> None:
    if word != "NaN":
        raise ValueError(f"JSON has no {word}")


def _by_row(array: AnyArray) -> AnyArray:
    """One value a row where there is one, and in the order in which it is written."""
    return np.ascontiguousarray(array.reshape(-1) if array.ndim == 2 and array.shape[1] == 1 else array)


def _dumped(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
