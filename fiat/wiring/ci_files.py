"""The files that a CI job reads after a step: outputs and the job summary, within their limits."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from secrets import token_hex

from fiat.errors import EnvironmentFault
from fiat.run.model import Metric

# Source: "Workflow syntax" and "Adding a job summary", docs.github.com: 1 MiB a step's summary; outputs of a job 1 MB
# in UTF-16. Half of that is ours: other steps of the job have outputs too.
MOST_SUMMARY_BYTES = 1 << 20
MOST_OUTPUT_UNITS = 250_000
_CUT = "\n\n*The rest is cut off: a job summary holds 1 MiB.*\n"
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


def write_outputs(path: Path | None, outputs: Mapping[str, str]) -> None:
    """Append outputs to the job's file; each value between lines of a random delimiter. Nothing without a file.

    Raises:
        EnvironmentFault: the file can't be written.
    """
    lines = []
    for name, value in outputs.items():
        delimiter = f"fiat-{token_hex(16)}"
        lines.append(f"{name}<<{delimiter}\n{value}\n{delimiter}\n")
    if path is not None:
        _append(path, "".join(lines))


def metrics_json(metrics: Iterable[Metric]) -> str:
    """Name to value as JSON, whole ones before those of slices (`recall [label=7]`), as many as an output can hold.

    Undefined and infinite values are null.
    """
    parts: list[str] = []
    units = 2
    finals = [metric for metric in metrics if metric.step is None]
    for metric in sorted(finals, key=lambda item: bool(item.slice)):
        name = f"{metric.name} [{metric.slice}]" if metric.slice else metric.name
        value = metric.value if math.isfinite(metric.value) else None
        part = f"{json.dumps(name)}: {json.dumps(value)}"
        units += len(part) + 2
        if units > MOST_OUTPUT_UNITS:
            break
        parts.append(part)
    return "{" + ", ".join(parts) + "}"


def write_summary(path: Path | None, text: str) -> None:
    """Append Markdown to the job summary, cut at a line to what it may hold. Nothing without a file.

    Raises:
        EnvironmentFault: the file can't be written.
    """
    if path is None:
        return
    there = path.stat().st_size if path.exists() else 0
    _append(path, cut_at_line(text.rstrip("\n") + "\n", MOST_SUMMARY_BYTES - there))


def cut_at_line(text: str, most_bytes: int) -> str:
    """The text when it fits, else its first lines with a sentence that it was cut; open code and folds are closed."""
    if len(text.encode()) <= most_bytes:
        return text
    kept: list[str] = []
    left = most_bytes - len(_CUT.encode())
    fence, folds = "", 0
    for line in text.splitlines(keepends=True):
        next_fence, next_folds = _state(line, fence, folds)
        size = len(line.encode())
        if size + len(_closing(next_fence, next_folds)) > left:
            break
        left -= size
        kept.append(line)
        fence, folds = next_fence, next_folds
    cut = "".join(kept) + _closing(fence, folds) + _CUT
    return cut if len(cut.encode()) <= most_bytes else ""


def _state(line: str, fence: str, folds: int) -> tuple[str, int]:
    mark = _FENCE.match(line)
    if fence:
        closes = mark is not None and mark[1].startswith(fence) and not line.strip().strip(fence[0])
        return ("" if closes else fence), folds
    if mark is not None:
        return mark[1], folds
    return "", max(0, folds + line.count("<details") - line.count("</details>"))


def _closing(fence: str, folds: int) -> str:
    return (f"{fence}\n" if fence else "") + "\n</details>" * folds


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError as error:
        raise EnvironmentFault(f"can't write {path}: {error.strerror}") from None
