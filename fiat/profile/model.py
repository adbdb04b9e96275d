"""What is kept of data: a few numbers a column, mergeable, the same for the same rows. Frozen values, JSON inside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["int", "float", "bool", "text", "bytes", "time", "list", "tensor", "image", "empty"]
"""What a column holds: `time` is a date or timestamp, `list` has any number of values a row, `tensor` a fixed shape,
`image` a picture (a tensor of an image format, or encoded bytes), `empty` no value at all."""


@dataclass(frozen=True)
class Sketch:
    """How numbers are distributed: counts of buckets, as narrow as their greatest number allows.

    Two sketches merge by adding counts. `fiat.profile.sketch` makes and reads them.

    Attributes:
        keys: bucket numbers, ascending: the bits of a double but for the lowest ones.
        counts: values in each bucket.
        shift: how many of the lowest bits are cut off.
    """

    keys: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()
    shift: int = 20


@dataclass(frozen=True)
class Numbers:
    """Numbers of a column (of all values, where a row has several); NaN and infinities are counted, not summed.

    Attributes:
        n: finite values.
        mean: of them, NaN without any.
        sd: population standard deviation.
        min: smallest.
        max: largest.
        n_zero: values that are 0.
        n_negative: values below 0.
        n_nan: values that are NaN (a NaN is a value, not a missing one).
        n_pos_inf: values that are +infinity.
        n_neg_inf: values that are -infinity.
        quantiles: at 0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1 (`QUANTILES`): exact for up to
            MOST_TRACKED different values, else read from the sketch.
        sketch: distribution of the finite values.
    """

    n: int
    mean: float
    sd: float
    min: float
    max: float
    n_zero: int = 0
    n_negative: int = 0
    n_nan: int = 0
    n_pos_inf: int = 0
    n_neg_inf: int = 0
    quantiles: tuple[float, ...] = ()
    sketch: Sketch = field(default_factory=Sketch)


QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)


@dataclass(frozen=True)
class Lengths:
    """Lengths: characters of texts, bytes of bytes, values of lists.

    Attributes:
        n: rows counted.
        mean: of the lengths.
        min: shortest.
        max: longest.
        n_zero: empty ones.
    """

    n: int
    mean: float
    min: int
    max: int
    n_zero: int = 0


@dataclass(frozen=True)
class Images:
    """Pictures of a column.

    Attributes:
        n: pictures looked at.
        formats: format (`png`, `jpeg`, `pgm`, `raw` for pixels without a file) to pictures; `unsupported` for bytes
            that are none.
        sizes: `WIDTHxHEIGHTxCHANNELS` to pictures, the 50 most frequent.
        max_bytes: size of the largest encoded one; 0 for pixels.
    """

    n: int
    formats: Mapping[str, int] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    max_bytes: int = 0


@dataclass(frozen=True)
class ColumnProfile:
    """One column of some rows.

    Attributes:
        name: of the column.
        kind: what it holds.
        dtype: its Arrow type as text, such as `int64`.
        n_rows: rows.
        n_missing: rows without a value (null).
        n_distinct: different values (of a list or tensor: among its elements; of numbers: finite ones); exact up to
            a bound, then an estimate.
        distinct_exact: whether `n_distinct` is exact.
        top: the most frequent values with their rows, most frequent first, at most MOST_TOP; values as JSON has them
            (times in ISO 8601). Of a column with more than MOST_TRACKED values: those that were frequent when it had
            MOST_TRACKED.
        top_exact: whether no other value is as frequent.
        counts: value (as text) to rows, of columns with few values (text, bool, int up to MOST_COUNTED of them):
            all of them; empty for other columns.
        numbers: for int, float, bool, time (seconds since 1970), and the elements of lists and tensors.
        lengths: for text, bytes and list.
        images: for image.
        shape: of tensors, without the row axis; None for others.
        n_invalid_utf8: values of a text or bytes column that are no UTF-8.
        share_numeric: share (0..1) of a text column's values that are written as a number.
        hashes: the smallest hashes of its values, ascending (`fiat.profile.distinct`); by them the different values
            of two profiles are counted together.
    """

    name: str
    kind: Kind
    dtype: str
    n_rows: int
    n_missing: int = 0
    n_distinct: int = 0
    distinct_exact: bool = True
    top: tuple[tuple[object, int], ...] = ()
    top_exact: bool = True
    counts: Mapping[str, int] = field(default_factory=dict)
    numbers: Numbers | None = None
    lengths: Lengths | None = None
    images: Images | None = None
    shape: tuple[int, ...] | None = None
    n_invalid_utf8: int = 0
    share_numeric: float = 0.0
    hashes: tuple[int, ...] = ()


MOST_TOP = 20
MOST_COUNTED = 1000
MOST_TRACKED = 10_000


@dataclass(frozen=True)
class Profile:
    """Some rows: a split, or a slice of one.

    Attributes:
        n_rows: rows.
        columns: in the order of the data.
        split: `train`, `eval` or `test`; empty for a file.
        slice: such as `sex=F` or `sex=F,age=30`; empty for all rows of the split.
    """

    n_rows: int
    columns: tuple[ColumnProfile, ...]
    split: str = ""
    slice: str = ""

    def column(self, name: str) -> ColumnProfile | None:
        """The column of that name, None when there is none."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True)
class DataProfile:
    """All that is described of one dataset.

    Attributes:
        profiles: a profile a split that has rows, then those of slices.
        label: column to predict, None for none.
        source_digest: digest of the content that was described.
    """

    profiles: tuple[Profile, ...]
    label: str | None = None
    source_digest: str = ""

    def split(self, name: str) -> Profile | None:
        """The profile of a whole split, None when it has no rows."""
        return next((item for item in self.profiles if item.split == name and not item.slice), None)
