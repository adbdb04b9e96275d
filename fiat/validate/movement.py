"""What moved: number of rows, distributions of columns, balance of the label; against earlier data, other data, or train.

Works on descriptions alone. A distance counts when it is over its limit; where chance alone would make as large a
distance between so few rows, the anomaly is a warning whatever its rule says, and its message tells so.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fiat.errors import SpecError
from fiat.profile.distance import Distance, comparable, distance, is_ordered
from fiat.profile.missing import as_clients_send
from fiat.profile.model import ColumnProfile, DataProfile, Profile
from fiat.validate.model import (
    Anomaly,
    DistanceRule,
    LabelRule,
    Limit,
    Metric,
    RowsRule,
    Rule,
    Schema,
    Severity,
)
from fiat.validate.movement_words import control_missing, moved_message, not_compared, treatment_missing

PREVIOUS, TRAIN, SERVING = "previous", "train", "serving"
_MAY_BE_ABSENT = (PREVIOUS, SERVING)
"""What a first run has nothing of."""
_MOST_CLASSES = 1000


@dataclass(frozen=True)
class _Pair:
    """Rows that are judged, and the rows that they are compared with."""

    before: Profile
    after: Profile
    against: str


def find_movements(
    profile: DataProfile, others: Mapping[str, DataProfile], rules: Sequence[Rule], schema: Schema
) -> tuple[Anomaly, ...]:
    """Judge all rules that compare: RowsRule with `max_change`, DistanceRule, LabelRule, and the schema's own limits.

    Splits are compared with the split of the same name of the other data, or with its `train` where it has no such
    split. Without `previous` among the others it is the first run, and nothing is said of what asks for it; nor without
    `serving`, which `train` alone is compared with, and whose missing values are what clients send for them.

    Args:
        profile: the data that are judged.
        others: `previous`, `serving` or `data.<name>` to its description.
        rules: of the spec; those of other kinds are passed over.
        schema: its columns' `drift` holds against `previous`, its `skew` against what the skew rules name, or against
            all `data.<name>`.

    Raises:
        SpecError: a rule names a column that neither side has.
    """
    found: list[Anomaly] = []
    for rule in rules:
        if isinstance(rule, RowsRule) and rule.max_change is not None:
            found += _rows_change(profile, others, rule, rule.max_change)
        elif isinstance(rule, DistanceRule):
            found += _distances(profile, others, rule)
        elif isinstance(rule, LabelRule):
            found += _label(profile, others, rule, schema)
    return tuple(found + _schema_limits(profile, others, rules, schema))


def _rows_change(
    profile: DataProfile, others: Mapping[str, DataProfile], rule: RowsRule, most: float
) -> list[Anomaly]:
    after, before = _n_rows(profile), _n_rows(others[rule.against]) if rule.against in others else 0
    if not before:
        first = rule.against == PREVIOUS and rule.against not in others
        return [] if first else [control_missing(rule.against, "rows", f"{rule.key}.rows.change")]
    change = (after - before) / before
    if abs(change) <= most:
        return []
    words = "fewer" if change < 0 else "more"
    return [
        Anomaly(
            "rows_dropped" if change < 0 else "rows_grown",
            "",
            f"{after:,} rows are {abs(change):.1%} {words} than the {before:,} of {rule.against}, expected a change of "
            f"at most {most:.1%}",
            severity=rule.severity,
            key=f"{rule.key}.rows.change",
            value=abs(change),
            limit=most,
        )
    ]


def _distances(profile: DataProfile, others: Mapping[str, DataProfile], rule: DistanceRule) -> list[Anomaly]:
    place = f"{rule.key}.{rule.name}"
    pairs, found = _pairs(profile, others, rule.against, rule.name, place)
    _check_names(rule, pairs)
    for pair in pairs:
        for name in _names(pair):
            if name in rule.ignore and name not in rule.columns:
                continue
            limit = rule.columns.get(name, rule.max)
            key = f"{place}.columns.{name}" if name in rule.columns else place
            asked = _Asked(rule.name, name, rule.metric, limit, rule.severity, key, name in rule.columns)
            label = rule.against != PREVIOUS and name == profile.label
            found += _column(pair, asked, may_lack=label)
    return found


def _label(
    profile: DataProfile, others: Mapping[str, DataProfile], rule: LabelRule, schema: Schema
) -> list[Anomaly]:
    name = profile.label or schema.label
    if name is None:
        return []
    place = f"{rule.key}.label"
    pairs, found = _pairs(profile, others, rule.against, "label", place)
    for pair in pairs:
        metric = _label_metric(pair.before.column(name), pair.after.column(name))
        asked = _Asked("label_balance", name, metric, rule.max, rule.severity, place, named=True)
        found += _column(pair, asked)
    return found


def _schema_limits(
    profile: DataProfile, others: Mapping[str, DataProfile], rules: Sequence[Rule], schema: Schema
) -> list[Anomaly]:
    found: list[Anomaly] = []
    served = [rule.against for rule in rules if isinstance(rule, DistanceRule) and rule.name == "skew"]
    served = served or sorted(name for name in others if name.startswith("data."))
    drift = {column.name: column.drift for column in schema.columns if column.drift}
    skew = {column.name: column.skew for column in schema.columns if column.skew}
    if skew and not served:
        found.append(control_missing("what is served", f"the skew of {', '.join(sorted(skew))}", "columns"))
    severities = {column.name: column.severity for column in schema.columns}
    for kind, limits, sources in (("drift", drift, [PREVIOUS]), ("skew", skew, list(dict.fromkeys(served)))):
        for against in sources if limits else ():
            pairs, missing = _pairs(profile, others, against, kind, f"columns.*.{kind}")
            found += missing
            for pair in pairs:
                for name, limit in limits.items():
                    found += _column(pair, _of_schema(kind, name, limit, severities[name]))
    return found


@dataclass(frozen=True)
class _Asked:
    """One column's limit. `named`: somebody asked for this very column."""

    kind: str
    column: str
    metric: Metric | None
    max: float
    severity: Severity
    key: str
    named: bool


