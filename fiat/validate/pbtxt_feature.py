"""One feature of TFX's schema as a column of ours."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from fiat.errors import SpecError
from fiat.validate.model import ColumnSchema, ColumnType, Domain, ImageDomain, Limit, Metric
from fiat.validate.pbtxt_record import Record
from fiat.validate.schema_words import nearest, shown

UNVALIDATED = ("PLANNED", "ALPHA", "DEPRECATED", "DEBUG_ONLY", "DISABLED")
_TYPES: Mapping[str, ColumnType] = {"BYTES": "text", "INT": "int", "FLOAT": "float"}
_DOMAINS_OF = {
    "BYTES": ("string_domain", "int_domain", "float_domain", "bool_domain", "image_domain"),
    "INT": ("int_domain", "float_domain", "bool_domain", "string_domain"),
    "FLOAT": ("float_domain", "bool_domain"),
}
_DOMAINS = ("int_domain", "float_domain", "string_domain", "bool_domain", "image_domain")

Note = Callable[[str, str], None]
"""Notes something that was passed over: the feature, and what."""


@dataclass(frozen=True)
class Surroundings:
    """What the features of a schema share.

    Attributes:
        domains: name to field and record of the domains that stand beside the features.
        default_environments: those that a feature belongs to without saying so.
        environments: all that are named.
        errors: what can't be meant is added to them.
        note: takes what was passed over.
    """

    domains: Mapping[str, tuple[str, Record]]
    default_environments: tuple[str, ...]
    environments: tuple[str, ...]
    errors: list[SpecError]
    note: Note


def environment_name(name: str) -> str:
    """An environment as ours are called: TFX's examples write `TRAINING`."""
    return name.lower() if name.lower() in ("training", "serving") else name


def read_feature(feature: Record, name: str, around: Surroundings) -> ColumnSchema:
    """The column that a feature describes.

    Args:
        feature: as read.
        name: its name.
        around: what it shares with the others.
    """
    annotation = feature.record("annotation")
    comments = (*(annotation.texts("comment") if annotation else ()), *feature.texts("comment"))
    column = ColumnSchema(name=name, required=False, description=" ".join(comments))
    stage = feature.text("lifecycle_stage")
    if stage in UNVALIDATED or feature.flag("deprecated"):
        feature.use_all()
        around.note(name, f"it is {stage or 'deprecated'}: nothing is asked of it")
        return column
    column = _with_presence(column, feature, around)
    column = _with_type(column, feature, around)
    column = _with_domain(column, feature, around)
    column = _with_environments(column, feature, around)
    unique = feature.record("unique_constraints")
    return replace(
        column,
        min_unique=_count(unique, "min", around),
        max_unique=_count(unique, "max", around),
        drift=_limit(feature, "drift_comparator", name, around),
        skew=_limit(feature, "skew_comparator", name, around),
    )


def _with_presence(column: ColumnSchema, feature: Record, around: Surroundings) -> ColumnSchema:
    """A feature without `presence` may be absent."""
    presence = feature.record("presence")
    if presence is None:
        return column
    share = _share(presence, "min_fraction", around) or None
    count = _count(presence, "min_count", around) or None
    return replace(column, required=bool(share or count), min_present=share, min_count=count)


def _with_type(column: ColumnSchema, feature: Record, around: Surroundings) -> ColumnSchema:
    """Type and values a row: one value a row is what a column of a plain type holds anyway."""
    said = feature.text("type")
    if said == "STRUCT":
        around.note(column.name, "its type is STRUCT: the fields within are not looked at")
        return column
    kind = _TYPES.get(said)
    shape = feature.record("shape")
    if shape is not None:
        sizes = [_count(dim, "size", around) for dim in shape.records("dim")]
        if sizes and sizes != [1]:
            return replace(column, type="tensor", shape=tuple(sizes))
        return replace(column, type=kind)
    count = feature.record("value_count")
    nested = feature.record("value_counts")
    if nested is not None:
        count = next(iter(nested.records("value_count")), None)
        around.note(column.name, "of `value_counts` only the outermost level is held")
    if count is None:
        return replace(column, type=kind)
    low, high = _count(count, "min", around), _count(count, "max", around)
    if high == 1 and nested is None:
        return replace(column, type=kind)
    if kind is not None:
        around.note(column.name, f"that the values of its lists are {said} is not held")
    return replace(column, type="list", min_values=low or None, max_values=high)


def _with_domain(column: ColumnSchema, feature: Record, around: Surroundings) -> ColumnSchema:
    field, domain = _domain(feature, around)
    mass = _mass(feature, field, column.name, around)
    said = feature.text("type")
    if domain is None or said == "STRUCT":
        return column
    if said in _DOMAINS_OF and field not in _DOMAINS_OF[said]:
        message = f"`{field}` does not fit the type {said}"
        hint = f"it can have {', '.join(_DOMAINS_OF[said])}"
        around.errors.append(SpecError(message, hint=hint, where=domain.where))
        return column
    if field == "string_domain":
        values = domain.texts("value")
        if not values:
            around.note(column.name, "its `string_domain` has no values")
            return column
        return replace(column, domain=Domain(values=tuple(dict.fromkeys(values)), mass=mass))
    if field == "bool_domain":
        return _with_flags(column, domain, said, around)
    if field == "image_domain":
        supported = _share(domain, "minimum_supported_image_fraction", around) or 0.0
        image = ImageDomain(min_supported=supported, max_bytes=_count(domain, "max_image_byte_size", around))
        return replace(column, type="image", image=image)
    return _with_range(column, field, domain, said)


