"""The way in of a schema: its YAML (or TFX's `schema.pbtxt`) to a `Schema`, every fault at once and at its place."""

from typing import cast

from fiat.errors import SpecError, SpecErrors
from fiat.validate.model import ColumnSchema, ColumnType, Domain, ImageDomain, Limit, Metric, Schema, Severity
from fiat.validate.pbtxt import import_pbtxt
from fiat.validate.schema_faults import Fault, column_faults
from fiat.validate.schema_reading import At, Reading
from fiat.validate.schema_tree import Node, parse_tree
from fiat.validate.schema_words import (
    COLUMN_KEYS,
    IMAGE_FORMATS,
    IMAGE_KEYS,
    METRICS,
    TOP_KEYS,
    TYPES,
    WHOLE,
    nearest,
    shown,
)

VERSION = "1"


def read_schema(text: str, name: str) -> Schema:
    """The schema that a file holds. Nothing that it says is run.

    Args:
        text: the file.
        name: how it is called in errors; what ends in `.pbtxt` is TFX's.

    Raises:
        SpecErrors: every fault that was found, in the order of their places.
    """
    if name.endswith(".pbtxt"):
        return import_pbtxt(text, name)
    errors: list[SpecError] = []
    schema: Schema | None = None
    try:
        top = parse_tree(text, name, errors)
        schema = _schema(Reading(name, errors), At(top, ()))
    except SpecError as error:
        errors.append(error)
    if errors or schema is None:
        first: dict[tuple[int, int, str], SpecError] = {}
        for found in errors:  # what is of the wrong kind is not told a second time as a contradiction
            first.setdefault(_place(found), found)
        raise SpecErrors(sorted(first.values(), key=_place))
    return schema


def _place(error: SpecError) -> tuple[int, int, str]:
    where = error.where
    return (where.line, where.column, where.key) if where else (0, 0, "")


def _schema(reading: Reading, top: At) -> Schema:
    found = reading.keys(top, TOP_KEYS)
    version = found.get("fiat_schema")
    if version is None:
        if not _has_key(top, "fiat_schema"):
            place = At(top.node, ("fiat_schema",))
            reading.refuse(place, "`fiat_schema` is missing", f"begin with `fiat_schema: {VERSION}`")
    elif version.node.value != VERSION or version.node.quoted:
        reading.expect(version, VERSION, "this version of Fiat knows no other")
    if "columns" not in found and not _has_key(top, "columns"):
        reading.refuse(At(top.node, ("columns",)), "`columns` is missing", "name each column below it")
    environments = _names(reading, found.get("environments"), "environments")
    if "environments" not in found:
        environments = Schema(columns=()).environments
    elif not environments:
        reading.refuse(found["environments"], "the list is empty", "name one, or take the key out")
    columns = _columns(reading, found.get("columns"), environments)
    min_rows, max_rows = reading.bounds(found.get("rows"))
    if min_rows is not None and max_rows is not None and min_rows > max_rows:
        reading.refuse(
            found["rows"], f"`min` {min_rows} is more than `max` {max_rows}", "nothing could ever fit"
        )
    label = reading.text(found.get("label"))
    known = [column.name for column in columns]
    if label is not None and label not in known:
        close = nearest(label, known)
        hint = f"did you mean `{close}`?" if close else "the label is one of `columns`"
        reading.refuse(found["label"], f"no column is called {shown(label)}", hint)
    return Schema(columns, min_rows, max_rows, environments, label)


def _has_key(at: At, key: str) -> bool:
    """Whether a key was written, with a value that fits or without."""
    return isinstance(at.node.value, dict) and key in at.node.value


def _columns(reading: Reading, at: At | None, environments: tuple[str, ...]) -> tuple[ColumnSchema, ...]:
    if at is None:
        return ()
    if not isinstance(at.node.value, dict):
        reading.expect(at, "a mapping of column names", "write `name: {type: text}` a column")
        return ()
    columns = []
    for name, node in at.node.value.items():
        place = At(node, (*at.path, name))
        if node.is_nothing:
            reading.refuse(place, "the column has no value", "write {} when nothing is asked of it", key=True)
            continue
        column = _column(reading, place, name)
        for fault in column_faults(column, environments):
            _tell(reading, place, fault)
        columns.append(column)
    return tuple(columns)


def _column(reading: Reading, at: At, name: str) -> ColumnSchema:
    found = reading.keys(at, COLUMN_KEYS)
    get = found.get
    kind = cast(ColumnType | None, reading.choice(get("type"), TYPES))
    present = reading.keys(found["present"], ("share", "count")) if "present" in found else {}
    min_values, max_values = reading.bounds(get("per_row"))
    min_unique, max_unique = reading.bounds(get("distinct"))
    return ColumnSchema(
        name=name,
        type=kind,
        required=reading.flag(get("required"), otherwise=True),
        min_present=reading.number(present.get("share"), low=0, high=1),
        min_count=reading.whole(present.get("count")),
        domain=_domain(reading, found, kind),
        image=_image(reading, get("image")),
        min_values=min_values,
        max_values=max_values,
        shape=_shape(reading, get("shape")),
        min_unique=min_unique,
        max_unique=max_unique,
        unique=reading.flag(get("unique"), otherwise=False),
        nan=reading.flag(get("nan"), otherwise=True),
        inf=reading.flag(get("inf"), otherwise=True),
        in_environments=_names(reading, get("environments"), "environments"),
        not_in_environments=_names(reading, get("not_in"), "environments"),
        drift=_limit(reading, get("drift")),
        skew=_limit(reading, get("skew")),
        severity=cast(Severity, reading.choice(get("severity"), ("error", "warn")) or "error"),
        description=reading.text(get("description")) or "",
    )


