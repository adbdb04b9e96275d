"""Anomalies as pages show them: kind, column, sentence, and the rows that show it with what they hold."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fiat.builtin.page_data_names import LONGEST_NAME, cut, name_words, value_words
from fiat.builtin.page_json import items, mapping, text, whole
from fiat.validate.findings_file import rows_named
from fiat.validate.kinds import KINDS
from fiat.validate.model import Anomaly, Example

LONGEST_SENTENCE = 600
LONGEST_EXAMPLE = 200
CHECK = "check."
_SIGNS = {"error": ("✗", "error", "bad"), "warn": ("!", "warning", "doubt")}


@dataclass(frozen=True)
class AnomalyRow:
    """An anomaly.

    Attributes:
        sign: of its severity.
        severity: as a word.
        tone: of its severity.
        kind: its name.
        title: what the kind means; empty for a kind that is unknown here.
        column: its name, empty for the data as a whole.
        link: id of the column's row; empty where it has none.
        split: where it was found; empty for all.
        message: what was found and expected.
        rows: which rows show it, as words.
        examples: (split, row, value) of those with a value.
        key: what asked for it.
    """

    sign: str
    severity: str
    tone: str
    kind: str
    title: str
    column: str
    link: str
    split: str
    message: str
    rows: str
    examples: list[tuple[str, str, str]]
    key: str


def anomaly_row(item: Anomaly, link: str = "") -> AnomalyRow:
    """An anomaly for a page.

    Args:
        item: hostile.
        link: id of its column's row on the page.
    """
    sign, word, tone = _SIGNS[item.severity]
    known = KINDS.get(item.kind)
    return AnomalyRow(
        sign=sign,
        severity=word,
        tone=tone,
        kind=cut(item.kind),
        title=known.title if known else "",
        column=name_words(item.column) if item.column else "",
        link=link,
        split=cut(item.split),
        message=cut(item.message, LONGEST_SENTENCE),
        rows=rows_named(item),
        examples=[_example(example) for example in item.examples if example.row or example.value is not None],
        key=cut(item.key, LONGEST_NAME),
    )


def anomalies_of(facts: Mapping[str, object]) -> list[Anomaly]:
    """The anomalies that a check step told in its facts, errors first; what has not their shape is left out."""
    found = []
    for item in map(mapping, items(facts.get("anomalies"))):
        examples = tuple(
            Example(text(example.get("split")), whole(example.get("row")), example.get("value"))
            for example in map(mapping, items(item.get("examples")))
        )
        if item:
            anomaly = Anomaly(
                text(item.get("kind")),
                text(item.get("column")),
                text(item.get("message")),
                n_rows=whole(item.get("n_rows")),
                examples=examples,
                severity="warn" if item.get("severity") == "warn" else "error",
                split=text(item.get("split")),
                key=text(item.get("key")),
            )
            found.append(anomaly)
    return errors_first(found)


def checks_of(data: Mapping[str, Mapping[str, object]]) -> dict[str, tuple[list[Anomaly], int]]:
    """Dataset (as `data.<name>`) to the anomalies that its check told, and how many there are in all.

    Args:
        data: facts of the steps `data.<name>` and `check.<name>`.
    """
    found = {}
    for name, facts in data.items():
        if name.startswith(CHECK):
            told = anomalies_of(facts)
            found[f"data.{name.removeprefix(CHECK)}"] = told, max(len(told), whole(facts.get("n_anomalies")))
    return found


def errors_first(anomalies: Sequence[Anomaly]) -> list[Anomaly]:
    """Errors, then warnings, each in the order of the rules."""
    return sorted(anomalies, key=lambda item: item.severity != "error")


def value_text(value: object) -> str:
    """What a row holds, as people read it: texts bare, everything else as JSON, not too long."""
    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return cut(said, LONGEST_EXAMPLE) if said.strip() else value_words(said)


def _example(example: Example) -> tuple[str, str, str]:
    return cut(example.split), f"{example.row:,}" if example.row else "", value_text(example.value)
