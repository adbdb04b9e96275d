"""The watching report: one HTML page with what alarms first, then each column over time, and quality by labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from fiat.builtin.page_data_names import cut
from fiat.builtin.page_frame import page_style, page_template
from fiat.builtin.svg_windows import Bar, Dot, window_bars, window_dots
from fiat.builtin.view_data import share_words
from fiat.builtin.view_monitor import moved_words, time_words
from fiat.builtin.view_text import count, moment, number, size
from fiat.builtin.watched_service import Track, WatchedService, tracks
from fiat.monitor.model import Window

MOST_WINDOWS = 90
MOST_OPEN = 60
_MOST_CARDS = 400
_MOST_TOLD = 50


@dataclass(frozen=True)
class Card:
    """One column over time.

    Attributes:
        id: of its place in the page.
        name: of the column.
        version: name of the version that answered.
        tags: words with their tone.
        facts: names with values, of the newest window.
        chart: its windows.
        moved: (value or interval, share before, share after) of what moved most.
        is_open: unfolded.
    """

    id: str
    name: str
    version: str
    tags: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    chart: Markup
    moved: tuple[tuple[str, str, str], ...]
    is_open: bool


def render_monitor(service: WatchedService, made_at: datetime) -> str:
    """The page as one self-contained HTML document: no script, no request to anywhere.

    Args:
        service: what to show.
        made_at: aware UTC.
    """
    found = tracks(service.drift)
    cards = [_card(item, place, len(found)) for place, item in enumerate(found[:_MOST_CARDS], 1)]
    sign, word, tone = _standing(service)
    return page_template("monitor.html").render(
        style=page_style("run.css", "data.css", "monitor.css"),
        title=cut(service.title, 200),
        sign=sign,
        word=word,
        tone=tone,
        facts=_facts(service, made_at),
        alarms=[cut(sentence, 600) for sentence in service.alarms],
        traffic=service.traffic,
        number=number,
        quality=[_quality(service.quality, digest) for digest in _versions(service.quality)],
        cards=cards,
        moved=[(card, item) for card, item in zip(cards, found, strict=False) if item.last.alarms],
        moved_words=moved_words,
        more=len(found) - len(cards),
        told=[(time_words(item.at_s), item) for item in reversed(service.told[-_MOST_TOLD:])],
        notes=[cut(note, 400) for note in service.notes],
    )


def _standing(service: WatchedService) -> tuple[str, str, str]:
    if service.alarms:
        return "✗", count(len(service.alarms), "alarm"), "bad"
    if not (service.drift or service.quality):
        return "–", "Nothing was judged yet", "quiet"
    return "✓", "No alarm", "good"


def _facts(service: WatchedService, made_at: datetime) -> list[tuple[str, str]]:
    windows = service.drift
    facts = [("Windows", f"{len(windows):,}" if windows else "")]
    if windows:
        last = windows[-1]
        facts.append(("Requests in a window", f"{last.n_requests:,}"))
        facts.append(("Newest window", f"{time_words(last.begin_s)} to {time_words(last.end_s)} UTC"))
        facts.append(
            ("Latency p50, p95, p99", ", ".join(f"{number(us / 1000)} ms" for us in last.latency_us))
        )
    facts.append(("Passed over", f"{service.n_skipped:,} requests" if service.n_skipped else ""))
    facts.append(("Not written down", f"{service.n_dropped:,} predictions" if service.n_dropped else ""))
    facts.append(("Log", size(service.logged_bytes) if service.logged_bytes else ""))
    facts.append(("Made at", moment(made_at)))
    return [(name, value) for name, value in facts if value]


def _card(track: Track, place: int, n_tracks: int) -> Card:
    last = track.last
    points = track.points[-MOST_WINDOWS:]
    bars = [
        Bar(
            column.effect,
            max(0.0, column.noise - column.bias),
            column.alarms,
            f"{time_words(window.begin_s)}: {number(column.effect)}",
        )
        for window, column in points
    ]
    ends = (time_words(points[0][0].begin_s), time_words(points[-1][0].end_s))
    n_alarms = sum(column.alarms for _, column in track.points)
    tags: list[tuple[str, str]] = []
    if last.alarms:
        tags.append(("moved", "bad"))
    if n_alarms:
        tags.append((f"{n_alarms} of {count(len(track.points), 'window')} beyond the limit", "doubt"))
    facts = (
        ("Distance", number(last.effect)),
        ("Limit", number(last.limit)),
        ("By chance", number(max(0.0, last.noise - last.bias))),
        ("Chance of as much", f"{last.p_value:.2g}"),
        ("Missing", share_words(last.missing)),
    )
    moved = tuple((cut(item.name), share_words(item.before), share_words(item.after)) for item in last.moved)
    return Card(
        id=f"column-{place}",
        name=cut(track.name),
        version=track.version,
        tags=tuple(tags),
        facts=facts,
        chart=window_bars(f"Distance of {cut(track.name, 60)}", bars, last.limit, ends),
        moved=moved,
        is_open=n_tracks <= MOST_OPEN or last.alarms,
    )


def _versions(windows: Sequence[Window]) -> list[str]:
    return list(dict.fromkeys(window.digest for window in reversed(windows)))


def _quality(windows: Sequence[Window], digest: str) -> tuple[str, str, str, Markup, str]:
    """(version, metric, sentence, picture, tone) of one version."""
    judged = [
        (window, window.quality)
        for window in windows
        if window.digest == digest and window.quality is not None
    ][-MOST_WINDOWS:]
    dots = [
        Dot(
            item.value,
            item.low,
            item.high,
            item.alarms,
            f"{time_words(window.begin_s)}: {number(item.value)} ({number(item.low)} to {number(item.high)})",
        )
        for window, item in judged
    ]
    newest, last = judged[-1]
    said = (
        f"{number(last.value)}, {number(last.low)} to {number(last.high)}, by {count(last.n_labels, 'label')}"
    )
    if newest.n_unmatched:
        said += f"; {count(newest.n_unmatched, 'label')} without a logged prediction"
    ends = (time_words(judged[0][0].begin_s), time_words(newest.end_s))
    tone = "bad" if last.alarms else "good"
    return newest.version, last.metric, said, window_dots(last.metric, dots, (), ends), tone
