"""Find all that does not hold of a dataset: against its schema, the rules of the spec, and other data."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fiat.data.dataset import open_dataset
from fiat.profile.model import DataProfile, Profile
from fiat.validate.columns_check import (
    belongs,
    check_amounts,
    check_distinct,
    check_names,
    check_presence,
)
from fiat.validate.domain_check import check_domain
from fiat.validate.duplicates import find_duplicates
from fiat.validate.images_check import check_images
from fiat.validate.leak import find_leaks
from fiat.validate.model import (
    Anomaly,
    ColumnSchema,
    ColumnsRule,
    DuplicatesRule,
    Findings,
    LeakRule,
    RowsRule,
    Rule,
    Schema,
    Severity,
    SqlRule,
)
from fiat.validate.movement import find_movements
from fiat.validate.rows_look import RowsLook
from fiat.validate.schema_check import check_fit, check_rows_there, check_schema
from fiat.validate.sql_check import run_sql_rule
from fiat.validate.subject import Subject
from fiat.validate.types_check import check_type

_ROW_RULES: Mapping[type[Rule], str] = {DuplicatesRule: "duplicates", LeakRule: "leak", SqlRule: "sql"}


def find_anomalies(
    dataset_folder: Path | None,
    profile: DataProfile,
    schema: Schema,
    rules: Sequence[Rule],
    others: Mapping[str, DataProfile],
    *,
    environment: str = "training",
) -> Findings:
    """Judge a dataset by its description, and look the rows of what does not hold up in its files.

    Args:
        dataset_folder: of the dataset format; None when there is only a profile: then no rows are named, and rules
            over rows (duplicates, leak, sql) can't be judged.
        profile: of that dataset.
        schema: what must hold; one without columns asks nothing of them.
        rules: of the spec, in order.
        others: `previous` or `data.<name>` to what it is compared with.
        environment: columns that do not belong to it are not asked for.

    Returns:
        Errors first; then in the order schema, columns by split, rules. The same input gives the same findings.

    Raises:
        EnvironmentFault: the dataset can't be read.
        SpecError: a rule names a column that the data don't have, or a query that can't run.
    """
    look = RowsLook(dataset_folder)
    asked = tuple(column for column in schema.columns if belongs(column, environment))
    splits = [item for item in profile.profiles if not item.slice]
    wrong, broken = check_schema(schema)
    found = [*wrong, *check_rows_there(profile)]
    found += _names(splits, schema, asked, rules)
    for split in splits:
        found += _rows_of_split(split, schema)
        for column in asked:
            described = split.column(column.name)
            if described is not None and column.name not in broken:
                found += _column(Subject(split.split, column, described, look))
    expected = replace(schema, columns=asked)
    found += _rules(dataset_folder, profile, expected, rules)
    found += find_movements(profile, others, rules, expected)
    return Findings(
        anomalies=tuple(sorted(found, key=lambda item: item.severity != "error")),
        n_rows={item.split: item.n_rows for item in splits},
        compared={name: other.source_digest for name, other in sorted(others.items())},
    )


def _column(subject: Subject) -> tuple[Anomaly, ...]:
    found = [*check_presence(subject)]
    wrong, fits = check_type(subject)
    found += wrong
    if fits:
        for check in (check_fit, check_domain, check_amounts, check_images, check_distinct):
            found += check(subject)
    return tuple(found)


def _names(
    splits: Sequence[Profile], schema: Schema, asked: tuple[ColumnSchema, ...], rules: Sequence[Rule]
) -> list[Anomaly]:
    """Missing and new columns; what holds of all splits is said once."""
    rule = next((rule for rule in rules if isinstance(rule, ColumnsRule)), None)
    by_split = [check_names(split, schema, asked, rule) for split in splits]
    everywhere = [
        replace(item, split="")
        for item in (by_split[0] if by_split else ())
        if all(any(_same(item, other) for other in part) for part in by_split)
    ]
    rest = [item for part in by_split for item in part if not any(_same(item, other) for other in everywhere)]
    return everywhere + rest


def _same(first: Anomaly, other: Anomaly) -> bool:
    return (first.kind, first.column) == (other.kind, other.column)


def _rows_of_split(split: Profile, schema: Schema) -> list[Anomaly]:
    return _too_few_or_many(split.n_rows, schema.min_rows, schema.max_rows, split.split, "rows", "error")


def _too_few_or_many(
    n_rows: int, low: int | None, high: int | None, split: str, key: str, severity: Severity
) -> list[Anomaly]:
    about = f"{n_rows:,} row" + ("" if n_rows == 1 else "s")
    if low is not None and n_rows < low:
        message = f"{about}, expected at least {low:,}"
        return [
            Anomaly(
                "too_few_rows",
                "",
                message,
                severity=severity,
                split=split,
                key=f"{key}.min",
                value=n_rows,
                limit=low,
            )
        ]
    if high is not None and n_rows > high:
        message = f"{about}, expected at most {high:,}"
        return [
            Anomaly(
                "too_many_rows",
                "",
                message,
                severity=severity,
                split=split,
                key=f"{key}.max",
                value=n_rows,
                limit=high,
            )
        ]
    return []


def _rules(folder: Path | None, profile: DataProfile, schema: Schema, rules: Sequence[Rule]) -> list[Anomaly]:
    """Rules that don't compare with other data, in their order."""
    out: list[Anomaly] = []
    n_rows = sum(item.n_rows for item in profile.profiles if not item.slice)
    label = profile.label or schema.label
    for rule in rules:
        if isinstance(rule, RowsRule):
            out += _too_few_or_many(n_rows, rule.min, rule.max, "", f"{rule.key}.rows", rule.severity)
        elif not isinstance(rule, DuplicatesRule | LeakRule | SqlRule):
            continue
        elif folder is None:
            name = _ROW_RULES[type(rule)]
            message = f"without the rows `{name}` can't be judged"
            out.append(Anomaly("not_judged", "", message, severity="warn", key=f"{rule.key}.{name}"))
        elif isinstance(rule, SqlRule):
            out += run_sql_rule(folder, rule)
        else:
            features = open_dataset(folder).feature_names
            if isinstance(rule, LeakRule):
                out += find_leaks(folder, rule, label, features)
            else:
                out += find_duplicates(folder, rule, features, label)
    return out
