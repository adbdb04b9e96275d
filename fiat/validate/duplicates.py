"""Rows that are there twice: within a split, and across splits, where the test gives answers away.

Rows are compared by a 64-bit hash (8 bytes a row are held), and those whose hashes meet value by value: two rows that
differ are never called equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from fiat.data.row_hash import hash_rows
from fiat.data.stream import ABOUT
from fiat.errors import SpecError
from fiat.validate.model import MOST_EXAMPLES, Anomaly, DuplicatesRule, Example, Say
from fiat.validate.near_duplicates import NearPairs, find_near_pairs
from fiat.validate.row_equal import equal_rows
from fiat.validate.row_pick import distinct, is_among, pairs, pick_rows, split_tables

_CHUNK_ROWS = 16_384


@dataclass(frozen=True)
class _Rows:
    """The compared columns of a split, and each row's hash."""

    split: str
    table: pa.Table
    hashes: np.ndarray


def find_duplicates(
    folder: Path, rule: DuplicatesRule, features: Sequence[str], label: str | None
) -> tuple[Anomaly, ...]:
    """Equal rows of a dataset, and near ones across splits where the rule asks for them.

    Args:
        folder: of the dataset format.
        rule: what to say of them.
        features: feature columns; with the label those that are compared when the rule names none.
        label: column to predict, None for none.

    Returns:
        An anomaly for each two splits and each split with more such rows than the rule allows: `duplicates_across`,
        `near_duplicates_across`, `duplicates_within`. An example holds the row and, as its value, the equal row.

    Raises:
        SpecError: the rule names a column that the data don't have.
        EnvironmentFault: the dataset can't be read.
    """
    tables = split_tables(folder)
    columns = _compared(tables, rule, features, label)
    if not columns:
        return ()
    rows = {split: _hashed(split, table.select(columns)) for split, table in tables.items()}
    found: list[Anomaly | None] = []
    if rule.across != "ignore":
        for earlier, later in pairs(tuple(rows)):
            found.append(_across(rows[earlier], rows[later], rule))
            if rule.near is not None:
                found.append(_near(rows[earlier], rows[later], rule, rule.near))
    if rule.within != "ignore":
        found += [_within(part, rule) for part in rows.values()]
    return tuple(item for item in found if item is not None)


def _compared(
    tables: dict[str, pa.Table], rule: DuplicatesRule, features: Sequence[str], label: str | None
) -> list[str]:
    if not tables:
        return []
    schema = next(iter(tables.values())).schema
    for name in rule.columns:
        if name not in schema.names:
            raise SpecError(
                f"duplicates compare column {name!r}, which the data does not have",
                hint=f"it has {', '.join(schema.names[:20])}",
            )
    if rule.columns:
        return list(rule.columns)
    about = {field.name for field in schema if field.metadata == ABOUT}
    wanted = {*features, label}
    return [name for name in schema.names if name in wanted and name not in about]


def _hashed(split: str, table: pa.Table) -> _Rows:
    hashes = np.empty(table.num_rows, np.uint64)
    # Columns named by the rule count even if they only say where a row comes from.
    plain = table.replace_schema_metadata().cast(pa.schema([pa.field(f.name, f.type) for f in table.schema]))
    start = 0
    for batch in plain.to_batches(max_chunksize=65_536):
        hashes[start : start + batch.num_rows] = hash_rows(batch)
        start += batch.num_rows
    return _Rows(split, plain, hashes)


def _across(first: _Rows, second: _Rows, rule: DuplicatesRule) -> Anomaly | None:
    meeting = _met(distinct(second.hashes), first.hashes)
    if not meeting.size:
        return None
    here = _rows_among(second.hashes, meeting)
    there = _first_with(first.hashes, second.hashes[here], meeting)
    here, there = _really_equal(second, here, first, there)
    share = len(here) / len(second.hashes)
    if share <= rule.max_share:
        return None
    return _anomaly(
        "duplicates_across",
        f"{_rows(len(here), second)} of {second.split} ({share:.2%}) stand in {first.split} too, {_limit(rule)}",
        rule.across,
        second,
        [(int(a), first.split, int(b), None) for a, b in zip(here[:10], there[:10], strict=True)],
        len(here),
        rule,
    )


