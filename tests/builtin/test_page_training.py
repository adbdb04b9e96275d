import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from page_samples import sample_page, sample_run, step, study_documents

from fiat.builtin.page_curves import curve_families, training_figure
from fiat.builtin.page_model import RunPage
from fiat.builtin.page_plots import Figure
from fiat.builtin.page_run import render_run
from fiat.builtin.page_training import MOST_FIGURES, training_parts
from fiat.run.model import Metric

TUNE = {"objective": {"maximize": "accuracy"}}


def training_figures(metrics: Sequence[Metric]) -> list[Figure]:
    return [training_figure(family) for family in curve_families(metrics)]


def searched_page(**documents: object) -> RunPage:
    run = replace(sample_run(), steps=(step("tune"), step("train")), config={"tune": TUNE})
    return RunPage(run, studies={"tune": {**study_documents(), **documents}})


def test_metrics_that_differ_by_their_data_share_a_figure() -> None:
    names = ("loss", "eval_loss", "accuracy", "loss_val", "lr")
    curves = [Metric(name, 1.0, at) for at in range(3) for name in names]
    assert [figure.title for figure in training_figures(curves)] == ["loss", "accuracy", "lr"]


def test_a_single_point_is_no_curve() -> None:
    assert training_figures([Metric("loss", 1.0, 0), Metric("size", 1.0)]) == []


def test_a_loss_over_decades_is_drawn_by_its_logarithm_and_a_score_is_not() -> None:
    curves = [Metric(name, 10.0**-at, at) for at in range(4) for name in ("loss", "accuracy")]
    loss, accuracy = training_figures(curves)
    assert loss.caption == "Logarithmic axis."
    assert accuracy.caption == ""
    with_zero = [*curves, Metric("loss", 0.0, 4)]
    assert training_figures(with_zero)[0].caption == ""


def test_a_loss_that_stops_being_a_number_says_from_where() -> None:
    curves = [Metric("loss", math.nan if at >= 7 else 1.0, at) for at in range(9)]
    (figure,) = training_figures(curves)
    assert figure.caption == "2 values of loss are no finite number, the first at step 7."


def test_how_fast_it_went_comes_last_in_units_of_people() -> None:
    names = {"gpu_memory_bytes": 3.0 * (1 << 30), "samples_per_s": 1234.0, "loss": 0.5}
    curves = [Metric(name, value, at) for at in range(3) for name, value in names.items()]
    figures = training_figures(curves)
    assert [figure.title for figure in figures] == ["loss", "GPU memory", "throughput"]
    assert figures[1].caption == "GiB, all of its GPUs together."
    assert "GPU memory ends at 3" in figures[1].chart


def test_two_hundred_thousand_values_make_a_small_page() -> None:
    page = sample_page()
    curves = tuple(
        ("train", Metric(name, 1.0 + math.sin(at) / (at + 1), at))
        for at in range(50_000)
        for name in ("loss", "eval_loss", "accuracy", "samples_per_s")
    )
    grown = len(render_run(replace(page, curves=curves))) - len(render_run(replace(page, curves=())))
    assert 5_000 < grown < 100_000


def test_of_very_many_metrics_some_are_drawn_and_the_others_named() -> None:
    curves = tuple(("train", Metric(f"m{k}", float(at), at)) for at in range(2) for k in range(30))
    (part,) = training_parts(RunPage(sample_run(), curves=curves))
    assert len(part.figures) == MOST_FIGURES
    assert part.undrawn == "m24, m25, m26, m27, m28, m29"


def test_a_step_says_what_it_used_and_from_where_it_went_on() -> None:
    usage: dict[str, object] = {
        "cpus": 1.0,
        "workers": 2,
        "gpu_ids": ["0", "1"],
        "gpu_memory_bytes": 3 << 30,
        "gpu_load_ratio": 0.934,
        "peak_memory_bytes": 1 << 30,
        "resumed": "goes on from the checkpoint of step 80",
    }
    finals = {"train": (Metric("samples_per_s", 1234.4), Metric("accuracy", 0.9))}
    (part,) = training_parts(RunPage(sample_run(), finals=finals, usage={"train": usage}))
    assert part.facts == [
        ("Throughput", "1,234 samples/s"),
        ("Workers", "2"),
        ("GPUs", "2 GPUs: 0, 1"),
        ("GPU memory", "3.0 GiB at most"),
        ("GPU load", "93 % on average"),
        ("Memory", "1.0 GiB at most"),
        ("Resumed", "goes on from the checkpoint of step 80"),
    ]


def test_a_step_that_only_used_memory_is_no_training() -> None:
    usage = {"evaluate": {"cpus": 1.0, "peak_memory_bytes": 1 << 30}}
    assert training_parts(RunPage(sample_run(), usage=usage)) == []