def _domain(reading: Reading, found: dict[str, At], kind: ColumnType | None) -> Domain:
    low: float | None = None
    high: float | None = None
    if "range" in found:
        ends = reading.keys(found["range"], ("min", "max"))
        read = reading.moment if kind == "time" else reading.number
        low, high = read(ends.get("min")), read(ends.get("max"))
    min_length, max_length = reading.bounds(found.get("length"))
    values = _values(reading, found.get("values"), kind)
    mass = reading.number(found.get("mass"), low=0, high=1)
    return Domain(
        min=low,
        max=high,
        values=values,
        mass=1.0 if mass is None or (values is None and "values" in found) else mass,
        regex=reading.text(found.get("regex")),
        min_length=min_length,
        max_length=max_length,
    )


def _values(reading: Reading, at: At | None, kind: ColumnType | None) -> tuple[str, ...] | None:
    """The allowed values as texts: whole numbers and flags need no quotes where the column holds such."""
    if at is None or not isinstance(at.node.value, list):
        if at is not None:
            reading.expect(at, "a list of the values that are allowed")
        return None
    values = []
    for item in reading.items(at, "values"):
        text = item.node.value if isinstance(item.node.value, str) else ""
        if not item.node.quoted and _stands_bare(text, kind):
            text = str(int(text)) if kind == "int" else text
        elif kind == "int":
            reading.expect(item, "a whole number", "take the quotes away" if item.node.quoted else "")
        elif kind == "bool":
            reading.expect(item, "`true` or `false`", "take the quotes away" if item.node.quoted else "")
        else:
            reading.text(item)
        values.append(text)  # a refused one as well, so that the others keep their places
    return tuple(values)


def _stands_bare(text: str, kind: ColumnType | None) -> bool:
    if kind == "bool":
        return text in ("true", "false")
    return kind == "int" and len(text) <= 20 and WHOLE.fullmatch(text) is not None


def _names(reading: Reading, at: At | None, wanted: str) -> tuple[str, ...]:
    found: list[str] = []
    for item in reading.items(at, wanted):
        name = reading.text(item)
        if name in found:
            reading.refuse(item, f"{shown(name)} is listed twice")
        elif name is not None:
            found.append(name)
    return tuple(found)


def _shape(reading: Reading, at: At | None) -> tuple[int | None, ...] | None:
    if at is None:
        return None
    return tuple(
        None if item.node.value == "any" else reading.whole(item)
        for item in reading.items(at, "sizes such as [28, 28]; `any` for any size")
    )


def _limit(reading: Reading, at: At | None) -> Limit | None:
    if at is None:
        return None
    found = reading.keys(at, ("metric", "max"))
    for key in ("metric", "max"):
        if key not in found and not _has_key(at, key):
            place = At(at.node, (*at.path, key))
            reading.refuse(place, f"`{key}` is missing", "write {metric: js, max: 0.1}")
    metric = cast(Metric | None, reading.choice(found.get("metric"), METRICS))
    most = reading.number(found.get("max"), low=0)
    return Limit(metric, most) if metric is not None and most is not None else None


def _image(reading: Reading, at: At | None) -> ImageDomain | None:
    if at is None:
        return None
    found = reading.keys(at, IMAGE_KEYS)
    formats = [reading.choice(item, IMAGE_FORMATS) for item in reading.items(found.get("formats"), "formats")]
    supported = reading.number(found.get("supported"), low=0, high=1)
    min_width, max_width = reading.bounds(found.get("width"))
    min_height, max_height = reading.bounds(found.get("height"))
    return ImageDomain(
        formats=tuple(item for item in formats if item is not None),
        min_supported=1.0 if supported is None else supported,
        min_width=min_width,
        max_width=max_width,
        min_height=min_height,
        max_height=max_height,
        max_bytes=reading.whole(found.get("max_bytes")),
    )


def _tell(reading: Reading, at: At, fault: Fault) -> None:
    """Note a contradiction at its key, or at the nearest one above that was written."""
    node, path = at.node, at.path
    for part in fault.key:
        below: Node | None = None
        if isinstance(node.value, dict):
            below = node.value.get(part)
        elif isinstance(node.value, list) and part.isdigit() and int(part) < len(node.value):
            below = node.value[int(part)]
        path = (*path, part)
        node = below or node
    reading.refuse(At(node, path), fault.message, fault.hint)
