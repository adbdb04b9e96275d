"""A schema as YAML that people review: the same bytes for the same schema, what was seen beside what must hold."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from fiat.profile.model import ColumnProfile, DataProfile
from fiat.validate.model import ColumnSchema, ColumnType, Limit, Schema
from fiat.validate.schema_words import taken_for

WIDTH = 100
MOST_KEY_CHARS = 200
_HEAD = (
    "# What must hold of this data. A data check compares every run's data with it: what does not hold stops the",
    "# run and is told with its rows. Review it, edit it, commit it.",
)
_BARE = re.compile(r"[^\W\d_][\w .()/+-]*")
_TEXT_SPAN_S = range(-62_135_596_800, 253_402_300_800)  # years 1 to 9999


def write_schema(schema: Schema, seen: DataProfile | None = None) -> str:
    """The file of a schema; `read_schema` gives the same schema back.

    Args:
        schema: what must hold.
        seen: data to say in comments what was seen of each column.
    """
    lines = [*_HEAD, *(f"# Passed over: {_comment(note)}" for note in schema.notes)]
    lines.append("fiat_schema: 1")
    if schema.label is not None:
        lines.append(f"label: {quote(schema.label)}")
    if rows := _bounds(schema.min_rows, schema.max_rows):
        lines.append(f"rows: {rows}")
    lines.append(f"environments: {_list(schema.environments)}")
    if not schema.columns:
        return "\n".join([*lines, "columns: {}", ""])
    lines.append("columns:")
    for column in schema.columns:
        key = quote(column.name)
        opened = f"  {key}:" if len(key) <= MOST_KEY_CHARS else f"  ? {key}\n  :"
        body = [f"    {line}" for line in _column(column)]
        lines.append(opened if body else f"{opened} {{}}")
        lines += [f"    # {_comment(line)}" for line in _seen(column.name, seen)]
        lines += body
    return "\n".join([*lines, ""])


def quote(text: str) -> str:
    """Text as YAML: as it is where nobody takes it for anything else, within double quotes otherwise."""
    bare = _BARE.fullmatch(text) and text[-1] != " " and text.isprintable() and len(text) <= WIDTH
    if bare and not taken_for(text):
        return text
    return '"' + "".join(_escape(char) for char in text) + '"'


def _escape(char: str) -> str:
    known = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    if char in known:
        return known[char]
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02X}" if code < 0x100 else f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


def _comment(text: str) -> str:
    """Text of others on one line of a comment."""
    return "".join(char if char.isprintable() else " " for char in text)


def _column(column: ColumnSchema) -> Iterator[str]:
    """The lines of a column, in the order of the docs; what is not asked for is left out."""
    domain = column.domain
    if column.type is not None:
        yield f"type: {column.type}"
    if not column.required:
        yield "required: false"
    if present := _flow(share=column.min_present, count=column.min_count):
        yield f"present: {present}"
    if domain.values is not None:
        yield from _values(domain.values, column.type)
    if domain.mass != 1.0:
        yield f"mass: {_number(domain.mass)}"
    if domain.min is not None or domain.max is not None:
        ends = {"min": _end(domain.min, column.type), "max": _end(domain.max, column.type)}
        yield f"range: {_braces(ends)}"
    if domain.regex is not None:
        yield f"regex: {quote(domain.regex)}"
    if length := _bounds(domain.min_length, domain.max_length):
        yield f"length: {length}"
    if per_row := _bounds(column.min_values, column.max_values):
        yield f"per_row: {per_row}"
    if column.shape is not None:
        yield f"shape: [{', '.join('any' if size is None else str(size) for size in column.shape)}]"
    if column.unique:
        yield "unique: true"
    if distinct := _bounds(column.min_unique, column.max_unique):
        yield f"distinct: {distinct}"
    yield from (f"{key}: false" for key, allowed in (("nan", column.nan), ("inf", column.inf)) if not allowed)
    if column.image is not None:
        yield f"image: {_image(column)}"
    if column.in_environments:
        yield f"environments: {_list(column.in_environments)}"
    if column.not_in_environments:
        yield f"not_in: {_list(column.not_in_environments)}"
    yield from (
        f"{key}: {_limit(item)}" for key, item in (("drift", column.drift), ("skew", column.skew)) if item
    )
    if column.severity != "error":
        yield f"severity: {column.severity}"
    if column.description:
        yield f"description: {quote(column.description)}"


def _values(values: Sequence[str], kind: ColumnType | None) -> Iterator[str]:
    """On one line where they fit, else one a line, so that a diff shows which came and went."""
    texts = list(values) if kind in ("int", "bool") else [quote(value) for value in values]
    line = f"values: [{', '.join(texts)}]"
    if len(line) <= WIDTH - 4:
        yield line
        return
    yield "values:"
    yield from (f"  - {text}" for text in texts)


def _image(column: ColumnSchema) -> str:
    image = column.image
    if image is None:
        return "{}"
    return _braces(
        {
            "formats": _list(image.formats) if image.formats else "",
            "supported": _number(image.min_supported) if image.min_supported != 1.0 else "",
            "width": _bounds(image.min_width, image.max_width),
            "height": _bounds(image.min_height, image.max_height),
            "max_bytes": "" if image.max_bytes is None else str(image.max_bytes),
        }
    )


def _limit(limit: Limit) -> str:
    return f"{{metric: {limit.metric}, max: {_number(limit.max)}}}"


def _list(texts: Sequence[str]) -> str:
    return f"[{', '.join(quote(text) for text in texts)}]"


def _bounds(low: float | None, high: float | None) -> str:
    return _flow(min=low, max=high)


def _flow(**numbers: float | None) -> str:
    return _braces({key: "" if value is None else _number(value) for key, value in numbers.items()}, empty="")


def _braces(parts: dict[str, str], *, empty: str = "{}") -> str:
    said = [f"{key}: {text}" for key, text in parts.items() if text]
    return f"{{{', '.join(said)}}}" if said else empty


def _number(value: float) -> str:
    """The shortest text that reads back as the same number."""
    if isinstance(value, int):
        return str(value)
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _end(value: float | None, kind: ColumnType | None) -> str:
    """An end of a range: a date where the column holds times."""
    if value is None:
        return ""
    if kind != "time" or value != int(value) or int(value) not in _TEXT_SPAN_S:
        return _number(value)
    when = datetime.fromtimestamp(int(value), UTC)
    if (when.hour, when.minute, when.second) == (0, 0, 0):
        return when.date().isoformat()
    return f'"{when.replace(tzinfo=None).isoformat()}Z"'


def _seen(name: str, seen: DataProfile | None) -> Iterator[str]:
    """What was seen of a column, a sentence a split."""
    for profile in seen.profiles if seen else ():
        column = profile.column(name)
        if column is not None and not profile.slice:
            yield f"{profile.split + ': ' if profile.split else ''}{describe_column(column)}"


def describe_column(column: ColumnProfile) -> str:
    """The few numbers of a column that help to judge what is asked of it, without any of its texts."""
    parts = [f"{column.n_rows:,} rows"]
    if column.n_rows:
        share = column.n_missing / column.n_rows
        parts.append("none missing" if not share else f"{_percent(share)} missing")
    if column.n_distinct:
        parts.append(f"{'' if column.distinct_exact else 'about '}{column.n_distinct:,} different")
    numbers = column.numbers
    if numbers is not None and numbers.n and column.kind in ("int", "float"):
        parts.append(f"{numbers.min:g} to {numbers.max:g}, mean {numbers.mean:g}")
    if numbers is not None and numbers.n_nan:
        parts.append(f"{numbers.n_nan:,} NaN")
    if column.lengths is not None and column.lengths.n and column.kind in ("text", "list"):
        what = "characters" if column.kind == "text" else "values a row"
        low, high = column.lengths.min, column.lengths.max
        parts.append(f"{low:,} {what}" if low == high else f"{low:,} to {high:,} {what}")
    return ", ".join(parts)


def _percent(share: float) -> str:
    if 0.999 < share < 1:
        return "over 99.9 %"
    return f"{100 * share:.3g} %" if share >= 0.001 else "under 0.1 %"
