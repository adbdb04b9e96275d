"""Which columns there are, how often they hold a value, how many values a row, of what shape, how many different."""

import math

from fiat.profile.model import Profile
from fiat.validate.model import Anomaly, ColumnSchema, ColumnsRule, Schema
from fiat.validate.repeats import count_distinct, find_repeats
from fiat.validate.row_masks import fewer_values, missing, more_values, other_values, present
from fiat.validate.subject import Subject, counted

ESTIMATE_ERROR = 0.1
"""An estimate of distinct values this near to a limit (as a share of it) is counted exactly instead."""


def belongs(column: ColumnSchema, environment: str) -> bool:
    """Whether a column is expected in an environment."""
    if column.in_environments and environment not in column.in_environments:
        return False
    return environment not in column.not_in_environments


def check_names(
    profile: Profile, schema: Schema, asked: tuple[ColumnSchema, ...], rule: ColumnsRule | None
) -> tuple[Anomaly, ...]:
    """Columns that are missing, and those that the schema does not know.

    Args:
        profile: of a split.
        schema: all columns that are known.
        asked: those that are expected here.
        rule: what to say; without one a missing column is as severe as the schema says, and a new one is an error.
    """
    out = []
    names = [column.name for column in profile.columns]
    for column in asked:
        if column.name in names or not column.required or (rule and rule.missing == "ignore"):
            continue
        warn = column.severity == "warn" or (rule is not None and rule.missing == "warn")
        out.append(
            Anomaly(
                "column_missing",
                column.name,
                "the schema has this column, the data does not",
                severity="warn" if warn else "error",
                split=profile.split,
                key=f"columns.{column.name}.required",
            )
        )
    say = rule.unexpected if rule else "error"
    if not schema.columns or say == "ignore":
        return tuple(out)
    known = {column.name for column in schema.columns}
    for found in profile.columns:
        if found.name not in known:
            message = f"the data has this column ({found.dtype}), the schema does not"
            out.append(
                Anomaly(
                    "column_new",
                    found.name,
                    message,
                    severity=say,
                    split=profile.split,
                    key=f"{rule.key}.columns.unexpected" if rule else "columns",
                )
            )
    return tuple(out)


def check_presence(subject: Subject) -> tuple[Anomaly, ...]:
    """Rows without a value, against the share and the number of those that must have one."""
    asked, n_rows, n_present = subject.asked, subject.found.n_rows, subject.n_present
    if not n_rows:
        return ()
    if not n_present:
        wanted = asked.type is not None or (asked.min_present or 0) > 0 or (asked.min_count or 0) > 0
        if not (asked.required and wanted):
            return ()
        seen = subject.rows(missing)
        message = f"none of {n_rows:,} rows has a value"
        return (
            subject.anomaly("column_empty", message, field="required", seen=seen, n_rows=n_rows, value=0),
        )
    out = []
    share = n_present / n_rows
    if asked.min_present is not None and n_present < asked.min_present * n_rows * (1 - 1e-12):
        seen = subject.rows(missing)
        lacking = subject.found.n_missing
        message = (
            f"{counted(lacking, 'has', 'have')} no value: {share:.4g} of the rows have one, "
            f"expected {asked.min_present:g}"
        )
        out.append(
            subject.anomaly(
                "present_share_low",
                message,
                field="present.share",
                seen=seen,
                n_rows=lacking,
                value=share,
                limit=asked.min_present,
            )
        )
    if asked.min_count is not None and n_present < asked.min_count:
        seen = subject.rows(missing)
        message = f"{counted(n_present, 'has', 'have')} a value, expected {asked.min_count:,}"
        out.append(
            subject.anomaly(
                "present_count_low",
                message,
                field="present.count",
                seen=seen,
                n_rows=subject.found.n_missing,
                value=n_present,
                limit=asked.min_count,
            )
        )
    return tuple(out)


def check_amounts(subject: Subject) -> tuple[Anomaly, ...]:
    """Values a row of lists, and the shape of tensors."""
    return (*_check_per_row(subject), *_check_shape(subject))


