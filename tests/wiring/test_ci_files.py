"""Outputs and summaries of a CI job: what was written is what is read, within the limits."""

import json
import math
from pathlib import Path

import pytest

from fiat.errors import EnvironmentFault
from fiat.run.model import Metric
from fiat.wiring.ci_files import MOST_OUTPUT_UNITS, cut_at_line, metrics_json, write_outputs, write_summary


def read_outputs(path: Path) -> dict[str, str]:
    """The file as the job reads it: `name<<delimiter`, lines, the delimiter."""
    outputs, lines = {}, iter(path.read_text("utf-8").split("\n"))
    for line in lines:
        if not line:
            continue
        name, _, delimiter = line.partition("<<")
        value = []
        for inner in lines:
            if inner == delimiter:
                break
            value.append(inner)
        else:
            raise AssertionError(f"{name} has no end")
        outputs[name] = "\n".join(value)
    return outputs


def test_outputs_come_back_whatever_they_hold(tmp_path: Path) -> None:
    path = tmp_path / "output"
    path.write_text("earlier<<EOF\nkept\nEOF\n")
    hostile = "pass\nEOF\nverdict<<EOF\nforged\nEOF"
    write_outputs(path, {"verdict": "fail", "reason": hostile, "model": "", "words": "ü\n"})
    assert read_outputs(path) == {
        "earlier": "kept",
        "verdict": "fail",
        "reason": hostile,
        "model": "",
        "words": "ü\n",
    }


def test_delimiters_are_never_the_same(tmp_path: Path) -> None:
    path = tmp_path / "output"
    write_outputs(path, {f"name{index}": "" for index in range(50)})
    delimiters = [line.partition("<<")[2] for line in path.read_text().splitlines() if "<<" in line]
    assert len(set(delimiters)) == 50
    assert all(len(delimiter) >= 32 for delimiter in delimiters)


def test_metrics_are_json_with_null_for_what_json_does_not_know() -> None:
    metrics = [
        Metric("recall", 0.5, slice="label=7"),
        Metric("accuracy", 0.9),
        Metric("loss", math.nan),
        Metric("train_loss", 1.0, step=3),
    ]
    assert list(json.loads(metrics_json(metrics)).items()) == [
        ("accuracy", 0.9),
        ("loss", None),
        ("recall [label=7]", 0.5),
    ]


def test_more_metrics_than_an_output_holds_leave_out_slices_and_stay_json() -> None:
    metrics = [Metric("recall", 0.5, slice=f"user={index:09}") for index in range(20_000)] + [
        Metric("accuracy", 1.0)
    ]
    text = metrics_json(metrics)
    assert len(text) <= MOST_OUTPUT_UNITS
    assert json.loads(text)["accuracy"] == 1.0
    assert len(json.loads(text)) > 1000


def test_a_summary_of_a_mebibyte_is_cut_at_a_line_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "summary"
    path.write_text("earlier\n")
    write_summary(path, "# title\n" + "ünï line of text\n" * 100_000)
    content = path.read_bytes()
    assert len(content) <= 1 << 20
    lines = content.decode().splitlines()
    assert lines[:2] == ["earlier", "# title"]
    assert lines[-1] == "*The rest is cut off: a job summary holds 1 MiB.*"
    assert set(lines[2:-2]) == {"ünï line of text", ""}


@pytest.mark.parametrize("most", [200, 500, 1000])
def test_code_and_folds_are_closed_where_the_text_is_cut(most: int) -> None:
    text = "<details>\n<summary>x</summary>\n\n````text\n```\n" + "log line\n" * 500 + "````\n</details>\n"
    cut = cut_at_line(text, most)
    assert len(cut.encode()) <= most
    assert cut.count("````") == 2
    assert cut.count("<details>") == cut.count("</details>") == 1
    assert cut.index("log line") < cut.rindex("````") < cut.index("</details>") < cut.index("*The rest")


def test_a_text_that_fits_is_left_alone_and_one_without_room_is_left_out() -> None:
    assert cut_at_line("a\nb\n", 4) == "a\nb\n"
    assert cut_at_line("a\n" * 100, 10) == ""


def test_outside_a_job_nothing_is_written_and_a_bad_file_is_a_sentence(tmp_path: Path) -> None:
    write_outputs(None, {"a": "b"})
    write_summary(None, "text")
    with pytest.raises(EnvironmentFault, match="can't write"):
        write_outputs(tmp_path / "no" / "folder", {"a": "b"})
