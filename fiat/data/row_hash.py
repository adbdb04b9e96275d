"""A 64-bit hash of each row or key that stays the same for ever: on any machine, in any process and version.

Canonical form of a value: an integer, or a number that is one (7.0), is its 64-bit two's complement; another number is
its IEEE 754 double; true and false are 1 and 0; a text is its UTF-8 bytes; a time is its microseconds; a tensor is its
values as little-endian bytes. Numbers go through the SplitMix64 finisher, bytes through BLAKE2b with 8 bytes of digest.

Source: S. Vigna, "splitmix64.c" (public domain; constants of the finisher); RFC 7693 for BLAKE2b.
"""

import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fiat.data.stream import ABOUT, is_tensor

_PERSON = b"fiat-split-1"
_MISSING = np.uint64(0x6D_69_73_73_69_6E_67_00)
_FRACTION = np.uint64(0x66_72_61_63_74_69_6F_6E)


def hash_values(values: pa.Array) -> np.ndarray:
    """Hash of each value, uint64 `(n_rows,)`; all missing values (and NaN) share one."""
    kind = values.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return _hash_integers(values)
    if pa.types.is_floating(kind):
        return _hash_numbers(values)
    if pa.types.is_temporal(kind):
        return _hash_times(values)
    if is_tensor(kind):
        return _hash_tensors(values)
    return _hash_texts(values)


def hash_rows(batch: pa.RecordBatch) -> np.ndarray:
    """Hash of each row over all its columns by name, in whatever order; uint64 `(n_rows,)`.

    Columns that say where a row comes from (`path` of images) don't count: equal rows have equal hashes.
    """
    total = np.zeros(batch.num_rows, np.uint64)
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if field.metadata != ABOUT:
            total += _finish(hash_values(column) ^ np.uint64(_digest(field.name.encode())))
    return _finish(total)


def remix(hashes: np.ndarray, seed: int) -> np.ndarray:
    """Hashes of hashes, uint64 `(n_rows,)`: independent of those given and of those of another seed."""
    return _finish(hashes ^ np.uint64(_digest(b"sample %d" % seed)))


def _finish(words: np.ndarray) -> np.ndarray:
    """SplitMix64: next state, then its finisher. Overflow is meant."""
    mixed = words + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def _digest(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8, person=_PERSON).digest(), "little")


def _with_missing(hashes: np.ndarray, values: pa.Array) -> np.ndarray:
    if values.null_count:
        hashes[values.is_null().to_numpy(zero_copy_only=False)] = _MISSING
    return hashes


def _hash_integers(values: pa.Array) -> np.ndarray:
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.uint8())
    if pa.types.is_uint64(values.type):
        words = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
    else:
        words = pc.fill_null(values.cast(pa.int64()), 0).to_numpy(zero_copy_only=False).view(np.uint64)
    return _with_missing(_finish(words), values)


def _hash_numbers(values: pa.Array) -> np.ndarray:
    numbers = pc.fill_null(values.cast(pa.float64()), float("nan")).to_numpy(zero_copy_only=False)
    whole = (np.floor(numbers) == numbers) & (np.abs(numbers) < 2.0**63)
    words = np.where(whole, numbers, 0.0).astype(np.int64).view(np.uint64)
    hashes = _finish(words)
    hashes[~whole] = _finish(np.ascontiguousarray(numbers).view(np.uint64)[~whole] ^ _FRACTION)
    hashes[np.isnan(numbers)] = _MISSING
    return hashes


def _hash_times(values: pa.Array) -> np.ndarray:
    if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
        values = pc.cast(values, pa.timestamp("us"), safe=False)
    elif pa.types.is_time(values.type):
        values = pc.cast(values, pa.time64("us"), safe=False)
    elif pa.types.is_duration(values.type):
        values = pc.cast(values, pa.duration("us"), safe=False)
    else:
        return _hash_texts(values)
    return _hash_integers(pc.cast(values, pa.int64()))


def _hash_tensors(values: pa.ExtensionArray) -> np.ndarray:
    size = int(np.prod(values.type.shape))
    storage = values.storage
    flat = storage.values.slice(storage.offset * size, len(storage) * size)
    pixels = flat.to_numpy(zero_copy_only=False).reshape(len(values), size)
    little = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder("<"), copy=False))
    hashes = np.fromiter((_digest(row.tobytes()) for row in little), np.uint64, len(values))
    return _with_missing(hashes, values)


def _hash_texts(values: pa.Array) -> np.ndarray:
    """Texts, and anything else by its JSON; equal values are hashed once a batch."""
    if not pa.types.is_string(values.type):
        texts = [
            None if value is None else json.dumps(value, sort_keys=True, default=str)
            for value in values.to_pylist()
        ]
        values = pa.array(texts, pa.string())
    coded = values.dictionary_encode()
    unique = coded.dictionary.cast(pa.binary()).to_pylist()
    table = np.fromiter((_digest(text) for text in unique), np.uint64, len(unique))
    indices = pc.fill_null(coded.indices, 0).to_numpy(zero_copy_only=False)
    hashes = table[indices] if len(unique) else np.zeros(len(values), np.uint64)
    return _with_missing(hashes, values)
