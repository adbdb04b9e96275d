"""`fiat report`: a run as one HTML page that needs nothing else, neither files nor a network nor scripts."""

import re

from fiat.builtin.page_frame import page_style, page_template
from fiat.builtin.page_metrics import metric_rows, slice_tables
from fiat.builtin.page_model import RunPage
from fiat.builtin.page_plots import evaluation_figures
from fiat.builtin.page_record import (
    data_cards,
    environment_pairs,
    head_facts,
    model_facts,
    model_files,
    parameter_pairs,
    spec_text,
    step_rows,
)
from fiat.builtin.page_training import training_parts
from fiat.builtin.report_check_words import on_purpose
from fiat.builtin.svg_graph import step_graph
from fiat.builtin.view_text import number
from fiat.run.model import Run

LOG_LINES = 40
# How a fault of a spec begins: the file with line and column.
_PLACE = re.compile(r"[^\n]{1,500}?:\d+(?::\d+)?: ")

_VERDICTS = {
    "pass": ("✓", "Passed", "good"),
    "warn": ("!", "Passed with warnings", "doubt"),
    "fail": ("✗", "Refused by a gate", "bad"),
    "error": ("✗", "Failed", "bad"),
    None: ("…", "Not finished", "quiet"),
}
_GATES = {
    "pass": ("✓", "passed", "good"),
    "warn": ("!", "warning", "doubt"),
    "fail": ("✗", "refused", "bad"),
    "skipped": ("–", "skipped", "quiet"),
}


def render_run(page: RunPage) -> str:
    """The page as HTML; the same text for the same input.

    Whatever users named or printed is escaped, and control characters in it are made visible. The page's own policy
    forbids scripts and every request.
    """
    run = page.run
    sign, word, tone = _standing(run)
    metrics = metric_rows(page)
    return page_template("run.html").render(
        style=page_style("run.css", "anomalies.css"),
        run=run,
        sign=sign,
        word=word,
        tone=tone,
        facts=head_facts(page),
        logs=[(step, lines[-LOG_LINES:]) for step, lines in page.logs.items()],
        warnings=page.warnings,
        gates=[(*_GATES[gate.state], gate) for gate in run.gates],
        metrics=metrics,
        has_intervals=any(row.interval for row in metrics),
        baseline=page.baseline,
        compared=any(row.baseline for row in metrics),
        judged=_judged(page),
        slices=slice_tables(page),
        training=training_parts(page),
        plots=evaluation_figures(page.plots),
        graph=step_graph(run.steps, page.inputs) if run.steps else "",
        steps=step_rows(page),
        data=data_cards(page),
        parameters=parameter_pairs(page),
        spec_text=spec_text(page),
        model=model_facts(page) if run.model_digest or page.manifest else [],
        files=model_files(page),
        environment=environment_pairs(page),
    )


def _standing(run: Run) -> tuple[str, str, str]:
    if run.verdict == "error" and on_purpose(run.reason):
        return "–", "Cancelled", "quiet"
    if (
        run.verdict == "fail"
        and not any(gate.state == "fail" for gate in run.gates)
        and _PLACE.match(run.reason)
    ):
        return "✗", "Spec error", "bad"
    return _VERDICTS[run.verdict]


def _judged(page: RunPage) -> str:
    """On which rows the metrics were measured."""
    rows, split = page.evaluation.get("n_rows"), page.evaluation.get("split")
    if not isinstance(rows, int) or not split:
        return ""
    return f"Measured on {number(rows)} rows of the {split} split."
