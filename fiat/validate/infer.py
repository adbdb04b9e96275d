"""A schema from data that was seen: what held of it must hold of the next, and no more than can be meant."""

import math

from fiat.profile.model import ColumnProfile, DataProfile, Numbers, Profile
from fiat.validate.model import ColumnSchema, ColumnType, Domain, ImageDomain, Schema

MOST_VALUES = 100
ROWS_A_VALUE = 4
LEAST_PRESENT = 0.01
SERVING = "serving"
_REAL = ("float", "double")


def infer_schema(data: DataProfile, *, ranges: bool = False, most_values: int = MOST_VALUES) -> Schema:
    """The schema that the train split keeps (or the only rows there are).

    Types, presence, lists of few texts, shapes, values a row, and whether there was NaN or an infinity. Ranges are
    asked for only on demand: the next day's largest fare is seldom within yesterday's. Uniqueness is never guessed.

    Args:
        data: what was seen; slices are not looked at.
        ranges: ask that numbers stay between the smallest and the largest that were seen, lengths of lists too.
        most_values: texts with more different values than this get no list of values.

    Source: the size up to which a text column is a category is TensorFlow Data Validation's
    (`max_string_domain_size=100` of `infer_schema`).
    """
    profile = _whole(data)
    names = {column.name for column in profile.columns}
    label = data.label if data.label in names else None
    columns = tuple(_column(item, label, ranges, most_values) for item in profile.columns)
    return Schema(columns=columns, label=label)


def _whole(data: DataProfile) -> Profile:
    """The rows to learn from."""
    whole = [profile for profile in data.profiles if not profile.slice]
    empty = Profile(n_rows=0, columns=())
    return data.split("train") or (whole[0] if whole else empty)


def _column(column: ColumnProfile, label: str | None, ranges: bool, most_values: int) -> ColumnSchema:
    n_present = column.n_rows - column.n_missing
    fixed_shape = column.shape if column.kind in ("tensor", "image") else None
    min_values, max_values = _per_row(column, ranges)
    nan, inf = _not_finite(column)
    return ColumnSchema(
        name=column.name,
        type=_type(column),
        required=column.kind != "empty",
        min_present=1.0 if column.n_rows and not column.n_missing else None,
        # A column with hardly a value may have none in a smaller split.
        min_count=1 if n_present and n_present >= LEAST_PRESENT * column.n_rows else None,
        domain=_domain(column, n_present, ranges, most_values),
        image=_image(column),
        min_values=min_values,
        max_values=max_values,
        shape=fixed_shape,
        nan=nan,
        inf=inf,
        not_in_environments=(SERVING,) if column.name == label else (),
    )


def _type(column: ColumnProfile) -> ColumnType | None:
    """What it holds; None for what no type of ours says: structures (told as texts of their JSON), lists of lists."""
    if column.kind == "empty" or column.dtype.count("list<") > 1:
        return None
    is_structure = column.kind == "text" and column.dtype.split("<")[0] in ("struct", "map", "union")
    return None if is_structure else column.kind


def _domain(column: ColumnProfile, n_present: int, ranges: bool, most_values: int) -> Domain:
    if _type(column) == "text" and _is_category(column, n_present, most_values):
        return Domain(values=tuple(sorted(column.counts)))
    numbers = column.numbers
    if ranges and numbers is not None and numbers.n and column.kind in ("int", "float", "time"):
        # A range is asked of infinities, too.
        low = None if numbers.n_neg_inf else numbers.min
        return Domain(min=low, max=None if numbers.n_pos_inf else numbers.max)
    return Domain()


def _is_category(column: ColumnProfile, n_present: int, most_values: int) -> bool:
    """Few texts, each seen several times, all of them known."""
    counts = column.counts
    if not counts or column.n_invalid_utf8 or sum(counts.values()) != n_present:
        return False
    return len(counts) <= most_values and len(counts) * ROWS_A_VALUE <= n_present


def _per_row(column: ColumnProfile, ranges: bool) -> tuple[int | None, int | None]:
    """A fixed number of values a row where all rows had it; else only that a row is not empty."""
    lengths = column.lengths
    if _type(column) != "list" or lengths is None or not lengths.n:
        return None, None
    if ranges or lengths.min == lengths.max:
        return lengths.min, lengths.max
    return (1, None) if lengths.min else (None, None)


def _not_finite(column: ColumnProfile) -> tuple[bool, bool]:
    """Whether NaN and infinities are allowed: they are once they were there, or nothing was."""
    numbers = column.numbers
    if _type(column) not in ("float", "list", "tensor") or numbers is None or not _n_values(numbers):
        return True, True
    if not any(word in column.dtype for word in _REAL):
        return True, True
    return bool(numbers.n_nan), bool(numbers.n_pos_inf or numbers.n_neg_inf)


def _n_values(numbers: Numbers) -> int:
    return numbers.n + numbers.n_nan + numbers.n_pos_inf + numbers.n_neg_inf


def _image(column: ColumnProfile) -> ImageDomain | None:
    """The formats that were seen; pixels without a file have none to speak of."""
    images = column.images
    if column.kind != "image" or images is None or not images.n:
        return None
    formats = tuple(sorted(name for name in images.formats if name != "unsupported"))
    if formats == ("raw",):
        return None
    readable = 1 - images.formats.get("unsupported", 0) / images.n
    return ImageDomain(formats=formats, min_supported=math.floor(readable * 10_000) / 10_000)
