"""Is the schema itself sound? What is said of a column must be possible, whoever wrote it."""

from collections import Counter
from collections.abc import Mapping

from fiat.profile.model import DataProfile
from fiat.validate.model import Anomaly, ColumnSchema, Schema
from fiat.validate.schema_faults import column_faults
from fiat.validate.schema_words import ASKED_OF, choices
from fiat.validate.subject import Subject

_DOMAIN = ("range", "values", "mass", "regex", "length")
_NEEDS_TYPE = ("range", "values", "regex", "length", "per_row", "shape", "image")


def check_schema(schema: Schema) -> tuple[tuple[Anomaly, ...], frozenset[str]]:
    """What contradicts itself.

    Returns:
        the anomalies, and the names of columns that nothing can be checked of because of them.
    """
    out: list[Anomaly] = []
    broken: set[str] = set()
    for index, column in enumerate(schema.columns):
        if not column.name:
            message = f"column {index + 1} of the schema has no name"
            out.append(Anomaly("column_unnamed", "", message, key=f"columns[{index}]"))
            broken.add(column.name)
        faults = list(column_faults(column, schema.environments))
        for fault in faults:
            broken.add(column.name)
            key = ".".join(("columns", column.name, *fault.key))
            kind = _kind(column, fault.key[0], fault.message)
            out.append(Anomaly(kind, column.name, f"{fault.message}: {fault.hint}".rstrip(": "), key=key))
        shares = _share(column)
        if shares:
            broken.add(column.name)
        out += shares
        limits = [name for name in said(column) if name in _NEEDS_TYPE]
        if limits and column.type is None:
            message = (
                f"`{limits[0]}` is asked of this column, but no type: write one, such as {_types(limits[0])}"
            )
            out.append(
                Anomaly(
                    "type_missing", column.name, message, severity="warn", key=f"columns.{column.name}.type"
                )
            )
    out += _whole(schema)
    return tuple(out), frozenset(broken)


def _kind(column: ColumnSchema, key: str, message: str) -> str:
    if "does not fit the type" in message:
        return "domain_invalid_for_type"
    if column.type == "bool" and key == "values":
        return "bool_domain_invalid"
    return "domain_invalid" if key in _DOMAIN else "schema_invalid"


def check_fit(subject: Subject) -> tuple[Anomaly, ...]:
    """Limits that what was found can't be held against, where the schema says no type."""
    if subject.asked.type is not None or subject.found.kind == "empty":
        return ()
    out = []
    for name in said(subject.asked):
        fitting = ASKED_OF.get(name, ())
        if fitting and subject.found.kind not in fitting:
            message = f"`{name}` fits {choices(fitting)}, found {subject.found.kind} ({subject.found.dtype})"
            out.append(subject.anomaly("domain_invalid_for_type", message, field=name))
    return tuple(out)


def said(column: ColumnSchema) -> tuple[str, ...]:
    """Keys of the limits that are set for a column's values."""
    domain = column.domain
    asked: Mapping[str, object] = {
        "values": domain.values,
        "range": domain.min if domain.min is not None else domain.max,
        "regex": domain.regex,
        "length": domain.min_length if domain.min_length is not None else domain.max_length,
        "per_row": column.min_values if column.min_values is not None else column.max_values,
        "shape": column.shape,
        "image": column.image,
    }
    return tuple(name for name, value in asked.items() if value is not None)


def _types(name: str) -> str:
    return choices(ASKED_OF[name])


def _share(column: ColumnSchema) -> list[Anomaly]:
    out = []
    shares = {"present.share": column.min_present, "mass": column.domain.mass}
    if column.image is not None:
        shares["image.supported"] = column.image.min_supported
    for name, share in shares.items():
        if share is not None and not 0 <= share <= 1:
            message = f"`{name}` is {share:g}, expected a share from 0 to 1"
            out.append(Anomaly("schema_invalid", column.name, message, key=f"columns.{column.name}.{name}"))
    return out


def _whole(schema: Schema) -> list[Anomaly]:
    out = []
    for name, count in Counter(column.name for column in schema.columns).items():
        if name and count > 1:
            message = f"the schema says {count} times what this column is"
            out.append(Anomaly("schema_invalid", name, message, key=f"columns.{name}"))
    if schema.min_rows is not None and schema.max_rows is not None and schema.min_rows > schema.max_rows:
        message = f"no dataset has {schema.min_rows:,} or more and {schema.max_rows:,} or fewer rows"
        out.append(Anomaly("schema_invalid", "", message, key="rows.min"))
    if schema.label is not None and schema.columns and schema.column(schema.label) is None:
        message = f"the label {schema.label!r} is no column of the schema"
        out.append(Anomaly("schema_invalid", schema.label, message, key="label"))
    return out


def check_rows_there(profile: DataProfile) -> tuple[Anomaly, ...]:
    """A dataset without rows."""
    if any(item.n_rows for item in profile.profiles if not item.slice):
        return ()
    return (Anomaly("no_rows", "", "the data has no rows", value=0, key="data"),)
