"""Messages of TFX's schema with typed values, and which of them were looked at: what was not is told."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fiat.errors import SpecError, Where
from fiat.validate.pbtxt_text import Field, Message, Scalar
from fiat.validate.schema_words import nearest, shown

Typed = str | int | float | bool

FEATURE_TYPES = ("TYPE_UNKNOWN", "BYTES", "INT", "FLOAT", "STRUCT")
STAGES: Mapping[str, int] = {
    "UNKNOWN_STAGE": 0,
    "PLANNED": 1,
    "ALPHA": 2,
    "BETA": 3,
    "PRODUCTION": 4,
    "DEPRECATED": 5,
    "DEBUG_ONLY": 6,
    "DISABLED": 7,
    "VALIDATION_DERIVED": 9,
}
ENUMS: Mapping[str, Mapping[str, int]] = {
    "Stage": STAGES,
    "Type": {name: number for number, name in enumerate(FEATURE_TYPES)},
}

# `name:kind`, with `*` where it may be there several times. `any` is a message that is not looked into.
_MESSAGES = {
    "Schema": "feature*:Feature sparse_feature*:Named weighted_feature*:Named string_domain*:StringDomain "
    "float_domain*:FloatDomain int_domain*:IntDomain default_environment*:text "
    "represent_variable_length_as_ragged:flag generate_legacy_feature_spec:flag annotation:Annotation "
    "dataset_constraints:DatasetConstraints tensor_representation_group*:any",
    "Named": "name:text deprecated:any lifecycle_stage:any presence:any dense_shape:any index_feature*:any "
    "is_sorted:any value_feature:any type:any feature:any weight_feature:any comment:any",
    "Feature": "name:text deprecated:flag comment:text presence:Presence group_presence:any shape:Shape "
    "value_count:ValueCount value_counts:ValueCounts type:Type domain:text int_domain:IntDomain "
    "float_domain:FloatDomain string_domain:StringDomain bool_domain:BoolDomain struct_domain:any "
    "natural_language_domain:any image_domain:ImageDomain audio_domain:any video_domain:any "
    "content_chunk_domain:any mid_domain:any url_domain:any time_domain:any time_of_day_domain:any "
    "distribution_constraints:DistributionConstraints annotation:Annotation skew_comparator:Comparator "
    "drift_comparator:Comparator in_environment*:text not_in_environment*:text lifecycle_stage:Stage "
    "unique_constraints:Counts validation_derived_source:any sequence_metadata:any",
    "Presence": "min_fraction:number min_count:whole",
    "Shape": "dim*:Dim",
    "Dim": "size:whole name:text",
    "ValueCount": "min:whole max:whole",
    "ValueCounts": "value_count*:ValueCount",
    "IntDomain": "name:text min:whole max:whole is_categorical:flag",
    "FloatDomain": "name:text min:number max:number disallow_nan:flag disallow_inf:flag is_embedding:flag "
    "is_categorical:flag embedding_dim:whole embedding_type:text",
    "StringDomain": "name:text value*:text is_categorical:any",
    "BoolDomain": "name:text true_value:text false_value:text",
    "ImageDomain": "minimum_supported_image_fraction:number max_image_byte_size:whole",
    "DistributionConstraints": "min_domain_mass:number",
    "Annotation": "tag*:text comment*:text extra_metadata*:any",
    "Comparator": "infinity_norm:Threshold jensen_shannon_divergence:Threshold "
    "normalized_abs_difference:Threshold",
    "Threshold": "threshold:number source:any",
    "Counts": "min:whole max:whole",
    "DatasetConstraints": "num_examples_drift_comparator:any num_examples_version_comparator:any "
    "min_examples_count:whole max_examples_count:whole",
}
_FIELDS: Mapping[str, Mapping[str, tuple[str, bool]]] = {
    kind: {
        name.removesuffix("*"): (held, name.endswith("*"))
        for name, held in (item.split(":") for item in items.split())
    }
    for kind, items in _MESSAGES.items()
}
# Of the fields of one group only one can be there.
_ONE_OF = {
    "Feature": (
        ("presence", "group_presence"),
        ("shape", "value_count", "value_counts"),
        (
            *("domain", "int_domain", "float_domain", "string_domain", "bool_domain", "struct_domain"),
            *("natural_language_domain", "image_domain", "audio_domain", "video_domain"),
            *("content_chunk_domain", "mid_domain", "url_domain", "time_domain", "time_of_day_domain"),
        ),
    )
}


@dataclass(frozen=True)
class Value:
    """A typed value, or a record, and where its field stands."""

    held: "Typed | Record | None"
    where: Where


class Record:
    """A message whose fields are known and typed.

    Attributes:
        where: of the field that holds it.
        used: names of fields that were asked for.
    """

    def __init__(self, where: Where) -> None:
        self.where = where
        self.used: set[str] = set()
        self._values: dict[str, list[Value]] = {}

    def add(self, name: str, value: Value) -> None:
        """Put a value in."""
        self._values.setdefault(name, []).append(value)

    def has(self, name: str) -> bool:
        """Whether a field is there; that alone is no use of it."""
        return name in self._values

    def use_all(self) -> None:
        """Take all fields as asked for, those of messages within as well."""
        for name, values in self._values.items():
            self.used.add(name)
            for value in values:
                if isinstance(value.held, Record):
                    value.held.use_all()

    def place(self, name: str) -> Where:
        """Where a field stands first; the record's own place when it does not."""
        return self._values[name][0].where if name in self._values else self.where

    def text(self, name: str) -> str:
        """Text or the word of an enum; empty when it is not there."""
        return next(iter(self.texts(name)), "")

    def texts(self, name: str) -> tuple[str, ...]:
        """All texts of a field."""
        return tuple(held for held in self._helds(name) if isinstance(held, str))

    def flag(self, name: str) -> bool:
        """Whether a field is true."""
        return True in self._helds(name)

    def number(self, name: str) -> float | None:
        """A number, None when it is not there."""
        return next((held for held in self._helds(name) if isinstance(held, int | float)), None)

    def whole(self, name: str) -> int | None:
        """A whole number, None when it is not there."""
        return next((held for held in self._helds(name) if isinstance(held, int)), None)

    def record(self, name: str) -> "Record | None":
        """A message, None when it is not there."""
        return next(iter(self.records(name)), None)

    def records(self, name: str) -> "tuple[Record, ...]":
        """All messages of a field."""
        return tuple(held for held in self._helds(name) if isinstance(held, Record))

    def unused(self) -> Iterator[str]:
        """Fields that nobody asked for, with those of the messages that somebody did, such as `int_domain.name`."""
        for name, values in self._values.items():
            if name not in self.used:
                yield name
                continue
            for value in values:
                if isinstance(value.held, Record):
                    yield from (f"{name}.{below}" for below in value.held.unused())

    def _helds(self, name: str) -> "list[Typed | Record | None]":
        self.used.add(name)
        return [value.held for value in self._values.get(name, [])]


