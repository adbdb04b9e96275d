"""Real datasets of one column, judged: what every test of anomalies does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from fiat.data.columns import ColumnChoice
from fiat.data.split import AllTrain, ByColumn, SplitRule
from fiat.data.stream import Piece, Reading
from fiat.data.write import write_dataset
from fiat.profile.measure import profile_dataset
from fiat.profile.model import DataProfile
from fiat.validate.check import find_anomalies
from fiat.validate.model import ColumnSchema, Findings, Rule, Schema

BY_PART = ByColumn("part")


@dataclass(frozen=True)
class Case:
    """One column that shows an anomaly, and a neighbour that shows none.

    Attributes:
        kind: of the anomaly.
        asked: what the schema says of column `x`.
        wrong: values of `x` that show it.
        right: values of `x` that don't.
        rows: rows of the examples, 1-based.
        n_rows: rows that it concerns; None for as many as `rows`.
        value: of the first example.
        says: what the message has in it.
    """

    kind: str
    asked: ColumnSchema
    wrong: pa.Array
    right: pa.Array
    rows: tuple[int, ...] = ()
    n_rows: int | None = None
    value: object = None
    says: str = ""

    @property
    def name(self) -> str:
        """For the list of tests."""
        return f"{self.kind}-{self.asked.type}-{self.wrong.type}"


def dataset(
    folder: Path,
    columns: Mapping[str, object],
    *,
    label: str | None = None,
    features: tuple[str, ...] = ("id",),
    rule: SplitRule | None = None,
    digest: str = "abc",
) -> Path:
    """Write a dataset of these columns; all rows to train unless a rule says otherwise."""
    batch = pa.record_batch(dict(columns))
    whole = Reading(batch.schema, lambda: iter([Piece(batch, ("rows.csv",), 1)]))
    write_dataset(folder, whole, rule or AllTrain(), ColumnChoice(label, features=features), digest)
    return folder


def judge(
    folder: Path,
    schema: Schema | Sequence[ColumnSchema],
    rules: Sequence[Rule] = (),
    others: Mapping[str, DataProfile] | None = None,
    *,
    environment: str = "training",
) -> Findings:
    """Describe a dataset and find its anomalies."""
    whole = schema if isinstance(schema, Schema) else Schema(tuple(schema))
    profile = profile_dataset(folder)
    return find_anomalies(folder, profile, whole, rules, others or {}, environment=environment)


def show_and_clear(case: Case, tmp_path: Path) -> None:
    """The wrong column shows exactly its anomaly with its rows, the right one shows nothing."""
    number = ColumnSchema("id", type="int")
    wrong = dataset(tmp_path / "wrong", {"id": pa.array(range(len(case.wrong))), "x": case.wrong})
    found = judge(wrong, [number, case.asked]).anomalies
    assert [(item.kind, item.column, item.split) for item in found] == [(case.kind, "x", "train")], found
    (anomaly,) = found
    assert tuple(example.row for example in anomaly.examples) == case.rows
    assert anomaly.n_rows == (len(case.rows) if case.n_rows is None else case.n_rows)
    assert all(example.split == "train" for example in anomaly.examples)
    if case.rows:
        assert anomaly.examples[0].value == case.value
    assert case.says in anomaly.message
    assert anomaly.key.startswith("columns.x.")
    right = dataset(tmp_path / "right", {"id": pa.array(range(len(case.right))), "x": case.right})
    assert judge(right, [number, case.asked]).anomalies == ()