def _domain(feature: Record, around: Surroundings) -> tuple[str, Record | None]:
    """The field and the record of a feature's domain, within it or by name."""
    for field in _DOMAINS:
        if feature.has(field):
            found = feature.record(field)
            if found is not None:
                found.used.add("name")
            return field, found
    name = feature.text("domain")
    if name in around.domains:
        return around.domains[name]
    if name:
        close = nearest(name, around.domains)
        hint = (
            f"did you mean `{close}`?"
            if close
            else "no string_domain, int_domain or float_domain has that name"
        )
        where = feature.place("domain")
        around.errors.append(SpecError(f"unknown domain {shown(name)}", hint=hint, where=where))
    return "", None


def _mass(feature: Record, field: str, name: str, around: Surroundings) -> float:
    constraints = feature.record("distribution_constraints")
    if constraints is None:
        return 1.0
    mass = _share(constraints, "min_domain_mass", around)
    if mass is not None and field != "string_domain":
        around.note(name, "`min_domain_mass` without a `string_domain` asks nothing")
    return 1.0 if mass is None else mass


def _with_flags(column: ColumnSchema, domain: Record, said: str, around: Surroundings) -> ColumnSchema:
    if said == "INT":
        return replace(column, domain=Domain(values=("0", "1")))
    if said == "FLOAT":
        around.note(column.name, "of its `bool_domain` only the range 0 to 1 is held")
        return replace(column, domain=Domain(min=0, max=1))
    words = (domain.text("false_value"), domain.text("true_value"))
    values = tuple(dict.fromkeys(word for word in words if word))
    if values:
        return replace(column, domain=Domain(values=values))
    return column if column.type == "list" else replace(column, type="bool")


def _with_range(column: ColumnSchema, field: str, domain: Record, said: str) -> ColumnSchema:
    """A range; text whose domain is a number's holds numbers written as text."""
    low, high = (_finite(domain.number(end)) for end in ("min", "max"))
    kind = column.type
    if said in ("BYTES", "") and kind in ("text", None):
        kind = "int" if field == "int_domain" else "float"
    nan, inf = domain.flag("disallow_nan"), domain.flag("disallow_inf")
    holds_real = kind in ("float", "list", "tensor")
    return replace(
        column,
        type=kind,
        domain=Domain(min=low, max=high),
        nan=not (nan and holds_real),
        inf=not (inf and holds_real),
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _with_environments(column: ColumnSchema, feature: Record, around: Surroundings) -> ColumnSchema:
    """Where a feature belongs: in its own environments and the default ones, but for those that it is not in."""
    inside = [environment_name(name) for name in feature.texts("in_environment")]
    outside = [environment_name(name) for name in feature.texts("not_in_environment")]
    home: Sequence[str] = around.default_environments
    if not home and not inside:
        home = around.environments
    belongs = [name for name in around.environments if name in (*home, *inside) and name not in outside]
    if not belongs:
        around.note(column.name, "it belongs to no environment: nothing is asked of it")
        return ColumnSchema(name=column.name, required=False, description=column.description)
    if len(belongs) == len(around.environments):
        return column
    others = tuple(name for name in around.environments if name not in belongs)
    if set(others) <= set(outside):
        return replace(column, not_in_environments=others)
    return replace(column, in_environments=tuple(belongs))


def _limit(feature: Record, field: str, name: str, around: Surroundings) -> Limit | None:
    """The first distance of a comparator that we know."""
    comparator = feature.record(field)
    if comparator is None:
        return None
    found: list[Limit] = []
    metrics: tuple[tuple[str, Metric], ...] = (("infinity_norm", "linf"), ("jensen_shannon_divergence", "js"))
    for said, metric in metrics:
        norm = comparator.record(said)
        threshold = norm.number("threshold") if norm else None
        if threshold is not None and threshold >= 0:
            found.append(Limit(metric, threshold))
    if len(found) > 1:
        around.note(name, f"of the two distances of `{field}` only infinity_norm is held")
    return found[0] if found else None


def _share(record: Record, field: str, around: Surroundings) -> float | None:
    value = record.number(field)
    if value is not None and not 0 <= value <= 1:
        message = f"expected a number from 0 to 1, found {value:g}"
        around.errors.append(SpecError(message, where=record.place(field)))
        return None
    return value


def _count(record: Record | None, field: str, around: Surroundings) -> int | None:
    value = record.whole(field) if record is not None else None
    if record is not None and value is not None and value < 0:
        around.errors.append(SpecError(f"expected 0 or more, found {value}", where=record.place(field)))
        return None
    return value
