"""What `fiat data` and `fiat schema` show: descriptions of data, anomalies, differences."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from fiat.builtin.view_sheet import Cell, Sheet, Table
from fiat.builtin.view_text import number
from fiat.profile.histogram import histograms
from fiat.profile.model import ColumnProfile, DataProfile, Profile
from fiat.validate.findings_file import sentence
from fiat.validate.model import Anomaly, Findings
from fiat.validate.schema_diff import Change

_BARS = " ▁▂▃▄▅▆▇█"
_BINS = 12
_LONGEST = 24
_NUMERIC = ("int", "float", "bool", "time", "tensor", "list")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_S, _LATEST_S = -62_000_000_000.0, 253_000_000_000.0
_DAY_S = 86_400.0


def description_sheet(title: str, data: DataProfile) -> Sheet:
    """A table a split: each column with its type, what is missing, its numbers or most frequent values."""
    whole = [item for item in data.profiles if not item.slice]
    slices = [item for item in data.profiles if item.slice]
    blocks: list[Table | tuple[Cell, ...]] = [(Cell(title, "strong"),)]
    blocks += [_columns(item, data.label) for item in whole]
    if slices:
        blocks.append(_slices(slices))
    return Sheet(tuple(blocks))


def findings_sheet(title: str, findings: Findings) -> Sheet:
    """Anomalies, errors first, or that there are none."""
    rows = sum(findings.n_rows.values())
    if not findings.anomalies:
        return Sheet(((Cell(f"✓ {title}: {rows:,} rows, no anomalies", "good"),),))
    table = Table(("", "column", "anomaly", "what"), tuple(_anomaly(item) for item in findings.anomalies))
    n_errors = len(findings.errors)
    n_warnings = len(findings.anomalies) - n_errors
    words = [f"{n_errors} error{'' if n_errors == 1 else 's'}"] if n_errors else []
    words += [f"{n_warnings} warning{'' if n_warnings == 1 else 's'}"] if n_warnings else []
    last = Cell(f"{title}: {rows:,} rows, {' and '.join(words)}", "bad" if n_errors else "doubt")
    return Sheet((table, (last,)))


def changes_sheet(against: str, changes: Sequence[Change]) -> Sheet:
    """What is another in a schema, what breaks first."""
    if not changes:
        return Sheet(((Cell(f"✓ the same as {against}", "good"),),))
    rows = tuple(
        (
            Cell("✗ breaks" if item.breaking else "! changed", "bad" if item.breaking else "doubt"),
            Cell(item.column, "strong"),
            Cell(item.sentence),
        )
        for item in sorted(changes, key=lambda item: not item.breaking)
    )
    return Sheet(((Cell(f"against {against}", "quiet"),), Table(("", "column", "what"), rows)))


def bars(counts: Sequence[float]) -> str:
    """Heights as a line of blocks, empty without any count; what is not zero can be seen."""
    most = max(counts, default=0)
    return (
        "".join(_BARS[max(1, round(count / most * 8))] if count else " " for count in counts) if most else ""
    )


def shown(value: object) -> str:
    """A value for people: texts bare, everything else as JSON, not too long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def share_words(share: float) -> str:
    """A share (0..1) in percent: `-` for none, and never a whole one or none where it only rounds to it."""
    if not share > 0:
        return "-"
    if share < 0.0005:
        return "<0.1%"
    return ">99.9%" if 0.9995 <= share < 1 else f"{share:.1%}"


def _columns(profile: Profile, label: str | None) -> Table:
    rows = tuple(_column(item, label, profile.n_rows) for item in profile.columns)
    heads = ("column", "type", "missing", "distinct", "min", "mean", "median", "max", "distribution")
    title = f"{profile.split or 'all rows'}: {profile.n_rows:,} rows"
    return Table(heads, rows, frozenset({2, 3, 4, 5, 6, 7}), title=title)


def _column(column: ColumnProfile, label: str | None, n_rows: int) -> tuple[Cell, ...]:
    share = column.n_missing / n_rows if n_rows else 0.0
    about = "" if column.distinct_exact else "~"
    cells = [
        Cell(f"{column.name} (label)" if column.name == label else column.name, "strong"),
        Cell(column.kind, "quiet"),
        Cell(share_words(share), "doubt" if share > 0.5 else ""),
        Cell(f"{about}{column.n_distinct:,}"),
    ]
    numbers = column.numbers
    if numbers is not None and numbers.n and column.kind in _NUMERIC:
        values = (numbers.min, numbers.mean, numbers.quantiles[5], numbers.max)
        days = numbers.max - numbers.min >= _DAY_S
        cells += [Cell(_moment(value, days) if column.kind == "time" else number(value)) for value in values]
        cells.append(Cell(bars(histograms((column,), bins=_BINS).counts[0])))
        return tuple(cells)
    return (*cells, *(Cell(""),) * 4, Cell(_most_frequent(column, n_rows), "quiet"))


def _most_frequent(column: ColumnProfile, n_rows: int) -> str:
    """Values and their shares: of all values where a row has several; of pictures their formats and sizes."""
    images, lengths = column.images, column.lengths
    if images is not None:
        kinds = (*list(images.formats.items())[:3], *list(images.sizes.items())[:3])
        return _shares(kinds, images.n)
    several = column.kind == "list" and lengths is not None
    return _shares(column.top[:3], round(lengths.mean * lengths.n) if several and lengths else n_rows)


def _shares(counts: Iterable[tuple[object, int]], whole: int) -> str:
    parts = ((shown(value), count / max(1, whole)) for value, count in counts)
    return ", ".join(f"{value} {'<1%' if share < 0.005 else f'{share:.0%}'}" for value, share in parts)


def _moment(seconds: float, days: bool) -> str:
    """Seconds since 1970 as a date (UTC), with hours and minutes where days don't tell the column's values apart."""
    if not _EARLIEST_S < seconds < _LATEST_S:
        return f"{number(seconds)} s"
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%d" if days else "%Y-%m-%d %H:%M")


def _slices(slices: Sequence[Profile]) -> Table:
    rows = tuple((Cell(item.split), Cell(item.slice), Cell(f"{item.n_rows:,}")) for item in slices)
    return Table(("split", "slice", "rows"), rows, frozenset({2}), title="slices")


def _anomaly(item: Anomaly) -> tuple[Cell, ...]:
    mark = Cell("✗ error", "bad") if item.severity == "error" else Cell("! warning", "doubt")
    return (mark, Cell(item.column, "strong"), Cell(item.kind, "quiet"), Cell(sentence(item)))
