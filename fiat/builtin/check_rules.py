"""What `data.<name>.checks` says, as rules of the validation craft."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fiat.plan.prepared import SERVED
from fiat.validate.model import (
    ColumnsRule,
    DistanceRule,
    DuplicatesRule,
    LabelRule,
    LeakRule,
    RowsRule,
    Rule,
    Say,
    Severity,
    SqlRule,
)


def rules_of(
    checks: Iterable[Mapping[str, Any]], unseen: Sequence[str] = (), unsent: Sequence[str] = ()
) -> tuple[Rule, ...]:
    """The rules of a check step's parameters, each with its severity and key path.

    Args:
        checks: as the spec has them.
        unseen: columns that no model learns from.
        unsent: columns that no log of served requests holds.
    """
    return tuple(rule for check in checks for rule in _rules(check, tuple(unseen), tuple(unsent)))


def _rules(check: Mapping[str, Any], unseen: tuple[str, ...], unsent: tuple[str, ...]) -> Iterator[Rule]:
    severity, key = check.get("severity", "error"), str(check.get("key", ""))
    if rows := check.get("rows"):
        change = rows.get("change") or {}
        yield RowsRule(
            rows.get("min"),
            rows.get("max"),
            change.get("max_ratio"),
            change.get("against", "previous"),
            severity,
            key,
        )
    if columns := check.get("columns"):
        yield ColumnsRule(_say(columns["unexpected"], severity), _say(columns["missing"], severity), key)
    for name in ("drift", "skew"):
        if said := check.get(name):
            limits, against = dict(said.get("columns") or {}), said["against"]
            ignored = (*unseen, *unsent) if against == SERVED else unseen
            yield DistanceRule(name, against, said["max"], said.get("metric"), limits, severity, key, ignored)
    if said := check.get("duplicates"):
        columns = tuple(said.get("columns") or ())
        across, within = _say(said["across"], severity), _say(said["within"], severity)
        yield DuplicatesRule(across, within, said["max_share"], said.get("near"), columns, key)
    if said := check.get("leak"):
        yield LeakRule(said["max_score"], tuple(said.get("ignore") or ()), severity, key)
    if said := check.get("label"):
        yield LabelRule(said["max"], said["against"], severity, key)
    if query := check.get("sql"):
        yield SqlRule(query, severity, key)


def _say(say: Say, severity: Severity) -> Say:
    """What a check with words of its own says: `severity: warn` beside them lets the run go on all the same."""
    return "warn" if say == "error" and severity == "warn" else say
