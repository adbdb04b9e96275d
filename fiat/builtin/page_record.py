"""The record on a report page: steps, data, parameters, the model's package, the environment."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from markupsafe import Markup

from fiat.builtin.page_data_anomalies import CHECK, AnomalyRow, anomaly_row, checks_of
from fiat.builtin.page_json import items, leaves, mapping, text, whole
from fiat.builtin.page_model import RunPage
from fiat.builtin.svg_graph import SIGNS
from fiat.builtin.svg_timeline import share_bar, time_bar
from fiat.builtin.view_run import run_seconds
from fiat.builtin.view_text import count, moment, number, seconds, short, size
from fiat.run.model import StepResult
from fiat.validate.model import Anomaly

MOST_CLASSES = 20
MOST_ANOMALIES = 20
_SPLITS = ("train", "eval", "test")
_LONGEST = 400
_MOST_NAMES = 12

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class StepRow:
    """A step.

    Attributes:
        name: of the step.
        state: its state.
        sign: of the state.
        took: as text, empty when it did not run.
        bar: when it ran.
        reason: why.
        details: what it reads and made, attempts, peak memory.
    """

    name: str
    state: str
    sign: str
    took: str
    bar: Markup
    reason: str
    details: str


@dataclass(frozen=True)
class ClassRow:
    """A class of the label: its rows in each split, and a bar for the first."""

    name: str
    counts: tuple[str, ...]
    bar: Markup


@dataclass(frozen=True)
class DataCard:
    """A dataset.

    Attributes:
        name: of its step.
        splits: (split, rows, share).
        classes: the first MOST_CLASSES in the order of the data.
        class_splits: splits that the classes' counts are for.
        more_classes: how many are not shown.
        facts: digest, format, columns.
        checked: what its check found, in words and with their tone; empty when nothing was checked.
        anomalies: that the check found, errors first, the first MOST_ANOMALIES.
        more_anomalies: how many are not shown.
    """

    name: str
    splits: list[tuple[str, str, str]]
    classes: list[ClassRow]
    class_splits: tuple[str, ...]
    more_classes: int
    facts: Pairs
    checked: tuple[str, str, str] | None = None
    anomalies: tuple[AnomalyRow, ...] = ()
    more_anomalies: int = 0


def head_facts(page: RunPage) -> Pairs:
    """What stands under the verdict."""
    run = page.run
    commit = short(run.commit) + (" with uncommitted changes" if run.dirty else "") if run.commit else "none"
    pairs = [("Commit", commit), ("Branch", run.branch), ("Started", moment(run.started_at))]
    pairs += [("Took", seconds(run_seconds(run)) if run.ended_at else run.state), ("Host", run.host)]
    states = [step.state for step in run.steps]
    told = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    return [*((name, value) for name, value in pairs if value), ("Steps", told), ("Run", run.id)]


def step_rows(page: RunPage) -> list[StepRow]:
    """Every step in plan order."""
    starts = [step.started_at for step in page.run.steps if step.started_at]
    ends = [step.ended_at for step in page.run.steps if step.started_at and step.ended_at]
    start = min(starts, default=page.run.started_at)
    total_s = (max(ends) - start).total_seconds() if ends else 0.0
    return [_step_row(step, start, total_s, page.inputs.get(step.name, ())) for step in page.run.steps]


def _step_row(step: StepResult, start: datetime, total_s: float, inputs: Sequence[str]) -> StepRow:
    peak = whole(step.resources.get("peak_memory_bytes"))
    made = (
        f"{name} {short(item.digest, 8)} ({size(item.size_bytes)})" for name, item in step.outputs.items()
    )
    details = [f"reads {', '.join(inputs)}"] if inputs else []
    details += [f"has {', '.join(made)}"] if step.outputs else []
    details += [f"attempt {step.attempt}"] if step.attempt > 1 else []
    details += [f"peak memory {size(peak)}"] if peak else []
    return StepRow(
        name=step.name,
        state=step.state,
        sign=SIGNS[step.state],
        took=seconds(step.seconds) if step.state in ("ran", "failed", "cancelled") else "",
        bar=time_bar(step, start, total_s),
        reason=step.reason,
        details="; ".join(details),
    )


def data_cards(page: RunPage) -> list[DataCard]:
    """One card a data step; what its check found stands first."""
    found = checks_of(page.data)
    return [
        _checked(_data_card(name, facts), *found.get(name, (None, 0)))
        for name, facts in page.data.items()
        if not name.startswith(CHECK)
    ]


def _checked(card: DataCard, anomalies: Sequence[Anomaly] | None, n_anomalies: int) -> DataCard:
    if anomalies is None:
        return card
    if not n_anomalies:
        return replace(card, checked=("✓", "no anomalies", "good"))
    has_errors = any(item.severity == "error" for item in anomalies)
    shown = tuple(anomaly_row(item) for item in anomalies[:MOST_ANOMALIES])
    words = count(n_anomalies, "anomaly", "anomalies")
    return replace(
        card,
        checked=("✗", words, "bad") if has_errors else ("!", words, "doubt"),
        anomalies=shown,
        more_anomalies=n_anomalies - len(shown),
    )


def _data_card(name: str, facts: Mapping[str, object]) -> DataCard:
    rows = {split: whole(n_rows) for split, n_rows in mapping(facts.get("rows")).items()}
    rows = {split: rows[split] for split in (*_SPLITS, *rows) if split in rows}
    total = sum(rows.values()) or 1
    by_split = {split: mapping(counts) for split, counts in mapping(facts.get("class_rows")).items()}
    used = tuple(split for split in _SPLITS if by_split.get(split))
    names = list(dict.fromkeys(label for split in used for label in by_split[split]))
    largest = max((whole(n) for n in by_split[used[0]].values()), default=0) if used else 0
    classes = [
        ClassRow(
            label or "(empty)",
            tuple(number(whole(by_split[split].get(label))) for split in used),
            share_bar(whole(by_split[used[0]].get(label)) / (largest or 1)),
        )
        for label in names[:MOST_CLASSES]
    ]
    said = [
        ("Digest", text(facts.get("source_digest"))),
        ("Format", text(facts.get("format"))),
        ("Files", number(whole(facts.get("n_files"))) if facts.get("n_files") else ""),
        ("Size", size(whole(facts.get("size_bytes"))) if facts.get("size_bytes") else ""),
        ("Features", _names(facts.get("features"))),
        ("Columns", _columns(facts.get("columns"))),
        ("Model input", text(facts.get("layout"))),
    ]
    return DataCard(
        name=name,
        splits=[(split, number(n_rows), f"{n_rows / total:.0%}") for split, n_rows in rows.items()],
        classes=classes,
        class_splits=used,
        more_classes=max(0, len(names) - MOST_CLASSES),
        facts=[(label, value) for label, value in said if value],
    )


def _names(value: object) -> str:
    names = [text(name) for name in items(value)]
    more = len(names) - _MOST_NAMES
    tail = f" and {more} more" if more > 0 else ""
    return f"{count(len(names), 'column')}: {_cut(', '.join(names[:_MOST_NAMES]))}{tail}" if names else ""


def _columns(value: object) -> str:
    """Columns with their types, when a list of mappings says them; a bare number of columns as it is."""
    if isinstance(value, int):
        return number(value)
    said = [f"{text(item.get('name'))} ({text(item.get('type'))})" for item in map(mapping, items(value))]
    return _cut(", ".join(said))


def parameter_pairs(page: RunPage) -> Pairs:
    """The spec's parameters."""
    return [(key, _shown(value)) for key, value in leaves(page.run.config.get("params"))]


