"""TFX's `schema.pbtxt` to a `Schema`: what both can say is taken over, what ours can't is told in its notes."""

from collections.abc import Sequence

from fiat.errors import SpecError, SpecErrors, Where
from fiat.validate.model import ColumnSchema, Schema
from fiat.validate.pbtxt_feature import Surroundings, environment_name, read_feature
from fiat.validate.pbtxt_record import Record, read_record
from fiat.validate.pbtxt_text import parse_pbtxt
from fiat.validate.schema_faults import column_faults
from fiat.validate.schema_words import shown

_DOMAINS = ("string_domain", "int_domain", "float_domain")
_INSTEAD = {
    "num_examples_drift_comparator": "say it in the spec as a check `rows: {change: ...}`",
    "num_examples_version_comparator": "say it in the spec as a check `rows: {change: ...}`",
    "natural_language_domain": "say `length` or `regex` where that is meant",
    "normalized_abs_difference": "no such distance is measured",
}
MOST_NAMED = 10


def import_pbtxt(text: str, name: str) -> Schema:
    """The schema that a `schema.pbtxt` of TFX (TensorFlow Data Validation) holds; `Schema.notes` says what was left.

    Args:
        text: the file.
        name: how it is called in errors.

    Raises:
        SpecErrors: every fault that was found, in the order of their places; faults of the format end it at once.

    Source: tensorflow_metadata/proto/v0/schema.proto of tensorflow/metadata 1.16.
    """
    errors: list[SpecError] = []
    unknown: list[tuple[str, Where]] = []
    try:
        top = read_record(parse_pbtxt(text, name), "Schema", Where(name), errors, unknown)
    except SpecError as error:
        raise SpecErrors([error]) from None
    notes = _Notes()
    schema = _schema(top, errors, notes)
    for field, where in unknown:
        notes.add("", f"the field {shown(field)} in line {where.line} is not known")
    if errors:
        raise SpecErrors(sorted(errors, key=_place))
    return Schema(
        schema.columns, schema.min_rows, schema.max_rows, schema.environments, notes=notes.sentences()
    )


def _place(error: SpecError) -> tuple[int, int]:
    return (error.where.line, error.where.column) if error.where else (0, 0)


class _Notes:
    """What was passed over, the same of many features said once."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}

    def add(self, feature: str, what: str) -> None:
        """Note something of a feature, or of the schema where it is empty."""
        names = self._found.setdefault(what, [])
        if feature:
            names.append(feature)

    def sentences(self) -> tuple[str, ...]:
        """One sentence for each thing."""
        return tuple(self._sentence(what, names) for what, names in self._found.items())

    def _sentence(self, what: str, names: Sequence[str]) -> str:
        if not names:
            return what
        listed = ", ".join(shown(name) for name in names[:MOST_NAMED])
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        return f"{listed}{more}: {what}"


def _schema(top: Record, errors: list[SpecError], notes: _Notes) -> Schema:
    features = top.records("feature")
    default = tuple(dict.fromkeys(environment_name(name) for name in top.texts("default_environment")))
    around = Surroundings(_shared(top, errors), default, _environments(features, default), errors, notes.add)
    columns: dict[str, ColumnSchema] = {}
    for feature in features:
        name = feature.text("name")
        if not name or name in columns:
            message = f"the feature {shown(name)} is here twice" if name else "a feature has no name"
            errors.append(SpecError(message, where=feature.where))
            continue
        if feature.text("lifecycle_stage") == "VALIDATION_DERIVED":
            feature.use_all()
            notes.add(name, "it is derived for validation and no column of the data")
            continue
        columns[name] = _column(feature, name, around)
    _note_unused(top, features, notes)
    limits = top.record("dataset_constraints")
    min_rows = (limits.whole("min_examples_count") if limits else None) or None
    max_rows = (limits.whole("max_examples_count") if limits else None) or None
    if min_rows is not None and max_rows is not None and min_rows > max_rows and limits is not None:
        message = f"`min_examples_count` {min_rows} is more than `max_examples_count` {max_rows}"
        errors.append(SpecError(message, where=limits.where))
    if limits is not None:
        for field in limits.unused():
            notes.add("", _told(f"dataset_constraints.{field}"))
    return Schema(tuple(columns.values()), min_rows, max_rows, around.environments)


def _shared(top: Record, errors: list[SpecError]) -> dict[str, tuple[str, Record]]:
    """The domains that stand beside the features, by name."""
    found: dict[str, tuple[str, Record]] = {}
    for field in _DOMAINS:
        for domain in top.records(field):
            name = domain.text("name")
            if not name or name in found:
                message = f"the domain {shown(name)} is here twice" if name else "a domain has no name"
                errors.append(SpecError(message, where=domain.where))
            found.setdefault(name, (field, domain))
    return found


def _environments(features: Sequence[Record], default: tuple[str, ...]) -> tuple[str, ...]:
    """All that are named; TFX has no list of them."""
    named = [*(default or Schema(columns=()).environments)]
    for feature in features:
        named += [environment_name(name) for name in feature.texts("in_environment")]
        named += [environment_name(name) for name in feature.texts("not_in_environment")]
    return tuple(dict.fromkeys(named))


def _column(feature: Record, name: str, around: Surroundings) -> ColumnSchema:
    n_before = len(around.errors)
    column = read_feature(feature, name, around)
    if len(around.errors) == n_before:
        key = f"feature {shown(name)}"
        where = Where(feature.where.file, feature.where.line, feature.where.column, key)
        for fault in column_faults(column, around.environments):
            around.errors.append(SpecError(fault.message, hint=fault.hint, where=where))
    return column


def _note_unused(top: Record, features: Sequence[Record], notes: _Notes) -> None:
    """Whatever nobody asked for is told: nothing of the file is passed over in silence."""
    for feature in features:
        for field in feature.unused():
            notes.add(feature.text("name"), _told(field))
    for field in ("sparse_feature", "weighted_feature"):
        for item in top.records(field):
            notes.add(item.text("name"), f"a {field} is not held: its columns are looked at one by one")
    for field in _DOMAINS:
        for domain in top.records(field):
            for below in domain.unused():
                what = (
                    "no feature uses this domain"
                    if below in ("value", "min", "max")
                    else _told(f"{field}.{below}")
                )
                notes.add(domain.text("name"), what)
    for field in top.unused():
        if field.split(".")[0] not in (
            "feature",
            "sparse_feature",
            "weighted_feature",
            "dataset_constraints",
            *_DOMAINS,
        ):
            notes.add("", _told(field))


def _told(field: str) -> str:
    instead = next((f": {hint}" for part, hint in _INSTEAD.items() if part in field), "")
    return f"`{field}` is not held{instead}"
