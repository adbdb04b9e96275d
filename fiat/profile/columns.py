"""One column of some rows: takes Arrow arrays, gives its profile. One class a family of types."""

import json
from dataclasses import dataclass, replace
from typing import Protocol

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from fiat.data.stream import is_tensor
from fiat.profile.images import ImageTally
from fiat.profile.lengths import LengthTally
from fiat.profile.model import ColumnProfile, Kind
from fiat.profile.numbers import NumberTally
from fiat.profile.shown import Show, describe_counts, show_bytes, show_plain, show_time, show_truth
from fiat.profile.texts import TextTally

_UNITS = {"s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}
_DAY_S = 86_400
_LEAST_SIDE = 8
_CHANNELS = (1, 3, 4)


class Part(Protocol):
    """What is kept of the values of one column."""

    def add(self, values: pa.Array) -> None:
        """Take values without nulls."""
        ...

    def finish(self, profile: ColumnProfile) -> ColumnProfile:
        """The profile with what was found."""
        ...


class Column:
    """Takes one column piece by piece.

    Args:
        field: its name and Arrow type.
    """

    def __init__(self, field: pa.Field) -> None:
        self._field = field
        self._n_rows = self._n_missing = 0
        self._part = _part(field.type)

    def add(self, values: pa.Array) -> None:
        """Take more rows."""
        self._n_rows += len(values)
        if pa.types.is_null(values.type):
            self._n_missing += len(values)
            return
        if values.type in (pa.string_view(), pa.binary_view()):
            # Arrow has few functions for views.
            values = pc.cast(values, pa.large_binary())
        n_missing = values.null_count
        self._n_missing += n_missing
        if n_missing < len(values):
            self._part.add(values.drop_null() if n_missing else values)

    def finish(self) -> ColumnProfile:
        """What was found; the kind is `empty` when there was no value."""
        profile = ColumnProfile(
            self._field.name, "empty", str(self._field.type), self._n_rows, self._n_missing
        )
        if self._n_rows == self._n_missing:
            return profile
        return self._part.finish(profile)


@dataclass
class _Numbers:
    """Integers, doubles, bools and times."""

    kind: Kind
    show: Show
    tally: NumberTally
    to: pa.DataType | None = None

    def add(self, values: pa.Array) -> None:
        self.tally.add(_numbers(values, self.to))

    def finish(self, profile: ColumnProfile) -> ColumnProfile:
        found = replace(profile, kind=self.kind, numbers=self.tally.finish())
        return describe_counts(found, self.tally.counting, self.show)


class _Texts:
    """Texts, and bytes that may be pictures."""

    def __init__(self, *, is_text: bool) -> None:
        self._tally = TextTally(characters=is_text)
        self._images = None if is_text else ImageTally()
        self._kind: Kind = "text" if is_text else "bytes"

    def add(self, values: pa.Array) -> None:
        if pa.types.is_dictionary(values.type):
            found = pc.value_counts(values.indices)
            chosen = values.dictionary.take(found.field(0))
            self._tally.add(_bytes(chosen), pl.Series(found.field(1).to_numpy(zero_copy_only=False)))
            return
        plain = _bytes(values)
        self._tally.add(plain)
        if self._images is not None:
            for data in plain.to_list():
                self._images.add(data)

    def finish(self, profile: ColumnProfile) -> ColumnProfile:
        self._tally.finish()
        n = profile.n_rows - profile.n_missing
        found = replace(
            profile,
            kind=self._kind,
            lengths=self._tally.lengths.finish(),
            n_invalid_utf8=self._tally.n_invalid,
            share_numeric=self._tally.n_numeric / n,
        )
        found = describe_counts(found, self._tally.counting, show_bytes)
        if self._images is not None and self._images.share_supported >= 0.5:
            # Bytes of pictures are no texts, and their values say nothing to people.
            return replace(
                found, kind="image", images=self._images.finish(), n_invalid_utf8=0, top=(), counts={}
            )
        return found


class _Lists:
    """Lists of numbers or texts, any number a row."""

    def __init__(self, kind: pa.DataType) -> None:
        self._lengths = LengthTally()
        self._elements = Column(pa.field("", kind.value_type))

    def add(self, values: pa.Array) -> None:
        self._lengths.add(pc.list_value_length(values).to_numpy(zero_copy_only=False))
        self._elements.add(values.flatten())

    def finish(self, profile: ColumnProfile) -> ColumnProfile:
        inner = self._elements.finish()
        return replace(
            inner,
            name=profile.name,
            kind="list",
            dtype=profile.dtype,
            n_rows=profile.n_rows,
            n_missing=profile.n_missing,
            lengths=self._lengths.finish(),
        )


class _Tensors:
    """A tensor of one shape a row; bytes of a picture's shape are pixels."""

    def __init__(self, shape: tuple[int, ...], element: pa.DataType) -> None:
        self._shape = shape
        self._tally = NumberTally()
        self._images = ImageTally()
        self._is_image = (
            pa.types.is_uint8(element)
            and len(shape) in (2, 3)
            and min(shape[:2]) >= _LEAST_SIDE
            and (len(shape) == 2 or shape[2] in _CHANNELS)
        )

    def add(self, values: pa.Array) -> None:
        storage = values.storage if is_tensor(values.type) else values
        self._tally.add(_numbers(storage.flatten(), None))
        if self._is_image:
            height, width, *channels = self._shape
            self._images.add_pixels(width, height, channels[0] if channels else 1, len(values))

    def finish(self, profile: ColumnProfile) -> ColumnProfile:
        found = replace(
            profile,
            kind="image" if self._is_image else "tensor",
            shape=self._shape,
            numbers=self._tally.finish(),
            images=self._images.finish() if self._is_image else None,
        )
        return describe_counts(found, self._tally.counting, show_plain)


class _Json:
    """Anything else, by its JSON."""

    def __init__(self) -> None:
        self._texts = _Texts(is_text=True)

    def add(self, values: pa.Array) -> None:
        texts = [json.dumps(value, sort_keys=True, default=str) for value in values.to_pylist()]
        self._texts.add(pa.array(texts, pa.string()))

    def finish(self, profile: ColumnProfile) -> ColumnProfile:
        return self._texts.finish(profile)


def _part(kind: pa.DataType) -> Part:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_boolean(plain):
        return _Numbers("bool", show_truth, NumberTally(), pa.uint8())
    if pa.types.is_integer(plain):
        return _Numbers("int", show_plain, NumberTally())
    if pa.types.is_floating(plain) or pa.types.is_decimal(plain):
        return _Numbers("float", show_plain, NumberTally(), pa.float64())
    if pa.types.is_temporal(plain) and not pa.types.is_interval(plain):
        return _time(plain)
    if is_text(plain):
        return _Texts(is_text=True)
    if is_bytes(plain):
        return _Texts(is_text=False)
    if is_tensor(plain) and (pa.types.is_integer(plain.value_type) or pa.types.is_floating(plain.value_type)):
        return _Tensors(tuple(plain.shape), plain.value_type)
    if pa.types.is_fixed_size_list(plain) and (
        pa.types.is_integer(plain.value_type) or pa.types.is_floating(plain.value_type)
    ):
        return _Tensors((plain.list_size,), plain.value_type)
    if pa.types.is_list(plain) or pa.types.is_large_list(plain):
        return _Lists(plain)
    return _Json()


def is_text(kind: pa.DataType) -> bool:
    """Whether a column holds texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view())


def is_bytes(kind: pa.DataType) -> bool:
    """Whether a column holds bytes."""
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or kind == pa.binary_view()
    )


def _time(kind: pa.DataType) -> _Numbers:
    if pa.types.is_date32(kind):
        return _Numbers("time", show_time(kind), NumberTally(divisor=1 / _DAY_S), pa.int32())
    unit = "ms" if pa.types.is_date64(kind) else kind.unit
    physical = pa.int32() if pa.types.is_time32(kind) else pa.int64()
    return _Numbers("time", show_time(kind), NumberTally(divisor=_UNITS[unit]), physical)


def _numbers(values: pa.Array, to: pa.DataType | None) -> pl.Series:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_float16(values.type):
        values = pc.cast(values, pa.float32())
    if to is not None and values.type != to:
        values = values.view(to) if pa.types.is_temporal(values.type) else pc.cast(values, to, safe=False)
    if values.null_count:
        values = values.drop_null()
    return pl.Series(values)


def _bytes(values: pa.Array) -> pl.Series:
    if values.type == pa.string_view() or pa.types.is_fixed_size_binary(values.type):
        values = pc.cast(values, pa.binary())
    elif pa.types.is_string(values.type):
        # Polars trusts that a string is UTF-8, so that one that isn't must come as bytes.
        values = values.view(pa.binary())
    elif pa.types.is_large_string(values.type):
        values = values.view(pa.large_binary())
    return pl.Series(values)