def test_a_search_shows_its_best_first_its_history_and_its_curves() -> None:
    (part,) = training_parts(searched_page())
    assert part.facts == [
        ("Search", "4 trials: 2 done, 1 failed, 1 stopped early"),
        ("Best", "accuracy 0.9312 in trial 3"),
    ]
    assert part.best == [("lr", "0.003"), ("layers", "2")]
    assert [(row.number, row.value, row.state, row.is_best) for row in part.trials] == [
        ("3", "0.9312", "done", True),
        ("1", "0.9000", "done", False),
        ("2", "0.4000", "stopped early", False),
        ("4", "", "failed", False),
    ]
    assert part.trials[0].params == "lr=0.003 layers=2"
    assert [figure.title for figure in part.figures] == ["accuracy by trial", "accuracy by step"]
    words = "The line is the best so far. Hollow dots were not trained to their end. Crosses have no value."
    assert part.figures[0].caption == words
    assert part.figures[0].chart.count("<circle") == 3
    assert part.figures[0].chart.count('class="lost"') == 2


def test_a_score_of_trials_is_not_drawn_by_its_logarithm_and_an_error_is() -> None:
    trials = [{"number": k, "params": {}, "state": "done", "value": 10.0**-k} for k in range(4)]
    page = searched_page(trials=trials)
    for metric, words in (("eval_accuracy", 0), ("eval_error", 1)):
        tune = {"objective": {"minimize": metric}}
        (part,) = training_parts(replace(page, run=replace(page.run, config={"tune": tune})))
        assert part.figures[0].caption == "The line is the best so far."
        assert part.figures[0].chart.count(">0.001<") == words


def test_a_search_for_the_smallest_has_the_smallest_first() -> None:
    page = searched_page()
    tune = {"objective": {"minimize": "loss"}}
    (part,) = training_parts(replace(page, run=replace(page.run, config={"tune": tune})))
    assert [row.number for row in part.trials] == ["1", "3", "2", "4"]


@pytest.mark.parametrize(
    "trials",
    [
        None,
        "no list",
        [None, 3],
        [{"number": "x", "params": [], "curve": [[1], "a", [None, 1.0]]}],
        [
            {
                "number": 10**400,
                "value": 10**400,
                "state": "done",
                "seconds": -(10**400),
                "curve": [[10**400, 1]],
            }
        ],
        [{"number": 1, "value": 1e308, "seconds": 1e308, "curve": [[1e308, -1e308], [-1e308, 1e308]]}],
    ],
)
def test_a_search_of_another_shape_is_no_error(trials: object) -> None:
    page = searched_page(trials=trials, best=trials)
    assert 'id="training"' in render_run(page)


def test_a_search_of_a_thousand_trials_stays_a_page() -> None:
    one = study_documents()["trials"][1]  # type: ignore[index]
    trials = [
        {**one, "number": k, "value": k / 1000, "curve": [[s, s / 50] for s in range(50)]}
        for k in range(1000)
    ]
    html = render_run(searched_page(trials=trials))
    assert "785 more are not shown" in html
    assert len(html) < 500_000


def test_however_many_metrics_there_are_the_throughput_is_drawn() -> None:
    names = [*(f"m{k}" for k in range(50)), "samples_per_s"]
    curves = tuple(("train", Metric(name, 1.0 + at, at)) for at in range(2) for name in names)
    (part,) = training_parts(RunPage(sample_run(), curves=curves))
    assert len(part.figures) == MOST_FIGURES
    assert part.figures[-1].title == "throughput"
    assert part.undrawn.startswith("m23, ")


def test_names_that_are_not_drawn_do_not_fill_the_page() -> None:
    curves = tuple(("train", Metric(f"m{k}", float(at), at)) for at in range(2) for k in range(5000))
    (part,) = training_parts(RunPage(sample_run(), curves=curves))
    assert part.undrawn.startswith("m24, m25, ")
    assert part.undrawn.endswith("m63 and 4,936 more")


def test_very_many_trials_make_a_small_page_that_keeps_every_best_one() -> None:
    trials = [
        {"number": k, "params": {"text": "x" * 5000}, "state": "done", "value": 0.3, "seconds": 1.0}
        for k in range(1, 20_001)
    ]
    trials[7777]["value"], trials[19_998]["value"] = 0.5, 1.0
    best = {"params": {"text": "x"}, "value": 1.0, "trial": 19_999}
    page = searched_page(trials=trials, best=best)
    (part,) = training_parts(page)
    chart = part.figures[0].chart
    assert "trial 7778: done, 0.5000" in chart
    assert "trial 19999: done, 1" in chart
    assert part.figures[0].caption.endswith("Of 20,000 trials, 1,002 are drawn, the best among them.")
    assert len(render_run(page)) < 500_000


def test_each_trial_better_than_the_one_before_is_no_large_page_either() -> None:
    trials = [{"number": k, "params": {}, "state": "done", "value": k / 9e4} for k in range(1, 20_001)]
    (part,) = training_parts(searched_page(trials=trials, best=None))
    assert part.figures[0].chart.count("<circle") < 2100
    assert "trial 20000: done, 0.2222" in part.figures[0].chart


def test_a_late_loss_of_numbers_is_told_with_its_very_step() -> None:
    curves = [Metric("loss", math.nan if at > 2 else 1.0, 1_234_560 + at) for at in range(5)]
    (figure,) = training_figures(curves)
    assert figure.caption.endswith("the first at step 1,234,563.")
