"""The record in a comment: steps, data, warnings, what a merge would change and deploy. Markdown."""

import json
from collections.abc import Mapping, Sequence

from fiat.builtin.page_data_anomalies import CHECK, checks_of
from fiat.builtin.page_json import mapping, text, whole
from fiat.builtin.report_comment_metrics import numbers_of
from fiat.builtin.report_markdown import block, code, prose, steps_set_off, table
from fiat.builtin.svg_graph import SIGNS
from fiat.builtin.view_text import count, seconds
from fiat.run.model import Run, StepResult
from fiat.validate.findings_file import rows_named
from fiat.validate.model import Anomaly

MOST_STEPS = 60
MOST_WARNINGS = 15
MOST_DATASETS = 15
MOST_ANOMALIES = 12
MOST_CHANGES = 30
MOST_TARGETS = 20
LOG_LINES = 20
_LONGEST_VALUE = 120
_LONGEST_REASON = 200
_LONGEST_ANOMALY = 300
_WORKED = frozenset({"ran", "failed", "cancelled"})


def steps_part(steps: Sequence[StepResult]) -> str:
    """Every step with its state, its time and why; what failed first when there are too many."""
    shown = list(steps)
    names = frozenset(step.name for step in steps)
    if len(shown) > MOST_STEPS:
        shown = sorted(steps, key=lambda step: step.state != "failed")[:MOST_STEPS]
    rows = [
        (
            f"{SIGNS[step.state]} {code(step.name)}",
            step.state,
            seconds(step.seconds) if step.state in _WORKED else "",
            prose(steps_set_off(step.reason, names), _LONGEST_REASON),
        )
        for step in shown
    ]
    tail = (
        f"\n\n{count(len(steps) - len(shown), 'more step')} in the report." if len(steps) > len(shown) else ""
    )
    return table(("step", "state", "time", "why"), rows, frozenset({2})) + tail if rows else ""


def steps_summary(steps: Sequence[StepResult]) -> str:
    """`Steps: 3 ran, 2 reused, 48 s of work`, in our own words."""
    states = [step.state for step in steps]
    told = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    work_s = sum(step.seconds for step in steps if step.state in _WORKED)
    return "Steps: " + ", ".join([*told, *([f"{seconds(work_s)} of work"] if work_s else [])])


def anomalies_part(data: Mapping[str, Mapping[str, object]]) -> str:
    """What checks found in the data, errors first, each with its rows; nothing where they found nothing.

    Args:
        data: facts of the steps `data.<name>` and `check.<name>`.
    """
    parts = []
    for name, (anomalies, n_anomalies) in list(checks_of(data).items())[:MOST_DATASETS]:
        if not n_anomalies:
            continue
        lines = [_anomaly(item) for item in anomalies[:MOST_ANOMALIES]]
        more = n_anomalies - len(lines)
        lines += [f"- {count(more, 'more anomaly', 'more anomalies')} in the report"] if more else []
        head = f"Anomalies in {code(name)}: {_found(anomalies, n_anomalies)}"
        parts.append("\n".join((head, "", *lines)))
    return "\n\n".join(parts)


def _anomaly(item: Anomaly) -> str:
    """Sign, column, split, sentence, and the rows: these are not cut with the sentence."""
    sign = "❌" if item.severity == "error" else "⚠️"
    about = code(item.column) if item.column else "the data"
    split = f" ({prose(item.split, 20)})" if item.split else ""
    rows = prose(rows_named(item), _LONGEST_REASON)
    return f"- {sign} {about}{split}: {prose(item.message, _LONGEST_ANOMALY)}{f' ({rows})' if rows else ''}"


def _found(anomalies: Sequence[Anomaly], n_anomalies: int) -> str:
    """Of which kind they are, as far as they are told."""
    n_errors = sum(item.severity == "error" for item in anomalies)
    if len(anomalies) < n_anomalies:
        return f"{n_anomalies:,}, the first {len(anomalies)} with {count(n_errors, 'error')}"
    told = [count(n_errors, "error")] if n_errors else []
    n_warnings = n_anomalies - n_errors
    return " and ".join(told + ([count(n_warnings, "warning")] if n_warnings else []))


