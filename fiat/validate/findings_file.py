"""`findings.json`: what was found of a dataset, kept beside its profile; and each finding as a sentence."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from fiat.errors import EnvironmentFault
from fiat.validate.model import Anomaly, Example, Findings

FINDINGS_FILE = "findings.json"
_VERSION = 1


def write_findings(folder: Path, findings: Findings) -> Path:
    """Write findings into a folder; the same findings give the same bytes.

    Raises:
        EnvironmentFault: the disk is full or can't be written.
    """
    document = {"version": _VERSION, **asdict(findings)}
    for item in document["anomalies"]:
        for name in ("value", "limit"):
            item[name] = _number_out(item[name])
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    path = folder / FINDINGS_FILE
    try:
        path.write_text(text + "\n", "utf-8", newline="\n")
    except OSError as error:
        raise EnvironmentFault(
            f"the findings can't be written: {error.strerror or error}", hint="is the disk full?"
        ) from error
    return path


def read_findings(folder: Path) -> Findings:
    """The findings of a folder, as they were written.

    Raises:
        EnvironmentFault: there are none, or they are damaged.
    """
    try:
        document = json.loads((folder / FINDINGS_FILE).read_text("utf-8"))
        if document["version"] != _VERSION:
            raise ValueError(f"version {document['version']}, expected {_VERSION}")
        return Findings(
            anomalies=tuple(_anomaly(item) for item in document["anomalies"]),
            n_rows={str(name): int(count) for name, count in document["n_rows"].items()},
            compared={str(name): str(digest) for name, digest in document["compared"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EnvironmentFault(
            f"{folder} holds no findings that can be read: {error}", hint="check the data again"
        ) from error


def sentence(anomaly: Anomaly) -> str:
    """An anomaly for people: column, split, what was found and expected, and which rows.

    Such as `age (train): 3 rows are above 100, the largest 250: rows 3, 17 and 240 of train`.
    """
    about = anomaly.column or "the data"
    place = f" ({anomaly.split})" if anomaly.split else ""
    text = f"{about}{place}: {anomaly.message}"
    rows = rows_named(anomaly)
    return f"{text}: {rows}" if rows else text


def rows_named(anomaly: Anomaly) -> str:
    """The rows that show an anomaly: `row 7 of train`, `rows 3, 17 and 240 of train and 5 of eval`; empty for none."""
    by_split: dict[str, list[int]] = {}
    for example in anomaly.examples:
        if example.row:
            by_split.setdefault(example.split, []).append(example.row)
    if not by_split:
        return ""
    shown = sum(len(rows) for rows in by_split.values())
    parts = []
    for split, rows in by_split.items():
        more = ["..."] if anomaly.n_rows > shown and len(by_split) == 1 else []
        parts.append(_listed([f"{row:,}" for row in rows] + more) + (f" of {split}" if split else ""))
    return ("row " if shown == 1 and not (anomaly.n_rows > 1) else "rows ") + _listed(parts)


def _listed(items: list[str]) -> str:
    if len(items) < 2 or items[-1] == "...":
        return ", ".join(items)
    return ", ".join(items[:-1]) + " and " + items[-1]


def _anomaly(item: Mapping[str, object]) -> Anomaly:
    known = dict(item)
    examples = known.pop("examples")
    if not isinstance(examples, list):
        raise TypeError("examples are no list")
    numbers = {name: _number_in(known.pop(name)) for name in ("value", "limit")}
    made = Anomaly(**known, **numbers, examples=tuple(Example(**example) for example in examples))  # type: ignore[arg-type]
    if made.severity not in ("error", "warn"):
        raise ValueError(f"severity {made.severity!r}")
    return made


def _number_out(number: float | None) -> float | str | None:
    """JSON has no infinities."""
    return repr(number) if isinstance(number, float) and number - number != 0 else number


def _number_in(number: object) -> float | None:
    if number is None or (isinstance(number, int | float) and not isinstance(number, bool)):
        return number
    return float(str(number))
