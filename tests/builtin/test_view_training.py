import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest
from page_samples import study_documents

from fiat.builtin.view_sheet import Sheet, plain_text
from fiat.builtin.view_training import MOST_CURVES, training_blocks
from fiat.run.model import Metric

TUNE = {"objective": {"maximize": "accuracy"}}


def test_curves_pace_and_machine_stand_under_the_step() -> None:
    curves = [("train", Metric("samples_per_s", 1200.0 + at, at)) for at in range(3)]
    curves += [("train", Metric("loss", 10.0**-at, at)) for at in range(4)]
    curves += [("train", Metric("grad", math.nan if at == 1 else 1.0 + at, at)) for at in range(3)]
    curves += [("train", Metric("gpu_memory_bytes", float(at << 30), at)) for at in range(1, 3)]
    usage: dict[str, dict[str, object]] = {
        "train": {"workers": 2, "gpu_ids": ["0"], "gpu_load_ratio": 0.93, "peak_memory_bytes": 1 << 30},
        "export": {"peak_memory_bytes": 1 << 30},
    }
    finals = {"train": [Metric("samples_per_s", 1234.0)]}
    blocks = training_blocks(curves, finals, usage, {}, None)
    assert plain_text(Sheet(blocks)) == (
        "\n"
        "train  1,234 samples/s, 2 workers, 1 GPU: 0, GPU load 93 % on average, memory 1.0 GiB at most\n"
        "\n"
        "CURVE               FIRST           LAST  STEPS\n"
        "loss                    1  █▆▃▁   0.0010  0 to 3\n"
        "grad                    1  ▁·█         3  0 to 2  1 value no finite number\n"
        "samples_per_s       1,200  ▁▅█     1,202  0 to 2\n"
        "gpu_memory_bytes  1.0 GiB  ▁█    2.0 GiB  1 to 2\n"
    )


def test_a_search_shows_its_best_parameters_and_trials() -> None:
    blocks = training_blocks([], {}, {}, {"tune": study_documents()}, TUNE)
    assert plain_text(Sheet(blocks)) == (
        "\n"
        "tune  4 trials: 2 done, 1 failed, 1 stopped early, best accuracy 0.9312 in trial 3\n"
        "\n"
        "BEST PARAMETER  VALUE\n"
        "lr              0.003\n"
        "layers          2\n"
        "\n"
        "TRIAL   ACCURACY  STATE           TIME  PARAMETERS\n"
        "3 best    0.9312  done            14 s  lr=0.003 layers=2\n"
        "1         0.9000  done            12 s  lr=0.01 layers=1\n"
        "2         0.4000  stopped early  3.5 s  lr=0.3 layers=3\n"
        "4              -  failed         1.0 s  lr=0.1 layers=2\n"
    )


def test_a_run_without_a_training_says_nothing() -> None:
    usage = {"evaluate": {"cpus": 1.0, "peak_memory_bytes": 1 << 30}}
    single = [("train", Metric("loss", 0.5, 3))]
    assert training_blocks(single, {"train": [Metric("loss", 0.5)]}, usage, {}, None) == ()


def test_of_very_many_curves_and_trials_some_are_shown_and_the_others_counted() -> None:
    names = [*(f"m{k}" for k in range(29)), "samples_per_s"]
    curves = [("train", Metric(name, float(at), at)) for at in range(2) for name in names]
    trial = {"params": {}, "state": "done", "curve": []}
    trials = [{**trial, "number": k, "value": k / 100} for k in range(30)]
    text = plain_text(Sheet(training_blocks(curves, {}, {}, {"tune": {"trials": trials}}, TUNE)))
    assert text.count("▁█") == MOST_CURVES
    assert "18 more curves in the report" in text
    assert "samples_per_s" in text
    assert "20 more trials in `fiat tune show`" in text


@pytest.mark.parametrize(("width", "drawn"), [(45, False), (60, True), (80, True), (200, True)])
def test_curves_fit_the_terminal(width: int, drawn: bool) -> None:
    names = ("loss", "layer0/attention/weight_norm")
    curves = [("train", Metric(name, 1000.5 + at, at)) for at in range(1000) for name in names]
    lines = plain_text(Sheet(training_blocks(curves, {}, {}, {}, None, width=width)), width).splitlines()
    assert max(map(len, lines)) <= width
    assert [line.split()[0] for line in lines[-3:]][:2] == ["CURVE", "loss"]
    assert all(("▁" in line) == drawn for line in lines[-2:])
    assert all(line.endswith("1,999.5  0 to 999") for line in lines[-2:])


def test_two_hundred_thousand_values_are_one_line() -> None:
    curves = [("train", Metric("loss", 1 / (at + 1), at)) for at in range(200_000)]
    text = plain_text(Sheet(training_blocks(curves, {}, {}, {}, None)))
    assert "0 to 199,999" in text
    assert len(text) < 500