def dataset_count(data: Mapping[str, Mapping[str, object]]) -> int:
    """How many datasets there are."""
    return sum(not name.startswith(CHECK) for name in data)


def data_part(data: Mapping[str, Mapping[str, object]]) -> str:
    """Rows of each dataset by split."""
    lines = []
    datasets = [(name, facts) for name, facts in data.items() if not name.startswith(CHECK)]
    for name, facts in datasets[:MOST_DATASETS]:
        rows = {split: whole(n_rows) for split, n_rows in list(mapping(facts.get("rows")).items())[:5]}
        lines.append(f"- {code(name)}: {numbers_of(rows)} rows" if rows else f"- {code(name)}")
    if len(datasets) > len(lines):
        lines.append(f"- {count(len(datasets) - len(lines), 'more dataset')}")
    return "\n".join(lines)


def warnings_part(warnings: Sequence[str]) -> str:
    """What steps warned about, data first of all."""
    lines = [f"- ⚠️ {prose(warning)}" for warning in warnings[:MOST_WARNINGS]]
    if len(warnings) > len(lines):
        lines.append(f"- {count(len(warnings) - len(lines), 'more warning')} in the report")
    return "\n".join(lines)


def changed_part(changed: Sequence[tuple[str, object, object]], base: str) -> str:
    """Sections that this pull request changes and that count only after the merge.

    Args:
        changed: key, value before and after, JSON values; None for one that is not there.
        base: the branch that decides until then.
    """
    if not changed:
        return ""
    rows = [(code(key), _value(before), _value(after)) for key, before, after in changed[:MOST_CHANGES]]
    more = len(changed) - len(rows)
    tail = f"\n\n{count(more, 'more change')} not shown." if more else ""
    where = f"on {code(base)}" if base else "on the base branch"
    head = f"**Counts only after the merge.** This run was judged by what stands {where}; this pull request changes:"
    return f"{head}\n\n{table(('key', 'now', 'after the merge'), rows)}{tail}"


def deploys_part(run: Run, base: str, refused: Sequence[str] = ()) -> str:
    """What a merge would deploy to, by the section `deploy` of the run's spec.

    Args:
        run: with its verdict and composed spec.
        base: the branch that it would be merged into.
        refused: sentences about targets that are not granted; with one of these nothing is deployed.
    """
    targets = {name: mapping(section) for name, section in mapping(run.config.get("deploy")).items()}
    meant = {name: section for name, section in targets.items() if _takes(section, base)}
    if not meant:
        return ""
    if run.verdict not in ("pass", "warn") or refused:
        return "A merge as it is would deploy nothing."
    told = [
        f"{code(name)} ({prose(text(section.get('to')), 30)})"
        for name, section in list(meant.items())[:MOST_TARGETS]
    ]
    more = f" and {len(meant) - MOST_TARGETS} more" if len(meant) > MOST_TARGETS else ""
    return f"After the merge it is deployed to {', '.join(told)}{more}."


def refused_part(refused: Sequence[str]) -> str:
    """Which rules refuse something that this commit asks for."""
    lines = [f"- ⛔ {prose(reason)}" for reason in refused[:MOST_WARNINGS]]
    if len(refused) > len(lines):
        lines.append(f"- {len(refused) - len(lines)} more")
    return "\n".join(lines)


def logs_part(logs: Mapping[str, Sequence[str]]) -> str:
    """The last lines of steps that failed."""
    told = [
        f"The end of {code(step)}:\n\n{block(lines[-LOG_LINES:])}"
        for step, lines in list(logs.items())[:3]
        if lines
    ]
    return "\n\n".join(told)


def _takes(section: Mapping[str, object], base: str) -> bool:
    branch = mapping(section.get("when")).get("branch")
    return not branch or not base or branch == base


def _value(value: object) -> str:
    if value is None:
        return "–"
    return code(
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str),
        _LONGEST_VALUE,
    )
