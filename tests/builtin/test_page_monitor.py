"""The watching report: what alarms first, hostile names harmless, nothing fetched from anywhere."""

from datetime import UTC, datetime
from html.parser import HTMLParser

from fiat.builtin.page_monitor import render_monitor
from fiat.builtin.view_monitor import monitor_sheet, spark
from fiat.builtin.view_sheet import plain_text
from fiat.builtin.watched_service import Told, Traffic, WatchedService
from fiat.monitor.model import ColumnDrift, Moved, Quality, Window

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\x1b[31m"


def drift(serial: int, *effects: float, names: tuple[str, ...] = ("amount", HOSTILE)) -> Window:
    columns = tuple(
        ColumnDrift(name, effect, 0.0, 0.02, 1e-9, 0.1, effect > 0.1, (Moved(HOSTILE, 0.1, 0.9),))
        for name, effect in zip(names, effects, strict=False)
    )
    return Window(
        serial, "drift", "aaaaaaaa", "1", "c0", 1e9 + serial, 1e9 + serial + 1, 500, 500, columns,
        latency_us=(1.0, 2.0, 3.0),
    )  # fmt: skip


def quality(serial: int, value: float, *, alarms: bool = False) -> Window:
    judged = Quality("accuracy", value, value - 0.1, value + 0.1, 200, alarms)
    return Window(serial, "quality", "aaaaaaaa", "1", "c0", 1e9, 1e9, 200, 200, quality=judged, n_unmatched=3)


SERVICE = WatchedService(
    title=HOSTILE,
    traffic=(Traffic("1", "aaaaaaaa", "ready", 1234, 5, 6, 1234, (0.5, 1.5, float("nan"))),),
    n_dropped=7,
    windows=(drift(1, 0.01, 0.02), drift(2, 0.3, 0.02), quality(3, 0.8), quality(4, 0.5, alarms=True)),
    alarms=(f"drift: {HOSTILE}",),
    told=(Told(1e9, "webhook", "alarm", HOSTILE, "it answered 500"),),
    notes=(HOSTILE,),
)


class Tags(HTMLParser):
    """Tags and ids of a page, and whether each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href") and value]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


def read(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    return tags


def test_the_page_is_whole_and_names_of_users_are_harmless() -> None:
    page = render_monitor(SERVICE, NOW)
    tags = read(page)
    assert "script" not in tags.tags
    assert all(source.startswith("#") for source in tags.sources)
    assert "\x1b" not in page
    assert "&lt;script&gt;" in page


def test_what_alarms_comes_first_and_windows_are_drawn() -> None:
    page = render_monitor(SERVICE, NOW)
    assert page.index("1 alarm") < page.index("Columns")
    assert page.index(">amount<") < page.index('id="column-2"')
    assert page.count('class="bar window bad"') == 1
    assert page.count('class="mark worse"') == 1
    assert "1 of 2 windows beyond the limit" in page
    assert "7 predictions" in page
    assert "3 labels without a logged prediction" in page


def test_a_service_that_nobody_called_has_a_page_too() -> None:
    page = render_monitor(WatchedService("taxi"), NOW)
    read(page)
    assert "Nothing was judged yet" in page
    assert plain_text(monitor_sheet(WatchedService("taxi"))).startswith("taxi: 0 windows of requests")


def test_the_terminal_says_the_same() -> None:
    text = plain_text(monitor_sheet(SERVICE))
    assert "\x1b" not in text
    assert "7 predictions not written down" in text
    assert "it answered 500" in text
    amount = next(line for line in text.splitlines() if line.startswith("amount"))
    assert "0.3000" in amount
    assert "0.1000" in amount


def test_a_line_of_blocks_shows_the_limit_at_half_its_height() -> None:
    assert spark([0.0, 0.099, 0.1, 0.2], 0.1) == "▁▄▅█"
    assert spark([0.1, 0.4], 0.1) == "▃█"
    assert spark([0.0], 0.0) == "▁"


def test_passed_over_requests_are_counted_and_not_drawn() -> None:
    passed = Window(2, "drift", "aaaaaaaa", "1", "c0", 0.0, 0.0, 0, 0, n_skipped=900)
    service = WatchedService("taxi", windows=(drift(1, 0.01), passed))
    assert "900 requests passed over" in plain_text(monitor_sheet(service))
    assert render_monitor(service, NOW).count('class="bar tone1"') == 1