def _check_per_row(subject: Subject) -> tuple[Anomaly, ...]:
    asked, lengths, shape = subject.asked, subject.found.lengths, subject.found.shape
    out = []
    if subject.found.kind == "list" and lengths is not None and lengths.n:
        fewest, most = lengths.min, lengths.max
    elif subject.found.kind == "tensor" and shape is not None and subject.n_present:
        fewest = most = math.prod(shape)
    else:
        return ()
    if most == 0 and asked.type == "list" and asked.required and asked.min_values != 0:
        message = f"all lists of {subject.n_present:,} rows are empty"
        seen = subject.rows(fewer_values(1))
        return (subject.anomaly("no_values", message, field="type", seen=seen, n_rows=subject.n_present),)
    if asked.min_values is not None and fewest < asked.min_values:
        seen = subject.rows(fewer_values(asked.min_values))
        message = (
            f"{seen.words('holds', 'hold')} fewer than {asked.min_values:,} values, the fewest {fewest:,}"
        )
        out.append(
            subject.anomaly(
                "too_few_values",
                message,
                field="per_row.min",
                seen=seen,
                value=fewest,
                limit=asked.min_values,
            )
        )
    if asked.max_values is not None and most > asked.max_values:
        seen = subject.rows(more_values(asked.max_values))
        message = f"{seen.words('holds', 'hold')} more than {asked.max_values:,} values, the most {most:,}"
        out.append(
            subject.anomaly(
                "too_many_values", message, field="per_row.max", seen=seen, value=most, limit=asked.max_values
            )
        )
    return tuple(out)


def _check_shape(subject: Subject) -> tuple[Anomaly, ...]:
    shape, found, lengths = subject.asked.shape, subject.found.shape, subject.found.lengths
    if shape is None or not subject.n_present:
        return ()
    wanted = "x".join("any" if size is None else str(size) for size in shape)
    if found is not None:
        if len(found) == len(shape) and all(
            size in (None, own) for size, own in zip(shape, found, strict=True)
        ):
            return ()
        message = f"the shape is {'x'.join(map(str, found))}, expected {wanted}"
        seen = subject.rows(present)
        return (
            subject.anomaly("shape_mismatch", message, field="shape", seen=seen, n_rows=subject.n_present),
        )
    if subject.found.kind != "list" or lengths is None or None in shape:
        return ()
    n_values = math.prod(size for size in shape if size is not None)
    if lengths.min == lengths.max == n_values:
        return ()
    seen = subject.rows(other_values(n_values))
    message = f"{seen.words('holds', 'hold')} another number of values ({lengths.min:,} to {lengths.max:,}) than {wanted}"
    return (subject.anomaly("shape_mismatch", message, field="shape", seen=seen),)


def check_distinct(subject: Subject) -> tuple[Anomaly, ...]:
    """How many different values a column has, and whether one occurs twice."""
    asked, found = subject.asked, subject.found
    if not (asked.unique or asked.min_unique is not None or asked.max_unique is not None):
        return ()
    if not subject.n_present:
        return ()
    field = "unique" if asked.unique else "distinct"
    if found.kind in ("list", "tensor") or (found.kind == "image" and found.shape is not None):
        message = f"different rows of a {found.kind} column are not counted"
        return (subject.anomaly("distinct_not_counted", message, field=field),)
    return (*_check_unique(subject), *_check_number(subject))


def _check_unique(subject: Subject) -> tuple[Anomaly, ...]:
    found = subject.found
    # NaN and infinities are no part of what is counted, but repeat like any value.
    if not subject.asked.unique or (found.distinct_exact and found.n_distinct == subject.n_present):
        return ()
    seen = find_repeats(subject.look, subject.split, subject.asked.name)
    if seen.n_rows == 0:
        return ()
    if seen.n_rows is None and not found.distinct_exact:
        return (subject.not_judged("unique", "whether a value occurs twice"),)
    message = (
        f"{seen.words('shares its value', 'share their values')} with others: "
        f"{found.n_distinct:,} different values in {subject.n_present:,} rows, expected no value twice"
    )
    return (subject.anomaly("not_unique", message, field="unique", seen=seen, value=found.n_distinct),)


def _check_number(subject: Subject) -> tuple[Anomaly, ...]:
    low, high, found = subject.asked.min_unique, subject.asked.max_unique, subject.found
    n_distinct = found.n_distinct
    near = any(
        limit is not None and abs(n_distinct - limit) <= ESTIMATE_ERROR * limit for limit in (low, high)
    )
    if not found.distinct_exact and near:
        exact = count_distinct(subject.look, subject.split, subject.asked.name)
        n_distinct = n_distinct if exact is None else exact
    about = f"{n_distinct:,} different {'value' if n_distinct == 1 else 'values'}"
    out = []
    if low is not None and n_distinct < low:
        message = f"{about}, expected at least {low:,}"
        out.append(
            subject.anomaly("too_few_distinct", message, field="distinct.min", value=n_distinct, limit=low)
        )
    if high is not None and n_distinct > high:
        message = f"{about}, expected at most {high:,}"
        out.append(
            subject.anomaly("too_many_distinct", message, field="distinct.max", value=n_distinct, limit=high)
        )
    return tuple(out)