def read_record(
    message: Message, kind: str, where: Where, errors: list[SpecError], unknown: list[tuple[str, Where]]
) -> Record:
    """Type the fields of a message.

    Args:
        message: as parsed.
        kind: name of the message in TFX's schema.
        where: of the field that holds it.
        errors: what does not fit is added to them.
        unknown: fields that TFX's schema did not have when this was written are added to them.

    Source: tensorflow_metadata/proto/v0/schema.proto of tensorflow/metadata 1.16.
    """
    record = Record(where)
    known = _FIELDS[kind]
    for field in message.fields:
        place = Where(
            where.file, field.line, field.column, f"{where.key}.{field.name}" if where.key else field.name
        )
        if field.name not in known:
            close = nearest(field.name, known)
            if close:
                hint = f"did you mean `{close}`?"
                errors.append(SpecError(f"unknown field {shown(field.name)}", hint=hint, where=place))
            else:
                unknown.append((field.name, place))
            continue
        held, many = known[field.name]
        if record.has(field.name) and not many:
            errors.append(SpecError(f"`{field.name}` is here twice", where=place))
            continue
        value = _typed(field, held, place, errors, unknown)
        if value is not None or held == "any":
            record.add(field.name, Value(value, place))
    for group in _ONE_OF.get(kind, ()):
        both = [name for name in group if record.has(name)]
        if len(both) > 1:
            message_text = f"`{both[0]}` and `{both[1]}` are both said, one is allowed"
            errors.append(SpecError(message_text, where=record.place(both[1])))
    return record


def _typed(
    field: Field, held: str, where: Where, errors: list[SpecError], unknown: list[tuple[str, Where]]
) -> "Typed | Record | None":
    value = field.value
    if held == "any":
        return None
    if held in _FIELDS and isinstance(value, Message):
        return read_record(value, held, where, errors, unknown)
    typed = _scalar(value, held) if isinstance(value, Scalar) else None
    if typed is None:
        words = ENUMS.get(held, {})
        wanted = f"one of {', '.join(words)}" if words else _WANTED.get(held, "a message in `{ }`")
        found = shown(value.text) if isinstance(value, Scalar) else "a message"
        close = nearest(value.text.upper(), words) if isinstance(value, Scalar) else ""
        hint = f"did you mean `{close}`?" if close else ""
        errors.append(SpecError(f"expected {wanted}, found {found}", hint=hint, where=where))
    return typed


_WANTED = {"text": "a string", "flag": "`true` or `false`", "whole": "a whole number", "number": "a number"}


def _word(value: Scalar, words: Mapping[str, int]) -> str | None:
    """The word of an enum, which may be given as its number."""
    if value.form == "word":
        return value.text if value.text in words else None
    return next(
        (word for word, number in words.items() if value.form == "number" and value.text == str(number)), None
    )


def _scalar(value: Scalar, held: str) -> Typed | None:
    if held in ENUMS:
        return _word(value, ENUMS[held])
    if held in _FIELDS:
        return None
    if held == "text":
        return value.text if value.form == "string" else None
    if value.form == "string":
        return None
    if held == "flag":
        flags = {"true": True, "True": True, "t": True, "1": True, "false": False, "False": False, "f": False}
        return flags.get(value.text, False if value.text == "0" else None)
    whole = _whole(value.text)
    if held == "whole" or whole is not None:
        return whole if whole is not None and -(2**63) <= whole < 2**63 else None
    return _real(value.text)


def _whole(text: str) -> int | None:
    digits = text.removeprefix("-")
    if len(digits) > 30 or not digits[:1].isdigit():
        return None
    try:
        is_octal = len(digits) > 1 and digits.isdigit() and digits[0] == "0"
        number = int(digits, 8) if is_octal else int(digits, 16 if digits[:2].lower() == "0x" else 10)
    except ValueError:
        return None
    return -number if text.startswith("-") else number


def _real(text: str) -> float | None:
    digits = text.removeprefix("-").lower()
    if digits in ("inf", "infinity", "nan"):
        number = math.inf if digits != "nan" else math.nan
    else:
        try:
            number = float(digits.removesuffix("f"))
        except ValueError:
            return None
    return -number if text.startswith("-") else number
