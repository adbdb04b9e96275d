"""When a schedule is due, and when data has changed."""

import importlib.util
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from fiat.builtin.source_dvc import DvcSource
from fiat.builtin.source_path import GlobSource, PathSource
from fiat.builtin.source_url import UrlSource
from fiat.engine.schedule import Probing, due, probe_data
from fiat.errors import EnvironmentFault, SpecError
from fiat.ports.confinement import Confinement
from fiat.ports.source import Source
from fiat.spec.model import Spec
from fiat.spec.trigger_section import Schedule

_PLACE = importlib.util.spec_from_file_location(
    "http_stage", Path(__file__).parent.parent / "builtin" / "http_stage.py"
)
assert _PLACE is not None
assert _PLACE.loader is not None
http_stage = importlib.util.module_from_spec(_PLACE)
sys.modules["http_stage"] = http_stage
_PLACE.loader.exec_module(http_stage)

NIGHTLY = Schedule(cron="0 3 * * *")
BERLIN = "Europe/Berlin"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_time_that_has_come_is_due_once() -> None:
    last, now = utc("2026-05-01T03:00"), utc("2026-05-02T03:00")
    assert due(NIGHTLY, last, now - timedelta(microseconds=1)) is None
    assert due(NIGHTLY, last, now) == now
    assert due(NIGHTLY, now, now) is None
    assert due(NIGHTLY, now, now + timedelta(hours=23, minutes=59)) is None


def test_many_missed_times_are_one_run_for_the_newest() -> None:
    assert due(NIGHTLY, utc("2026-01-01T00:00"), utc("2026-05-02T12:00")) == utc("2026-05-02T03:00")


def test_a_clock_that_is_set_back_repeats_nothing() -> None:
    done = utc("2026-05-02T03:00")
    for hours in range(1, 24):
        assert due(NIGHTLY, done, done - timedelta(hours=hours)) is None
    assert due(NIGHTLY, done, done + timedelta(days=1)) == done + timedelta(days=1)


def test_a_clock_that_was_far_ahead_costs_one_run_and_then_it_goes_on() -> None:
    now = utc("2026-05-02T12:00")
    ahead = due(NIGHTLY, utc("2026-05-02T03:00"), now.replace(year=2031))
    assert ahead == utc("2031-05-02T03:00")
    mended = due(NIGHTLY, ahead, now)
    assert mended == utc("2026-05-02T03:00")
    assert due(NIGHTLY, mended, now + timedelta(hours=1)) is None
    assert due(NIGHTLY, mended, now + timedelta(hours=20)) == utc("2026-05-03T03:00")


@pytest.mark.parametrize(
    ("cron", "local", "expected"),
    [
        ("30 2 * * *", "2026-03-29T03:00+02:00", "2026-03-29T03:00+02:00"),  # 2:30 does not exist
        ("30 2 * * *", "2026-03-29T01:59+01:00", "2026-03-28T02:30+01:00"),
        ("30 2 * * *", "2026-10-25T02:45+02:00", "2026-10-25T02:30+02:00"),  # 2:30 comes twice
        ("30 2 * * *", "2026-10-25T02:45+01:00", "2026-10-25T02:30+02:00"),
        ("30 * * * *", "2026-10-25T02:45+01:00", "2026-10-25T02:30+01:00"),
        ("0 3 * * *", "2026-07-01T12:00+02:00", "2026-07-01T03:00+02:00"),
        ("0 3 * * *", "2026-12-01T12:00+01:00", "2026-12-01T03:00+01:00"),
    ],
)
def test_a_zone_with_summer_time(cron: str, local: str, expected: str) -> None:
    schedule, now = Schedule(cron=cron, timezone=BERLIN), datetime.fromisoformat(local)
    tick = due(schedule, now - timedelta(days=3), now)
    assert tick is not None
    assert tick.isoformat() == datetime.fromisoformat(expected).astimezone(UTC).isoformat()
    assert due(schedule, tick, now) is None


@settings(max_examples=150, deadline=None)
@given(
    minute=st.sampled_from(["*", "*/7", "0", "30", "59", "0,30"]),
    hour=st.sampled_from(["*", "*/2", "1", "2", "3", "1-3", "0,23"]),
    day=st.sampled_from(["*", "29", "25", "L"]),
    zone=st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
    start=st.sampled_from(
        ["2026-03-28", "2026-10-24", "2026-03-07", "2026-10-31", "2026-04-04", "2026-06-01"]
    ),
    minutes=st.integers(0, 3 * 24 * 60),
)
def test_it_is_the_last_of_the_times_that_come_one_after_another(
    minute: str, hour: str, day: str, zone: str, start: str, minutes: int
) -> None:
    schedule = Schedule(cron=f"{minute} {hour} {day} * *", timezone=zone)
    last = utc(start)
    now = last + timedelta(minutes=minutes)
    expected = None
    for tick in CronSim(schedule.cron, last.astimezone(ZoneInfo(zone))):
        if tick.astimezone(UTC) > now:
            break
        expected = tick.astimezone(UTC)
    found = due(schedule, last, now)
    if found != expected:
        # Within the hour that comes twice, right after its first: the time comes when the second has reached it.
        assert expected is not None
        assert now - expected < timedelta(hours=1)


def test_a_zone_that_the_machine_does_not_know_is_a_sentence() -> None:
    with pytest.raises(SpecError, match="there is no time zone Mars/Olympus"):
        due(Schedule(cron="0 3 * * *", timezone="Mars/Olympus"), utc("2026-05-01"), utc("2026-05-02"))