def _within(part: _Rows, rule: DuplicatesRule) -> Anomaly | None:
    ordered = np.sort(part.hashes)
    meeting = distinct(ordered[1:][ordered[1:] == ordered[:-1]])
    del ordered
    if not meeting.size:
        return None
    here = _rows_among(part.hashes, meeting)
    there = _first_with(part.hashes, part.hashes[here], meeting)
    repeats = here != there
    here, there = _really_equal(part, here[repeats], part, there[repeats])
    share = len(here) / len(part.hashes)
    if share <= rule.max_share:
        return None
    return _anomaly(
        "duplicates_within",
        f"{_rows(len(here), part)} of {part.split} ({share:.2%}) repeat an earlier row, {_limit(rule)}",
        rule.within,
        part,
        [(int(a), part.split, int(b), None) for a, b in zip(here[:10], there[:10], strict=True)],
        len(here),
        rule,
    )


def _near(first: _Rows, second: _Rows, rule: DuplicatesRule, near: float) -> Anomaly | None:
    equal = _rows_among(second.hashes, _met(distinct(second.hashes), first.hashes))
    others = np.setdiff1d(np.arange(len(second.hashes)), equal, assume_unique=True)
    found: NearPairs = find_near_pairs(first.table, second.table, near, others)
    share = len(found.second) / len(second.hashes)
    if share <= rule.max_share:
        return None
    shown = zip(found.second[:10], found.first[:10], found.likeness[:10], strict=True)
    return _anomaly(
        "near_duplicates_across",
        f"{_rows(len(found.second), second)} of {second.split} ({share:.2%}) are at least {near:g} like a row of "
        f"{first.split}, {_limit(rule)}",
        rule.across,
        second,
        [(int(a), first.split, int(b), round(float(likeness), 4)) for a, b, likeness in shown],
        len(found.second),
        rule,
    )


def _first_with(hashes: np.ndarray, wanted: np.ndarray, meeting: np.ndarray) -> np.ndarray:
    """Row number of the first row that has each wanted hash; `meeting` holds, sorted, all that are wanted."""
    rows = _rows_among(hashes, meeting)
    _, first = np.unique(hashes[rows], return_index=True)
    return np.asarray(rows[first][np.searchsorted(meeting, wanted)])


def _met(known: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """Those of ascending hashes that are among others; piece by piece, to hold no more than these."""
    met = np.zeros(len(known), bool)
    for start in range(0, len(hashes), _CHUNK_ROWS):
        piece = hashes[start : start + _CHUNK_ROWS]
        met[np.searchsorted(known, piece[is_among(piece, known)])] = True
    return known[met]


def _rows_among(hashes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Row numbers, ascending, of the hashes that are among ascending ones."""
    parts = [
        start + np.flatnonzero(is_among(hashes[start : start + _CHUNK_ROWS], known))
        for start in range(0, len(hashes), _CHUNK_ROWS)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _really_equal(
    a: _Rows, rows_a: np.ndarray, b: _Rows, rows_b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    equal = np.ones(len(rows_a), bool)
    for start in range(0, len(rows_a), _CHUNK_ROWS):
        part = slice(start, start + _CHUNK_ROWS)
        equal[part] = equal_rows(pick_rows(a.table, rows_a[part]), pick_rows(b.table, rows_b[part]))
    return rows_a[equal], rows_b[equal]


def _rows(count: int, part: _Rows) -> str:
    return f"{count:,} of {len(part.hashes):,} rows"


def _limit(rule: DuplicatesRule) -> str:
    return f"expected at most {rule.max_share:.2%}" if rule.max_share else "expected none"


def _anomaly(
    kind: str,
    message: str,
    say: Say,
    part: _Rows,
    shown: Sequence[tuple[int, str, int, float | None]],
    count: int,
    rule: DuplicatesRule,
) -> Anomaly:
    examples = []
    for row, split, other, likeness in shown[:MOST_EXAMPLES]:
        value: dict[str, object] = {"split": split, "row": other + 1}
        if likeness is not None:
            value["likeness"] = likeness
        examples.append(Example(part.split, row + 1, value))
    return Anomaly(
        kind,
        "",
        message,
        n_rows=count,
        examples=tuple(examples),
        severity="warn" if say == "warn" else "error",
        split=part.split,
        key=f"{rule.key}.duplicates",
        value=count / len(part.hashes),
        limit=rule.max_share,
    )
