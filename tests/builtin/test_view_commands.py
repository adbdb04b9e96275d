import sys
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from page_samples import sample_run, step

from fiat.builtin.view_compare import Change, comparison_sheet
from fiat.builtin.view_plan import explain_sheet, plan_sheet
from fiat.builtin.view_run import run_sheet, runs_sheet
from fiat.builtin.view_sheet import Cell, plain_text
from fiat.plan.model import Decision, Plan
from fiat.run.model import Metric

PLAN = Plan("digits", ".", "", ())
DECISIONS = (
    Decision("data.scans", "reuse", ("nothing changed",), "ab" * 32),
    Decision("train", "run", ("params: lr 0.1 -> 0.2", "code: train.py changed"), "cd" * 32),
    Decision("export", "wait", ("waits for train",)),
)


@dataclass(frozen=True)
class Row:
    name: str
    a: object
    b: object
    change: Change
    a_interval: tuple[float, float] | None = None
    b_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Comparison:
    a: str
    b: str
    parameters: tuple[Row, ...] = ()
    data: tuple[Row, ...] = ()
    metrics: tuple[Row, ...] = ()
    steps: tuple[Row, ...] = ()


def test_a_plan_says_what_happens_and_the_first_reason() -> None:
    assert plain_text(plan_sheet(PLAN, DECISIONS)).splitlines() == [
        "digits: 3 steps, 1 to run, 1 waiting for them, 1 reused",
        "",
        "STEP        ACTION  WHY",
        "data.scans  reuse   nothing changed",
        "train       run     params: lr 0.1 -> 0.2 (and 1 more)",
        "export      wait    waits for train",
    ]


def test_a_plan_without_work_says_so() -> None:
    assert plain_text(plan_sheet(PLAN, DECISIONS[:1])).startswith("digits: nothing to do, 1 step, 1 reused\n")


def test_an_explanation_has_every_reason() -> None:
    lines = plain_text(explain_sheet(PLAN, DECISIONS)).splitlines()
    assert lines[lines.index("train  run") :][:4] == [
        "train  run",
        "  params: lr 0.1 -> 0.2",
        "  code: train.py changed",
        "  fingerprint cdcdcdcdcdcdcdcd",
    ]


def test_an_explanation_of_one_step_begins_with_it() -> None:
    assert plain_text(explain_sheet(PLAN, DECISIONS[1:2])).startswith("train  run\n")


def test_runs_have_a_row_each() -> None:
    running = replace(sample_run(), verdict=None, state="running", reason="", ended_at=None, commit="")
    lines = plain_text(runs_sheet([sample_run(), running])).splitlines()
    assert lines[1].split("  ")[:3] == ["20261121-061500-4f2a1c", "digits", "! warn"]
    assert "0b88f556+" in lines[1]
    assert "… running" in lines[2]
    assert plain_text(runs_sheet([])) == "no runs yet; `fiat run SPEC` makes one\n"


def test_a_run_fits_a_terminal_of_eighty_columns() -> None:
    text = plain_text(run_sheet(sample_run()), 80)
    assert max(map(len, text.splitlines())) <= 80
    for said in (
        "! warn  digits: gate",
        "commit",
        "overrides",
        "train",
        "40 s",
        "✓ pass",
        "0.9510 to 0.9846",
    ):
        assert said in text


def test_a_failed_step_is_told_with_its_reason() -> None:
    run = replace(sample_run(), steps=(step("train", "failed", "killed by signal 9"),), gates=(), metrics=())
    assert "train  failed  2.0 s  killed by signal 9\n" in plain_text(run_sheet(run))


def test_how_fast_a_training_went_is_no_metric_of_the_model() -> None:
    run = replace(sample_run(), metrics=(Metric("samples_per_s", 1234.0), Metric("writers", 12.0)))
    text = plain_text(run_sheet(run, ((Cell("train  1,234 samples/s"),),)))
    assert "samples_per_s" not in text
    assert text.index("train  1,234 samples/s") < text.index("writers")


def test_a_comparison_shows_direction_intervals_and_what_differs() -> None:
    comparison = Comparison(
        "r1",
        "r2",
        parameters=(Row("params.lr", 0.1, None, "changed"),),
        data=(Row("data.scans", "ab" * 16, "ab" * 16, "same"),),
        metrics=(
            Row("accuracy", 0.9, 0.95, "better", (0.88, 0.92), (0.93, 0.97)),
            Row("accuracy [digit=1]", 0.9, 0.91, "unclear"),
            Row("accuracy [digit=8]", 0.9, 0.5, "worse"),
            Row("log_loss", 0.3, None, "changed"),
        ),
        steps=(Row("train:model", "cd" * 16, "ef" * 16, "changed"),),
    )
    lines = plain_text(comparison_sheet(comparison)).splitlines()
    assert lines[:2] == ["A  r1", "B  r2"]
    words = [line.split() for line in lines]
    assert ["params.lr", "≠", "0.1", "-"] in words
    assert ["data.scans", "=", "abababababab"] in words
    table = {line.split("  ")[0]: line for line in lines}
    assert table["accuracy ↑"].endswith("0.9000  0.8800 to 0.9200  0.9500  0.9300 to 0.9700  better")
    assert "accuracy [digit=8] ↑" in table
    assert "accuracy [digit=1] ↑" not in table
    assert table["log_loss ↓"].endswith("changed")
    assert "1 more of slices don't differ clearly" in lines
    assert ["train:model", "≠", "cdcdcdcdcdcd", "efefefefefef"] in words


def test_equal_runs_are_said_to_be_equal() -> None:
    text = plain_text(comparison_sheet(Comparison("r1", "r1")))
    assert "the same parameters" in text
    assert "the same outputs" in text