def _of_schema(kind: str, name: str, limit: Limit, severity: Severity) -> _Asked:
    return _Asked(kind, name, limit.metric, limit.max, severity, f"columns.{name}.{kind}.max", named=True)


def _pairs(
    profile: DataProfile, others: Mapping[str, DataProfile], against: str, what: str, key: str
) -> tuple[list[_Pair], list[Anomaly]]:
    mine = [item for item in profile.profiles if not item.slice and item.n_rows]
    if against == TRAIN:
        train = profile.split(TRAIN)
        later = [item for item in mine if item.split not in (TRAIN, "")]
        if train is None or not train.n_rows:
            return [], [control_missing("train", what, key)]
        if not later:
            return [], [treatment_missing("eval and test have no rows", what, against, key)]
        return [_Pair(train, item, against) for item in later], []
    if against not in others:
        return [], [] if against in _MAY_BE_ABSENT else [control_missing(against, what, key)]
    theirs = [item for item in others[against].profiles if not item.slice and item.n_rows]
    if not theirs:
        return [], [control_missing(against, what, key)]
    if against == SERVING:
        train = profile.split(TRAIN)
        if train is None or not train.n_rows:
            return [], [treatment_missing("train has no rows", what, against, key)]
        return [_Pair(theirs[0], _as_sent(train), against)], []
    by_split = {item.split: item for item in theirs}
    fallback = by_split.get(TRAIN, theirs[0])
    pairs = [_Pair(by_split.get(item.split, fallback), item, against) for item in mine]
    gone = [] if against != PREVIOUS else [name for name in by_split if profile.split(name) is None]
    if not mine:
        gone = ["the dataset"]
    return pairs, [treatment_missing(f"{name} has no rows", what, against, key) for name in gone]


def _as_sent(train: Profile) -> Profile:
    return replace(train, columns=tuple(as_clients_send(column) for column in train.columns))


def _column(pair: _Pair, asked: _Asked, *, may_lack: bool = False) -> list[Anomaly]:
    before, after = pair.before.column(asked.column), pair.after.column(asked.column)
    if before is None or after is None:
        if may_lack or (before is None and after is None and not asked.named):
            return []
        kind = "column_control_missing" if before is None else "column_treatment_missing"
        where = pair.against if before is None else pair.after.split or "the data"
        message = f"the column is not in {where}, so its {_what(asked)} can't be judged"
        return [not_compared(kind, asked.column, message, pair.after.split, asked.key)]
    if not comparable(before, after):
        kinds = f"the column holds {after.kind}, but {before.kind} in {pair.against}"
        message = f"{kinds}, so its {_what(asked)} can't be judged"
        return [
            not_compared("kind_changed", asked.column, message, pair.after.split, asked.key, asked.severity)
        ]
    measured = distance(before, after, asked.metric)
    if measured.value <= asked.max:
        return []
    return [_moved(pair, asked, measured, before, after)]


def _moved(
    pair: _Pair, asked: _Asked, measured: Distance, before: ColumnProfile, after: ColumnProfile
) -> Anomaly:
    return Anomaly(
        asked.kind,
        asked.column,
        moved_message(pair.against, measured, asked.max, before, after),
        severity=asked.severity if measured.beyond_noise else "warn",
        split=pair.after.split,
        key=asked.key,
        value=measured.value,
        limit=asked.max,
    )


def _label_metric(before: ColumnProfile | None, after: ColumnProfile | None) -> Metric:
    """L-infinity where the label has classes, Jensen-Shannon for other numbers."""
    both = [column for column in (before, after) if column is not None]
    classes = all(not is_ordered(column) or 0 < len(column.counts) <= _MOST_CLASSES for column in both)
    return "linf" if classes else "js"


def _what(asked: _Asked) -> str:
    return "balance" if asked.kind == "label_balance" else asked.kind


def _names(pair: _Pair) -> list[str]:
    names = [column.name for column in pair.after.columns]
    return names + [column.name for column in pair.before.columns if column.name not in names]


def _check_names(rule: DistanceRule, pairs: Sequence[_Pair]) -> None:
    if not pairs:
        return
    known = {name for pair in pairs for name in _names(pair)}
    for name in rule.columns:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(known)[:20])}"
            raise SpecError(f"{rule.name} limits column {name!r}, which the data does not have", hint=hint)


def _n_rows(profile: DataProfile) -> int:
    return sum(item.n_rows for item in profile.profiles if not item.slice)
