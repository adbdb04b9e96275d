"""Findings are kept as they are, in bytes that don't change, and each is a sentence with its rows."""

from pathlib import Path

import pytest

from fiat.errors import EnvironmentFault
from fiat.validate.findings_file import FINDINGS_FILE, read_findings, sentence, write_findings
from fiat.validate.model import Anomaly, Example, Findings

FINDINGS = Findings(
    (
        Anomaly(
            "out_of_range_high",
            "âge",
            "2 rows are above 9, the largest inf",
            2,
            (Example("train", 3, 17), Example("train", 1240, "Infinity")),
            "error",
            "train",
            "columns.âge.range.max",
            float("inf"),
            9,
        ),
        Anomaly("sql", "", "1 row", 1, (Example("", 0, {"n": 1.5, "who": None}),), "warn", key="checks[2]"),
        Anomaly("drift", "x", "far", value=0.25, limit=0.1),
    ),
    {"train": 3000, "eval": 4},
    {"previous": "abc"},
)


def test_findings_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = write_findings(tmp_path, FINDINGS)
    assert path == tmp_path / FINDINGS_FILE
    assert read_findings(tmp_path) == FINDINGS
    written = path.read_bytes()
    write_findings(tmp_path, read_findings(tmp_path))
    assert path.read_bytes() == written
    assert b"Infinity" in written
    assert written.endswith(b"}\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 2, "anomalies": [], "n_rows": {}, "compared": {}}',
        '{"version": 1, "anomalies": [{"kind": "x"}], "n_rows": {}, "compared": {}}',
        '{"version": 1, "anomalies": [], "n_rows": [], "compared": {}}',
    ],
)
def test_damaged_findings_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / FINDINGS_FILE).write_text(text, "utf-8")
    with pytest.raises(EnvironmentFault, match="holds no findings that can be read"):
        read_findings(tmp_path)


def test_findings_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault):
        read_findings(tmp_path)


def test_a_folder_that_can_not_be_written_is_the_machines_fault(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="can't be written"):
        write_findings(tmp_path / "none", FINDINGS)


def rows(*numbers: int, split: str = "train") -> tuple[Example, ...]:
    return tuple(Example(split, number) for number in numbers)


SENTENCES = [
    (Anomaly("k", "age", "it is so", 1, rows(7), split="train"), "age (train): it is so: row 7 of train"),
    (
        Anomaly("k", "age", "it is so", 3, rows(3, 17, 1240), split="train"),
        "age (train): it is so: rows 3, 17 and 1,240 of train",
    ),
    (
        Anomaly("k", "age", "it is so", 30, rows(1, 2), split="train"),
        "age (train): it is so: rows 1, 2, ... of train",
    ),
    (
        Anomaly("k", "", "twice", 2, (*rows(3), *rows(9, split="test"))),
        "the data: twice: rows 3 of train and 9 of test",
    ),
    (Anomaly("k", "x", "gone"), "x: gone"),
    (Anomaly("k", "x", "counted", 1, (Example("", 0, 4),)), "x: counted"),
    (Anomaly("k", "x", "in a file", 1, rows(4, split="")), "x: in a file: row 4"),
]


@pytest.mark.parametrize(("anomaly", "expected"), SENTENCES)
def test_a_sentence_names_the_rows(anomaly: Anomaly, expected: str) -> None:
    assert sentence(anomaly) == expected
