"""Whether rows are really equal, value by value. Missing values are equal, and NaN is a missing number."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fiat.data.stream import is_tensor


def equal_rows(first: pa.Table, second: pa.Table) -> np.ndarray:
    """Compare row by row.

    Args:
        first: some rows.
        second: as many, with the same columns in the same order.

    Returns:
        bool `(n_rows,)`.
    """
    equal = np.ones(first.num_rows, bool)
    for one, other in zip(first.columns, second.columns, strict=True):
        equal &= equal_values(one, other)
    return equal


def equal_values(first: pa.ChunkedArray, second: pa.ChunkedArray) -> np.ndarray:
    """Compare two columns of one type value by value; bool `(n_rows,)`."""
    if not len(first):
        return np.zeros(0, bool)
    if is_tensor(first.type):
        return _equal_tensors(first.combine_chunks(), second.combine_chunks())
    if pa.types.is_nested(first.type):
        both = zip(first.to_pylist(), second.to_pylist(), strict=True)
        return np.fromiter((repr(one) == repr(other) for one, other in both), bool, len(first))
    same = pc.fill_null(pc.equal(first, second), fill_value=False)
    missing = [pc.is_null(values, nan_is_null=True) for values in (first, second)]
    same = pc.or_(same, pc.and_(*missing))
    return np.asarray(same.to_numpy(), bool)


def _equal_tensors(first: pa.ExtensionArray, second: pa.ExtensionArray) -> np.ndarray:
    if first.null_count or second.null_count:
        both = zip(first.storage.to_pylist(), second.storage.to_pylist(), strict=True)
        return np.fromiter((repr(one) == repr(other) for one, other in both), bool, len(first))
    ones, others = first.to_numpy_ndarray(), second.to_numpy_ndarray()
    axes = tuple(range(1, ones.ndim))
    same = ones == others
    if ones.dtype.kind == "f":
        same |= np.isnan(ones) & np.isnan(others)
    return np.asarray(same.all(axis=axes))
