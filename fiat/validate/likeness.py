"""What makes two rows alike: rows as sets of tokens (numbers, categories, texts), pictures as small grey vectors.

- A number gives two tokens: its cell in a grid of a tenth of its standard deviation, and in the same grid shifted by half
  a cell, so that two numbers close to each other share at least one.
- A text of up to five words gives itself, twice; a longer one its words.
- A tensor (a picture, an embedding) is averaged down to at most 16 x 16, centred, and brought to length one.

Likeness of token sets is Jaccard's index (shared tokens to all tokens); of tensors 1 minus their vectors' distance.
"""

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fiat.data.row_hash import hash_values
from fiat.data.stream import is_tensor

SIDE = 16
_CELLS_A_SD = 10
_SHORT_WORDS = 5
_MOST_WORDS = 2_000
_WORD = re.compile(r"\w+")
EMPTY = np.uint64(2**64 - 1)
"""Stands in token arrays where a row has fewer tokens than another."""


@dataclass(frozen=True)
class Grids:
    """Cell width of each column of numbers, by name."""

    widths: dict[str, float]


def grids_of(table: pa.Table) -> Grids:
    """Grids from the standard deviations of a table's numbers."""
    widths = {}
    for name in table.schema.names:
        if _is_number(table.schema.field(name).type):
            values = _floats(table.column(name))
            values = values[np.isfinite(values)]
            spread = float(values.std()) if values.size else 0.0
            widths[name] = spread / _CELLS_A_SD if spread > 0 else 1.0
    return Grids(widths)


def tokens_of(table: pa.Table, grids: Grids) -> np.ndarray:
    """Tokens of each row as hashes; uint64 `(n_rows, most_tokens)`, filled up with EMPTY, no token twice in a row."""
    parts: list[np.ndarray] = []
    for index, name in enumerate(table.schema.names):
        column = table.column(name)
        if is_tensor(column.type):
            continue
        if _is_number(column.type):
            parts += _number_tokens(_floats(column), grids.widths[name], index)
        else:
            parts.append(_text_tokens(column, index))
    if not parts:
        return np.full((table.num_rows, 0), EMPTY, np.uint64)
    return np.column_stack(parts)


def jaccard(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Jaccard's index row by row; float `(n_rows,)`.

    Args:
        first: tokens as `tokens_of` gives them, `(n_rows, a)`.
        second: `(n_rows, b)`.
    """
    both = np.sort(np.concatenate([first, second], axis=1), axis=1)
    shared = ((both[:, 1:] == both[:, :-1]) & (both[:, 1:] != EMPTY)).sum(axis=1)
    total = (both != EMPTY).sum(axis=1) - shared
    return np.asarray(np.where(total > 0, shared / np.maximum(total, 1), 0.0))


def vectors_of(table: pa.Table) -> np.ndarray:
    """The tensors of each row, averaged down, centred, of length one; float32 `(n_rows, width)`."""
    columns = [name for name in table.schema.names if is_tensor(table.schema.field(name).type)]
    parts = [_shrunk(_pixels(table.column(name))) for name in columns]
    vectors = np.concatenate(parts, axis=1) if parts else np.zeros((table.num_rows, 0), np.float32)
    vectors = vectors - vectors.mean(axis=1, keepdims=True) if vectors.shape[1] > 1 else vectors
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12), np.float32)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(pc.cast(column, pa.float64(), safe=False).to_numpy(), float)


def _number_tokens(values: np.ndarray, width: float, index: int) -> list[np.ndarray]:
    scaled = values / width
    tokens = []
    for shift in (0.0, 0.5):
        cells = np.where(np.isnan(scaled), np.nan, np.floor(scaled + shift))
        hashes = hash_values(pa.array(cells, from_pandas=False))
        tokens.append(_salted(hashes, 2 * index + (shift > 0)))
    return tokens


def _text_tokens(column: pa.ChunkedArray, index: int) -> np.ndarray:
    """Short texts as they are, twice, so that they weigh as much as a number; long ones by their words."""
    coded = pc.cast(column, pa.string()).combine_chunks().dictionary_encode()
    texts = [_words(text) for text in coded.dictionary.to_pylist()]
    most = max((len(words) for words in texts), default=2)
    flat = hash_values(pa.array([word for words in texts for word in words], pa.string()))
    table = np.full((len(texts) + 1, max(most, 2)), EMPTY, np.uint64)
    filled = np.arange(table.shape[1]) < np.array([len(words) for words in texts] + [0])[:, None]
    table[filled] = _salted(flat, 2 * index)
    missing = hash_values(pa.array([None, None], pa.string())) + np.array([0, 1], np.uint64)
    table[-1, :2] = _salted(missing, 2 * index)
    codes = pc.fill_null(coded.indices, len(texts)).to_numpy(zero_copy_only=False)
    return np.asarray(table[codes])


def _words(text: str) -> list[str]:
    words = _WORD.findall(text.lower())
    if len(words) <= _SHORT_WORDS:
        return [f"= {text}", f"== {text}"]
    return list(dict.fromkeys(words))[:_MOST_WORDS]


def _salted(hashes: np.ndarray, salt: int) -> np.ndarray:
    """Another hash for the same value in another column; never EMPTY. Overflow is meant."""
    mixed = (hashes ^ np.uint64((salt + 1) * 0x9E3779B97F4A7C15 % 2**64)) * np.uint64(0xD6E8FEB86659FD93)
    mixed ^= mixed >> np.uint64(32)
    return np.asarray(np.minimum(mixed, EMPTY - np.uint64(1)))


def _pixels(column: pa.ChunkedArray) -> np.ndarray:
    shape = tuple(column.type.shape)
    parts = []
    for chunk in column.chunks:
        filled = chunk
        if chunk.null_count:
            blank = [value if value is not None else np.zeros(shape).tolist() for value in chunk.to_pylist()]
            flat = np.array(blank, float).reshape(len(chunk), *shape)
            parts.append(flat)
            continue
        parts.append(filled.to_numpy_ndarray())
    return np.concatenate(parts) if parts else np.zeros((0, *shape))


def _shrunk(values: np.ndarray) -> np.ndarray:
    """Means over a grid of at most SIDE x SIDE; later axes (colours) are averaged away. A vector keeps SIDE² means."""
    if values.ndim > 3:
        values = values.mean(axis=tuple(range(3, values.ndim)))
    out: np.ndarray = np.nan_to_num(values.astype(np.float32, copy=False))
    sides = (SIDE, SIDE) if out.ndim == 3 else (SIDE * SIDE,)
    for axis, side in enumerate(sides[: out.ndim - 1], start=1):
        size = out.shape[axis]
        if size > side:
            edges = np.arange(side) * size // side
            widths = np.diff(np.append(edges, size)).astype(np.float32)
            shape = [1] * out.ndim
            shape[axis] = side
            out = np.add.reduceat(out, edges, axis=axis) / widths.reshape(shape)
    return out.reshape(len(out), -1)
