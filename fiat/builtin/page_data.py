"""The data report: one HTML page with a row a column, splits side by side, anomalies first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fiat.builtin.page_data_anomalies import AnomalyRow, anomaly_row, errors_first
from fiat.builtin.page_data_charts import Place
from fiat.builtin.page_data_columns import ColumnCard, Known, column_card
from fiat.builtin.page_data_facts import missing_share
from fiat.builtin.page_data_moved import (
    Move,
    came_and_went,
    columns_of,
    most_moved,
    moves_of,
    pairs_of,
)
from fiat.builtin.page_data_names import cut, name_words
from fiat.builtin.page_data_slices import slice_tables
from fiat.builtin.page_data_words import asked_of_column, asked_of_data
from fiat.builtin.page_frame import page_style, page_template
from fiat.builtin.view_data import share_words
from fiat.builtin.view_text import count, moment, number, short
from fiat.profile.distance import comparable
from fiat.profile.model import ColumnProfile, DataProfile, Profile
from fiat.validate.model import Findings, Schema
from fiat.validate.movement_words import METRICS

MOST_OPEN = 60
"""Columns of a page that are all unfolded; of more only those with anomalies are, as many as these."""
MOST_ANOMALIES = 300
MOST_MOVED = 15
MANY_COLUMNS = 200
"""From so many on pictures are drawn without words for each bar."""


@dataclass(frozen=True)
class DataPage:
    """What the data report shows.

    Attributes:
        title: how people call the data.
        profile: of every split and slice.
        schema: that they were held against, or the inferred one.
        findings: anomalies; None when nothing was checked.
        previous: of the accepted data before these; None when there is none.
        made_at: aware UTC as ISO 8601 text.
    """

    title: str
    profile: DataProfile
    schema: Schema
    findings: Findings | None = None
    previous: DataProfile | None = None
    made_at: str = ""


def render_data(page: DataPage) -> str:
    """The page as one self-contained HTML document: no script from elsewhere, no request to anywhere.

    The same text for the same input. Whatever the data or users named is escaped, and control characters in it are made
    visible. The page's own policy forbids scripts and every request.
    """
    splits = [item for item in page.profile.profiles if not item.slice]
    names = _names(page, splits)
    links = {name: f"column-{place}" for place, name in enumerate(names, 1)}
    pairs = pairs_of(page.profile, page.previous)
    moves = {name: moves_of(name, pairs, page.schema) for name in names}
    every = [move for found in moves.values() for move in found]
    anomalies = errors_first(page.findings.anomalies) if page.findings else []
    rows = [
        (item.column, anomaly_row(item, links.get(item.column, ""))) for item in anomalies[:MOST_ANOMALIES]
    ]
    cards = _cards(
        page, splits, links, moves, rows, {pair.split: pair.before for pair in pairs if pair.previous}
    )
    sign, word, tone = _standing(page.findings)
    return page_template("data.html").render(
        style=page_style("run.css", "anomalies.css", "data.css"),
        title=cut(page.title, 200),
        sign=sign,
        word=word,
        tone=tone,
        facts=_head(page, splits),
        checked=page.findings is not None,
        anomalies=[row for _, row in rows],
        more_anomalies=len(anomalies) - len(rows),
        moved=[
            (move, links[move.column]) for move in most_moved([m for m in every if m.previous], MOST_MOVED)
        ],
        apart=[
            (move, links[move.column])
            for move in most_moved([m for m in every if not m.previous], MOST_MOVED)
        ],
        n_moved=_moved_columns(every, previous=True),
        n_apart=_moved_columns(every, previous=False),
        metrics=METRICS,
        number=number,
        previous=page.previous is not None,
        slices=slice_tables(page.profile, links),
        cards=cards,
        listed=_listed(cards),
        folded=len(cards) > MOST_OPEN,
        missing=_most_missing(splits, links),
        asked=asked_of_data(page.schema),
        notes=[cut(note, 400) for note in page.schema.notes[:100]],
    )


def _names(page: DataPage, splits: Sequence[Profile]) -> list[str]:
    """Columns of the data, then those that only the schema has, then those that are gone since."""
    named = [column.name for item in splits for column in item.columns]
    named += [column.name for column in page.schema.columns]
    named += [name for name, _ in came_and_went(page.profile, page.previous)]
    return list(dict.fromkeys(named))


def _cards(
    page: DataPage,
    splits: Sequence[Profile],
    links: dict[str, str],
    moves: dict[str, list[Move]],
    rows: Sequence[tuple[str, AnomalyRow]],
    befores: Mapping[str, Mapping[str, ColumnProfile]],
) -> list[ColumnCard]:
    label = page.profile.label or page.schema.label
    notes = dict(came_and_went(page.profile, page.previous))
    columns = [columns_of(item) for item in splits]
    asked = {column.name: column for column in page.schema.columns}
    by_column: dict[str, list[AnomalyRow]] = {}
    for name, row in rows:
        by_column.setdefault(name, []).append(row)
    left = MOST_OPEN
    cards = []
    for name, link in links.items():
        places = [
            _place(split.split, by_name[name], befores.get(split.split, {}).get(name))
            for split, by_name in zip(splits, columns, strict=True)
            if name in by_name
        ]
        is_open = len(links) <= MOST_OPEN or (name in by_column and left > 0)
        left -= is_open
        known = Known(
            id=link,
            name=name,
            is_label=name == label,
            is_open=is_open,
            small=len(links) > MANY_COLUMNS,
            note=notes.get(name, ""),
            moves=moves[name],
            asked=asked_of_column(asked[name], places[0].now.kind if places else None)
            if name in asked
            else [],
            anomalies=by_column.get(name, []),
        )
        cards.append(column_card(known, places))
    return cards


def _place(split: str, now: ColumnProfile, before: ColumnProfile | None) -> Place:
    return Place(split, now, before if before is not None and comparable(before, now) else None)


def _standing(findings: Findings | None) -> tuple[str, str, str]:
    if findings is None:
        return "–", "Described, not checked", "quiet"
    n_errors = len(findings.errors)
    n_warnings = len(findings.anomalies) - n_errors
    words = [count(n_errors, "error")] if n_errors else []
    words += [count(n_warnings, "warning")] if n_warnings else []
    if not words:
        return "✓", "No anomalies", "good"
    return ("✗", " and ".join(words), "bad") if n_errors else ("!", words[0], "doubt")


def _head(page: DataPage, splits: Sequence[Profile]) -> list[tuple[str, str]]:
    total = sum(item.n_rows for item in splits)
    pairs = [(f"{item.split.capitalize() or 'All'} rows", _rows(item, total)) for item in splits]
    label = page.profile.label or page.schema.label
    n_columns = max((len(item.columns) for item in splits), default=0)
    pairs += [("Columns", f"{n_columns:,}"), ("Label", name_words(label) if label else "")]
    compared = page.findings.compared if page.findings else {}
    pairs += [("Compared with", ", ".join(sorted(cut(name) for name in compared)))]
    pairs += [("Digest", short(page.profile.source_digest)), ("Made at", _made_at(page.made_at))]
    return [(name, value) for name, value in pairs if value]


def _made_at(text: str) -> str:
    try:
        return moment(datetime.fromisoformat(text))
    except ValueError:
        return cut(text)


def _rows(item: Profile, total: int) -> str:
    return (
        f"{item.n_rows:,}"
        if item.n_rows == total
        else f"{item.n_rows:,} ({share_words(item.n_rows / total)})"
    )


def _moved_columns(moves: Sequence[Move], *, previous: bool) -> int:
    return len({move.column for move in moves if move.is_beyond and move.previous == previous})


def _most_missing(splits: Sequence[Profile], links: dict[str, str]) -> list[tuple[str, str, str]]:
    """(name, link, share) of the columns with the most missing values, all rows taken together."""
    shares: dict[str, float] = {}
    for item in splits:
        for column in item.columns:
            shares[column.name] = max(shares.get(column.name, 0.0), missing_share(column))
    ranked = sorted((name for name in shares if shares[name] > 0), key=lambda name: -shares[name])
    return [(name_words(name), links[name], share_words(shares[name])) for name in ranked[:MOST_MOVED]]


def _listed(cards: Sequence[ColumnCard]) -> list[ColumnCard]:
    """By name, as people look them up."""
    return sorted(cards, key=lambda card: (card.name.casefold(), card.id))
