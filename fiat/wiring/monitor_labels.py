"""Bring labels that came later to a service: into its folder, or to a server by HTTP."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiat.builtin.http_client import BrokenTransfer, HttpClient, HttpPolicy
from fiat.data.read import read_files
from fiat.data.stream import ReadOptions, SourceFile
from fiat.errors import EnvironmentFault, SpecError, Where
from fiat.serving.log_files import labels_path, write_rows
from fiat.serving.log_rows import label_rows
from fiat.wiring.monitor_view import find_subject

_FORMATS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_ID, _LABEL, _ROW = "request_id", "label", "row"
_MOST_SENT = 1000
_ANSWER_BYTES = 4096

Row = tuple[str, int, object]
"""Request id, row in the request, label."""


@dataclass(frozen=True)
class Brought:
    """What became of a file of labels.

    Attributes:
        n_labels: that were taken.
        n_missing: rows without a label or an id.
        to: where they are now.
    """

    n_labels: int
    n_missing: int
    to: str


def bring_labels(file: Path, target: str, root: Path) -> Brought:
    """Take the labels of a file to a service.

    Args:
        file: CSV, JSON Lines or Parquet with `request_id`, `label` and, where requests have several rows, `row`.
        target: a service (see `find_subject`), or the URL of its server.
        root: the checkout.

    Raises:
        SpecError: the file is of another form, or there is no such service.
        EnvironmentFault: the labels can't be written, or the server doesn't take them.
    """
    remote = target.startswith(("http://", "https://"))
    place = None if remote else find_subject(target, root).place
    rows: list[Row] = []
    n_missing = 0
    for request_id, row, label in _rows(file):
        if request_id in (None, "") or label in (None, ""):
            n_missing += 1
        else:
            rows.append((str(request_id), 0 if row is None else int(row), label))
    if place is None:
        _send(target.rstrip("/"), rows)
        return Brought(len(rows), n_missing, target)
    moment = round(time.time() * 1e6)
    if rows:
        try:
            path = labels_path(place.labels, moment)
            write_rows(path, label_rows([(moment, *row) for row in rows]))
        except OSError as error:
            raise EnvironmentFault(f"{place.labels} can't be written: {error.strerror or error}") from error
    return Brought(len(rows), n_missing, str(place.labels))


def _rows(file: Path) -> Iterator[tuple[Any, Any, Any]]:
    kind = _FORMATS.get(file.suffix.lower())
    if kind is None:
        raise SpecError(f"{file} is no file of labels", hint="expected .csv, .jsonl or .parquet")
    # Ids such as 0017 and labels such as 07 are what they are written as.
    types = {} if kind == "parquet" else {_ID: "text", _LABEL: "text"}
    reading = read_files([SourceFile(file, file.name)], ReadOptions(kind, types=types))
    for name in (_ID, _LABEL):
        if name not in reading.schema.names:
            raise SpecError(
                f"there is no column {name}",
                hint=f"it has {', '.join(reading.schema.names[:20])}; expected request_id, label and row if need be",
                where=Where(str(file)),
            )
    for piece in reading.pieces():
        ids, labels = (piece.batch.column(name).to_pylist() for name in (_ID, _LABEL))
        numbers = piece.batch.column(_ROW).to_pylist() if _ROW in reading.schema.names else [0] * len(ids)
        yield from zip(ids, numbers, labels, strict=True)


def _send(url: str, rows: list[Row]) -> None:
    client = HttpClient(HttpPolicy(allow_private_hosts=True, timeout_s=60.0))
    headers = {"Content-Type": "application/json"}
    for start in range(0, len(rows), _MOST_SENT):
        part = rows[start : start + _MOST_SENT]
        labels = [{"id": request_id, "row": row, "label": label} for request_id, row, label in part]
        try:
            with client.send(
                "POST", f"{url}/fiat/labels", headers, json.dumps({"labels": labels}).encode()
            ) as answer:
                said, status = answer.read(_ANSWER_BYTES), answer.status
        except BrokenTransfer as error:
            raise EnvironmentFault(
                f"{url} does not answer after {start:,} labels: {error}",
                hint="bring the file again: the newest wins",
            ) from error
        if status >= 300:
            raise EnvironmentFault(
                f"{url} answered {status} after {start:,} labels: {said.decode('utf-8', 'replace')[:200]}",
                hint="is it a server of Fiat whose predictions are logged?",
            )
