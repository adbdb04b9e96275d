"""What `fiat monitor` prints: traffic, alarms, how far each column is from what the model learned, how good it is."""

from collections.abc import Sequence
from datetime import UTC, datetime

from fiat.builtin.view_data import share_words
from fiat.builtin.view_sheet import Cell, Sheet, Table
from fiat.builtin.view_text import count, number
from fiat.builtin.watched_service import Track, WatchedService, tracks
from fiat.monitor.model import ColumnDrift, Window

_BARS = "▁▂▃▄▅▆▇█"
_WINDOWS = 24
_MOST_COLUMNS = 40
_MOST_TOLD = 10


def monitor_sheet(service: WatchedService) -> Sheet:
    """The service as people look at it: what is wrong first."""
    blocks: list[Table | tuple[Cell, ...]] = [(Cell(service.title, "strong"), *_standing(service))]
    blocks += [(Cell(f"✗ {sentence}", "bad"),) for sentence in service.alarms]
    if service.traffic:
        blocks.append(_traffic(service))
    found = tracks(service.drift)
    if found:
        blocks.append(_drift(found[:_MOST_COLUMNS], service.drift))
        if len(found) > _MOST_COLUMNS:
            blocks.append((Cell(f"{count(len(found) - _MOST_COLUMNS, 'column')} more: --json", "quiet"),))
    if service.quality:
        blocks.append(_quality(service.quality))
    if service.told:
        blocks.append(_told(service))
    blocks += [(Cell(f"! {note}", "doubt"),) for note in service.notes]
    return Sheet(tuple(blocks))


def spark(values: Sequence[float], limit: float) -> str:
    """Values as a line of blocks; the full height is twice the limit, or the largest value beyond that."""
    top = max([2 * limit, *values], default=0.0)
    return "".join(_BARS[min(7, int(value / top * 8))] if top > 0 else _BARS[0] for value in values)


def moved_words(column: ColumnDrift) -> str:
    """What moved most, and how."""
    parts = [
        f"{item.name} {share_words(item.before)} → {share_words(item.after)}" for item in column.moved[:2]
    ]
    return ", ".join(parts)


def time_words(seconds: float) -> str:
    """A moment for people, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _standing(service: WatchedService) -> tuple[Cell, ...]:
    words = f": {count(len(service.drift), 'window')} of requests"
    if service.n_skipped:
        words += f", {service.n_skipped:,} requests passed over"
    if service.n_dropped:
        return (Cell(words, "quiet"), Cell(f", {service.n_dropped:,} predictions not written down", "doubt"))
    if not service.alarms and service.drift:
        return (Cell(words, "quiet"), Cell(", no alarm", "good"))
    return (Cell(words, "quiet"),)


def _traffic(service: WatchedService) -> Table:
    heads = ("version", "state", "requests", "failed", "refused", "p50 ms", "p95 ms", "p99 ms")
    rows = tuple(
        (
            Cell(item.version, "strong"),
            Cell(item.state, "good" if item.state == "ready" else "doubt"),
            Cell(f"{item.requests:,}"),
            Cell(f"{item.failed:,}", "bad" if item.failed else ""),
            Cell(f"{item.refused:,}"),
            *(Cell(number(value)) for value in item.latency_ms),
        )
        for item in service.traffic
    )
    return Table(heads, rows, frozenset({2, 3, 4, 5, 6, 7}), title="served since its servers started")


def _drift(found: Sequence[Track], windows: Sequence[Window]) -> Table:
    newest = windows[-1]
    many = len({item.version for item in found}) > 1
    heads = ("column", "distance", "limit", "by chance", "over time", "moved most")
    rows = tuple(
        (
            Cell(f"{item.name} (version {item.version})" if many else item.name, "strong"),
            Cell(number(item.last.effect), "bad" if item.last.alarms else ""),
            Cell(number(item.last.limit), "quiet"),
            Cell(number(max(0.0, item.last.noise - item.last.bias)), "quiet"),
            Cell(spark([column.effect for _, column in item.points[-_WINDOWS:]], item.last.limit)),
            Cell(moved_words(item.last), "" if item.last.alarms else "quiet"),
        )
        for item in found
    )
    title = (
        f"window {newest.serial}: {newest.n_requests:,} requests to version {newest.version}, "
        f"{time_words(newest.begin_s)} to {time_words(newest.end_s)} UTC"
    )
    return Table(heads, rows, frozenset({1, 2, 3}), title=title)


def _quality(windows: Sequence[Window]) -> Table:
    rows = []
    for digest in dict.fromkeys(window.digest for window in reversed(windows)):
        own = [window for window in windows if window.digest == digest and window.quality]
        last = own[-1].quality if own else None
        if last is None:
            continue
        values = [window.quality.value for window in own[-_WINDOWS:] if window.quality]
        rows.append(
            (
                Cell(own[-1].version, "strong"),
                Cell(last.metric),
                Cell(number(last.value), "bad" if last.alarms else "good"),
                Cell(f"{number(last.low)} to {number(last.high)}", "quiet"),
                Cell(f"{last.n_labels:,}"),
                Cell(f"{own[-1].n_unmatched:,}", "quiet"),
                Cell(spark(values, max(values, default=0.0) / 2)),
            )
        )
    heads = ("version", "metric", "value", "interval", "labels", "unmatched", "over time")
    return Table(heads, tuple(rows), frozenset({2, 4, 5}), title="by labels that came")


def _told(service: WatchedService) -> Table:
    rows = tuple(
        (
            Cell(time_words(item.at_s), "quiet"),
            Cell(item.kind, "strong"),
            Cell(item.event, "bad" if item.event == "alarm" else "good"),
            Cell(item.sentence),
            Cell(item.result, "doubt"),
        )
        for item in service.told[-_MOST_TOLD:]
    )
    return Table(("", "told", "", "", ""), rows)