# Data.

SOURCES: Mapping[str, Source] = {
    "path": PathSource(),
    "glob": GlobSource(),
    "url": UrlSource(),
    "dvc": DvcSource(),
}


class World:
    """A server whose file can change, and a granted folder."""

    def __init__(self, base: Path) -> None:
        self.granted = base / "granted"
        self.granted.mkdir()
        self.scratch = base / "scratch"
        self.scratch.mkdir()
        self.body, self.headers, self.status = b"x,y\n1,2\n", {"ETag": '"1"'}, 200
        self.sent = 0

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        http_stage.reply(handler, self.body, self.status, **self.headers)

    def probe(
        self,
        source: Mapping[str, object],
        files: Mapping[str, str] | None = None,
        triggers: Mapping[str, object] | None = None,
    ) -> str:
        document = {"fiat": 1, "name": "t", "data": {"d": {"source": source}}}
        document["triggers"] = triggers or {"data": {"every": "10m"}}
        policy = Confinement(confined=True, data_folders=(str(self.granted),))
        probing = Probing(self.scratch, policy, True, 1 << 30, {})
        digest = probe_data(Spec.model_validate(document), files or {}, SOURCES.__getitem__, probing)
        assert not list(self.scratch.iterdir())
        return digest


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_an_address_has_changed_when_the_server_says_so(world: World) -> None:
    with http_stage.stage(world.serve) as on:
        source = {"url": f"http://127.0.0.1:{on.port}/a.csv"}
        first = world.probe(source)
        assert first == world.probe(source) != ""
        world.body = b"x,y\n3,4\n"
        assert world.probe(source) == first, "as long as the server says that nothing changed"
        world.headers = {"ETag": '"2"'}
        second = world.probe(source)
        world.headers = {"Last-Modified": "Fri, 01 May 2026 00:00:00 GMT"}
        third = world.probe(source)
        world.headers = {"Last-Modified": "Sat, 02 May 2026 00:00:00 GMT"}
        assert len({first, second, third, world.probe(source)}) == 4


def test_an_address_without_any_validator_is_read(world: World) -> None:
    with http_stage.stage(world.serve) as on:
        source = {"url": f"http://127.0.0.1:{on.port}/a.csv"}
        world.headers = {}
        first = world.probe(source)
        assert first == world.probe(source)
        world.body = b"x,y\n3,4\n"
        assert world.probe(source) != first


def test_an_address_with_a_digest_never_changes_and_is_not_asked(world: World) -> None:
    with http_stage.stage(world.serve) as on:
        assert world.probe({"url": f"http://127.0.0.1:{on.port}/a.csv", "sha256": "0" * 64}) == ""
        assert on.requests == []


@pytest.mark.parametrize(
    ("status", "error"), [(404, SpecError), (503, EnvironmentFault), (429, EnvironmentFault)]
)
def test_a_server_that_does_not_answer_well_says_nothing_about_the_data(
    world: World, status: int, error: type[Exception]
) -> None:
    world.status = status
    with http_stage.stage(world.serve) as on, pytest.raises(error):
        world.probe({"url": f"http://127.0.0.1:{on.port}/a.csv"})
    with pytest.raises(EnvironmentFault, match="can't be looked at"):
        world.probe({"url": f"http://127.0.0.1:{on.port}/a.csv"})


@pytest.mark.parametrize("kind", ["path", "glob"])
def test_a_granted_folder_has_changed_when_a_file_of_it_has(world: World, kind: str) -> None:
    source = {kind: str(world.granted) + ("/*.csv" if kind == "glob" else "")}
    (world.granted / "a.csv").write_text("x\n1\n")
    first = world.probe(source)
    assert first == world.probe(source) != ""
    (world.granted / "b.csv").write_text("x\n1\n")
    second = world.probe(source)
    (world.granted / "b.csv").write_text("x\n22\n")
    assert len({first, second, world.probe(source)}) == 3
    with pytest.raises(SpecError, match="does not grant /etc"):
        world.probe({kind: "/etc/passwd"})


@pytest.mark.parametrize(
    ("source", "changed", "other"),
    [
        ({"dvc": "data/a.csv.dvc"}, "data/a.csv.dvc", "data/b.csv.dvc"),
        ({"dvc": "data/a.csv"}, "data/a.csv.dvc", "more/b.csv.dvc"),
        ({"dvc": "data/made.csv"}, "dvc.lock", "more/dvc.lock"),
        ({"path": "data/a.csv"}, "data/a.csv", "data/b.csv.dvc"),
        ({"path": "data"}, "data/a.csv.dvc", "data.csv"),
        ({"glob": "data/*.csv"}, "data/a.csv", "more/b.csv"),
        ({"glob": "data/a*"}, "data/a.csv", "dvc.lock"),
    ],
)
def test_data_of_the_commit_counts_where_no_push_trigger_sees_to_it(
    world: World, source: dict[str, object], changed: str, other: str
) -> None:
    files = dict.fromkeys(("data/a.csv", "data/a.csv.dvc", "data/b.csv.dvc", "dvc.lock", "data.csv"), "1")
    files |= dict.fromkeys(("more/b.csv", "more/b.csv.dvc", "more/dvc.lock"), "1")
    first = world.probe(source, files)
    assert first != ""
    assert world.probe(source, {**files, other: "2"}) == first
    assert world.probe(source, {**files, changed: "2"}) != first
    both = {"data": {"every": "10m"}, "push": {"branches": ["main"]}}
    assert world.probe(source, {**files, changed: "2"}, both) == ""
