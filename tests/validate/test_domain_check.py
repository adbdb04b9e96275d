"""Values outside what a column may have are counted exactly, and the first ten rows are named."""

import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fiat.data.stream import tensor_array
from fiat.validate.model import ColumnSchema, Domain
from tests.validate.judged import Case, dataset, judge, show_and_clear

INF, NAN = float("inf"), float("nan")


def asked(kind: str | None, **more: object) -> ColumnSchema:
    return ColumnSchema("x", type=kind, **more)  # type: ignore[arg-type]  # settings of a test


LOW, HIGH = Domain(min=0), Domain(max=100)
LISTED = Domain(values=("a", "b"))
TOLERANT = Domain(values=("a", "b"), mass=0.7)
CASES = [
    Case(
        "out_of_range_low",
        asked("int", domain=LOW),
        pa.array([3, -1, None, -7]),
        pa.array([0, 3, None]),
        (2, 4),
        value=-1,
        says="2 rows are below 0, the smallest -7",
    ),
    Case(
        "out_of_range_low",
        asked("float", domain=LOW),
        pa.array([0.0, -0.5, NAN, -INF]),
        pa.array([0.0, INF, NAN]),
        (2, 4),
        value=-0.5,
        says="2 rows are below 0, the smallest -inf",
    ),
    Case(
        "out_of_range_high",
        asked("int", domain=HIGH),
        pa.array([100, 101, None]),
        pa.array([100, -5, None]),
        (2,),
        value=101,
        says="1 row is above 100, the largest 101",
    ),
    Case(
        "out_of_range_high",
        asked("float", domain=HIGH),
        pa.array([1.5, INF]),
        pa.array([1.5, -INF]),
        (2,),
        value="Infinity",
        says="the largest inf",
    ),
    Case(
        "out_of_range_high",
        asked("list", domain=HIGH),
        pa.array([[1, 101], None, [], [7], [200, 300]]),
        pa.array([[1, 100], None, []]),
        (1, 5),
        value=[1, 101],
        says="2 rows are above 100, the largest 300",
    ),
    Case(
        "out_of_range_low",
        asked("tensor", domain=LOW),
        tensor_array(np.array([[1.0, 2.0], [3.0, -4.0]])),
        tensor_array(np.array([[1.0, 2.0]])),
        (2,),
        value={"shape": "2", "first": [3.0, -4.0]},
    ),
    Case(
        "out_of_range_high",
        asked("time", domain=Domain(max=1_700_000_000)),
        pa.array([datetime(2023, 1, 1), datetime(2024, 1, 1)]),  # noqa: DTZ001  # a column without a zone
        pa.array([datetime(2023, 1, 1)]),  # noqa: DTZ001  # a column without a zone
        (2,),
        value="2024-01-01T00:00:00",
    ),
    Case(
        "unexpected_values",
        asked("text", domain=LISTED),
        pa.array(["a", "c", None, "c", "B"]),
        pa.array(["a", "b", None]),
        (2, 4, 5),
        value="c",
        says="3 of 4 rows (0.75) hold values that are not in the list: 'c', 'B'",
    ),
    Case(
        "unexpected_values",
        asked("text", domain=TOLERANT),
        pa.array(["a", "a", "c", "d"]),
        pa.array(["a", "a", "b", "c"]),
        (3, 4),
        value="c",
        says="2 of 4 rows (0.5) hold values that are not in the list, expected a share of at most 0.3",
    ),
    Case(
        "unexpected_values",
        asked("int", domain=Domain(values=("1", "2"))),
        pa.array([1, 3, 2]),
        pa.array([1, 2]),
        (2,),
        value=3,
    ),
    Case(
        "unexpected_values",
        asked("bool", domain=Domain(values=("true",))),
        pa.array([True, False, None]),
        pa.array([True, None]),
        (2,),
        value=False,
    ),
    Case(
        "unexpected_values",
        asked("list", domain=LISTED),
        pa.array([["a", "b"], ["a", "z"], None, []]),
        pa.array([["a", "b"], None, []]),
        (2,),
        value=["a", "z"],
    ),
    Case(
        "regex_mismatch",
        asked("text", domain=Domain(regex="[A-Z]{2}[0-9]+|none")),
        pa.array(["AB12", "AB12x", None, "none", "none\n"]),
        pa.array(["AB12", "none", None]),
        (2, 5),
        value="AB12x",
        says="2 rows do not match '[A-Z]{2}[0-9]+|none'",
    ),
    Case(
        "text_too_short",
        asked("text", domain=Domain(min_length=2)),
        pa.array(["ää", "ä", "", None]),
        pa.array(["ää", None]),
        (2, 3),
        value="ä",
        says="2 rows have fewer than 2 characters, the shortest 0",
    ),
    Case(
        "text_too_long",
        asked("text", domain=Domain(max_length=2)),
        pa.array(["ää", "äää", None]),
        pa.array(["ää", None]),
        (2,),
        value="äää",
        says="1 row has more than 2 characters, the longest 3",
    ),
    Case(
        "text_too_long",
        asked("bytes", domain=Domain(max_length=2)),
        pa.array([b"ab", b"abc"]),
        pa.array([b"ab"]),
        (2,),
        value="abc",
        says="1 row has more than 2 bytes, the longest 3",
    ),
    Case(
        "has_nan",
        asked("float", nan=False),
        pa.array([1.0, NAN, None, NAN]),
        pa.array([1.0, None, INF]),
        (2, 4),
        value="NaN",
        says="2 rows hold NaN, expected none",
    ),
    Case(
        "has_nan",
        asked("list", nan=False),
        pa.array([[1.0], [2.0, NAN], None]),
        pa.array([[1.0], None]),
        (2,),
        value=[2.0, "NaN"],
    ),
    Case(
        "has_inf",
        asked("float", inf=False),
        pa.array([1.0, INF, None, -INF, NAN]),
        pa.array([1.0, None, NAN]),
        (2, 4),
        value="Infinity",
        says="2 rows hold an infinity, expected none",
    ),
    Case(
        "has_inf",
        asked("tensor", inf=False),
        tensor_array(np.array([[1.0, 2.0], [INF, -INF]], np.float32)),
        tensor_array(np.array([[1.0, NAN]], np.float32)),
        (2,),
        value={"shape": "2", "first": ["Infinity", "-Infinity"]},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_values_that_a_column_may_not_have_are_told_with_their_rows(case: Case, tmp_path: Path) -> None:
    show_and_clear(case, tmp_path)


def test_of_many_rows_the_first_ten_are_named_and_all_are_counted(tmp_path: Path) -> None:
    n = 200_000  # several record batches
    values = np.arange(n) % 1000
    folder = dataset(tmp_path / "d", {"id": pa.array(range(n)), "x": pa.array(values)})
    (found,) = judge(folder, [ColumnSchema("id"), asked("int", domain=Domain(max=997))]).anomalies
    assert found.n_rows == 2 * n // 1000
    assert [item.row for item in found.examples] == [
        999, 1000, 1999, 2000, 2999, 3000, 3999, 4000, 4999, 5000
    ]  # fmt: skip
    assert found.value == 999
    assert found.limit == 997


def test_rows_in_later_batches_have_their_own_numbers(tmp_path: Path) -> None:
    values = np.zeros(150_000)
    values[[70_000, 149_999]] = NAN
    folder = dataset(tmp_path / "d", {"id": pa.array(range(len(values))), "x": pa.array(values)})
    (found,) = judge(folder, [ColumnSchema("id"), asked("float", nan=False)]).anomalies
    assert [item.row for item in found.examples] == [70_001, 150_000]


def test_values_are_listed_also_where_a_profile_does_not_hold_all_of_them(tmp_path: Path) -> None:
    texts = [f"t{row}" for row in range(3000)]
    folder = dataset(tmp_path / "d", {"id": pa.array(range(3000)), "x": pa.array([*texts[:-1], "other"])})
    listed = Domain(values=tuple(texts))
    (found,) = judge(folder, [ColumnSchema("id"), asked("text", domain=listed)]).anomalies
    assert (found.kind, found.n_rows, found.examples[0].row) == ("unexpected_values", 1, 3000)
    assert "'other'" in found.message
    matching = Domain(regex="t[0-9]+|other")
    assert judge(folder, [ColumnSchema("id"), asked("text", domain=matching)]).anomalies == ()
    few = Domain(regex="t[0-9]+")
    (found,) = judge(folder, [ColumnSchema("id"), asked("text", domain=few)]).anomalies
    assert (found.kind, found.n_rows, found.examples[0].row) == ("regex_mismatch", 1, 3000)


def test_a_hostile_pattern_ends(tmp_path: Path) -> None:
    text = "a" * 200_000 + "!"
    folder = dataset(tmp_path / "d", {"id": pa.array([1]), "x": pa.array([text])})
    started = time.monotonic()
    (found,) = judge(
        folder, [ColumnSchema("id"), asked("text", domain=Domain(regex="(a+)+(a|aa)*"))]
    ).anomalies
    assert time.monotonic() - started < 5
    assert found.kind == "regex_mismatch"
    assert found.examples[0].value == "a" * 200 + "…"


def test_a_pattern_can_not_break_out_of_matching_the_whole_text(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", {"id": pa.array([1, 2]), "x": pa.array(["ab", "xb"])})
    found = judge(folder, [ColumnSchema("id"), asked("text", domain=Domain(regex="a)|(?:b"))]).anomalies
    assert [item.kind for item in found] == ["domain_invalid"]


BIG = 2**53
ENDS = [
    (pa.array([BIG, BIG + 1, 0]), Domain(max=BIG), (2,)),
    (pa.array([BIG + 1, 11, 10]), Domain(max=10.5), (1, 2)),
    (pa.array([2**63, 3], pa.uint64()), Domain(min=3.5), (2,)),
    (pa.array([-128, 3], pa.int8()), Domain(min=-127.5, max=1000), (1,)),
    (pa.array([3, None, 200], pa.uint8()), Domain(min=-5, max=199), (3,)),
    (pa.array([0.1, None, 0.5], pa.float32()), Domain(max=0.1), (1, 3)),  # 0.1 as float32 is above 0.1
    (pa.array([True, False, None]), Domain(max=0), (1,)),
    (pa.array([1, 3], pa.date32()), Domain(max=2 * 86_400), (2,)),
    (pa.array([1, 3 * 86_400_000], pa.date64()), Domain(max=86_400), (2,)),
    (pa.array([10, None, 30], pa.time32("s")), Domain(max=20), (3,)),
    (pa.array([1_000_000_000, 1_000_000_900], pa.timestamp("ns")), Domain(max=1.0000005), (2,)),
    (pa.array([1500, 2500], pa.timestamp("ms", "UTC")), Domain(min=2), (1,)),
]


@pytest.mark.parametrize(("values", "domain", "rows"), ENDS)
def test_profile_and_rows_agree_at_the_ends_of_what_numbers_can_be(
    values: pa.Array, domain: Domain, rows: tuple[int, ...], tmp_path: Path
) -> None:
    folder = dataset(tmp_path / "d", {"id": pa.array(range(len(values))), "x": values})
    found = judge(folder, [ColumnSchema("id"), asked(None, domain=domain)]).errors
    found = tuple(item for item in found if item.kind.startswith("out_of_range"))
    assert [tuple(example.row for example in item.examples) for item in found] == [rows]
    assert found[0].n_rows == len(rows)
