"""Remarks at lines of the spec: its faults, and what its gates said."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from fiat.builtin.report_markdown import cut
from fiat.builtin.view_text import visible
from fiat.errors import SpecError, Where
from fiat.run.model import GateResult
from fiat.run.report import Annotation

MOST = 50
LONGEST_MESSAGE = 2000
LONGEST_TITLE = 200


def spec_notes(errors: Sequence[SpecError], spec_path: str) -> tuple[Annotation, ...]:
    """One remark a fault, at most MOST; the last says how many are left out.

    Args:
        errors: faults, each with its place.
        spec_path: file of the spec, relative to the top of the repository: what has no place of its own is told there.
    """
    notes = [
        Annotation(
            path=_inside(error.where, spec_path),
            line=max(1, error.where.line) if error.where else 1,
            level="failure",
            message=_lines(f"{error.message}\n{error.hint}"),
            title=_title(error.where.key if error.where and error.where.key else "spec"),
        )
        for error in errors
    ]
    return _some(notes)


def gate_notes(
    gates: Iterable[GateResult], where: Callable[[str], Where], spec_path: str
) -> tuple[Annotation, ...]:
    """One remark a gate that refused or warned, the refusals first.

    Args:
        gates: results of all gates.
        where: the place of a key such as `gates[1]`.
        spec_path: where to tell it when the place is not known.
    """
    said = sorted((gate for gate in gates if gate.state in ("fail", "warn")), key=lambda gate: gate.state)
    notes = [
        Annotation(
            path=_inside(place, spec_path),
            line=max(1, place.line),
            level="failure" if gate.state == "fail" else "warning",
            message=_lines(gate.reason),
            title=_title(f"gate {gate.name}"),
        )
        for gate, place in ((gate, where(gate.key)) for gate in said)
    ]
    return _some(notes)


def _inside(where: Where | None, spec_path: str) -> str:
    """A path that a forge takes: relative, without steps out of the repository, in the repository's own spelling."""
    name = where.file if where else ""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or name.startswith("<") or visible(name) != name:
        return spec_path
    return path.as_posix()


def _lines(text: str) -> str:
    """Plain text, each line harmless."""
    shown = (visible(line).strip() for line in text.splitlines())
    return cut("\n".join(line for line in shown if line), LONGEST_MESSAGE) or "no reason given"


def _title(text: str) -> str:
    return cut(visible(text), LONGEST_TITLE)


def _some(notes: Sequence[Annotation]) -> tuple[Annotation, ...]:
    if len(notes) <= MOST:
        return tuple(notes)
    last = replace(notes[MOST - 1], message=f"{len(notes) - MOST + 1} more remarks are left out", title="")
    return (*notes[: MOST - 1], last)