def spec_text(page: RunPage) -> str:
    """The composed spec as JSON, in the order of the spec; empty when there is none."""
    config = page.run.config
    return json.dumps(config, indent=2, ensure_ascii=False, default=str) if config else ""


def model_facts(page: RunPage) -> Pairs:
    """What the package is."""
    manifest, signature = page.manifest, page.signature
    parity = mapping(page.evaluation.get("parity"))
    pairs = [
        ("Name", text(manifest.get("name"))),
        ("Package", page.run.model_digest),
        ("Inputs", _tensors(signature.get("inputs"))),
        ("Outputs", _tensors(signature.get("outputs"))),
        ("Labels", _cut(", ".join(_shown(label) for label in items(signature.get("labels"))))),
        ("Opset", text(signature.get("opset"))),
        ("Exported by", text(signature.get("producer"))),
        ("Graph", size(whole(page.evaluation.get("model_size_bytes"))) if page.evaluation else ""),
        ("Parity", _parity(parity) if parity else ""),
    ]
    return [(name, value) for name, value in pairs if value]


def model_files(page: RunPage) -> list[tuple[str, str, str]]:
    """Name, size and SHA-256 of each file of the package."""
    files = {name: mapping(facts) for name, facts in mapping(page.manifest.get("files")).items()}
    return [
        (name, size(whole(facts.get("size_bytes"))), text(facts.get("sha256")))
        for name, facts in files.items()
    ]


def _tensors(value: object) -> str:
    said = []
    for item in map(mapping, items(value)):
        axes = ", ".join("n" if axis is None else text(axis) for axis in items(item.get("shape")))
        said.append(f"{text(item.get('name'))} {text(item.get('dtype'))} ({axes})")
    return _cut("; ".join(said))


def _parity(parity: Mapping[str, object]) -> str:
    largest, wrong = parity.get("max_abs"), whole(parity.get("label_mismatches"))
    far = number(float(largest)) if isinstance(largest, int | float) else "infinite"
    rows = count(whole(parity.get("n_rows")), "row")
    labels = f", {count(wrong, 'other label')}" if wrong else ""
    return f"largest difference to the framework's model {far} on {rows}{labels}"


def environment_pairs(page: RunPage) -> Pairs:
    """Digests and versions."""
    run = page.run
    pairs = [("spec", run.spec_path), ("spec digest", run.spec_digest), ("plan digest", run.plan_digest)]
    return [(name, value) for name, value in pairs if value] + list(page.versions.items())


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _cut(value: str) -> str:
    return value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"
