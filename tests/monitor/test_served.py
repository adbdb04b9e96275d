"""What clients sent of late, described from the log."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fiat.monitor import served
from fiat.monitor.ask import LastServed, ask_served
from fiat.monitor.served import FEWEST_REQUESTS, Described, describe_served
from fiat.profile.document import read_profile
from fiat.profile.model import Profile
from fiat.serving.place import Place
from tests.monitor.watch_stage import DIGEST, OTHER, logged, reference, release, two_columns, write_log

DRAW = np.random.default_rng(3)
DAY_S = 86_400


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    release(place, reference(two_columns(DRAW, 1000)))
    return place


def described(place: Place, before: Described | None = None) -> Described:
    return describe_served([(place.predictions, place.releases)], before or Described())


def profile(found: Described) -> Profile:
    assert found.profile is not None
    return found.profile.profiles[0]


def test_inputs_are_described_and_answers_are_not(place: Place) -> None:
    write_log(place, logged(two_columns(DRAW, 300), rows_a_request=2))
    found = described(place)
    assert found.n_requests == 150
    assert (profile(found).split, profile(found).n_rows) == ("serving", 300)
    assert [column.name for column in profile(found).columns] == ["amount", "city"]


def test_nothing_is_described_before_there_are_enough_requests(place: Place) -> None:
    assert described(place) == Described()
    write_log(place, logged(two_columns(DRAW, FEWEST_REQUESTS - 1)))
    assert described(place) == Described()
    write_log(place, logged(two_columns(DRAW, FEWEST_REQUESTS)))
    assert described(place).n_requests == FEWEST_REQUESTS


@pytest.mark.parametrize(("first", "wanted"), [(150, 150), (1500, 1000)])
def test_they_are_described_again_after_as_many_once_more_and_at_most_a_thousand(
    place: Place, first: int, wanted: int
) -> None:
    write_log(place, logged(two_columns(DRAW, first)))
    before = described(place)
    write_log(place, logged(two_columns(DRAW, wanted - 1), first=first), number=1)
    assert described(place, before) is before
    write_log(place, logged(two_columns(DRAW, wanted), first=first), number=1)
    after = described(place, before)
    assert after.n_requests == first + wanted
    assert after.until_us > before.until_us


def test_values_are_as_the_data_had_them(tmp_path: Path) -> None:
    place = Place(tmp_path)
    train = pa.table({"age": [30, 40] * 50, "city": ["Rome", "Oslo"] * 50})
    release(place, reference(train))
    sent = pa.table({"age": [30.0, float("nan")] * 100, "city": ["Rome", ""] * 100})
    write_log(place, logged(sent))
    age, city = profile(described(place)).columns
    assert (age.kind, age.n_missing, city.n_missing) == ("int", 100, 100)


def test_what_a_version_without_a_profile_was_sent_is_described_as_it_came(tmp_path: Path) -> None:
    place = Place(tmp_path)
    write_log(place, logged(pa.table({"age": [30.0, 40.0] * 100})))
    assert [column.kind for column in profile(described(place)).columns] == ["float"]


def test_the_newest_rows_count_and_none_that_is_a_month_older(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_log(place, logged(two_columns(DRAW, 500, shift=9.0)))
    write_log(place, logged(two_columns(DRAW, 500), first=31 * DAY_S), number=1)
    numbers = profile(described(place)).columns[0].numbers
    assert numbers is not None
    assert numbers.n == 500
    assert numbers.max < 6
    monkeypatch.setattr(served, "MOST_ROWS", 200)
    assert described(place).n_requests == 200


def test_requests_of_most_columns_count_where_versions_take_others(place: Place) -> None:
    write_log(place, logged(two_columns(DRAW, 300)))
    other = two_columns(DRAW, 120).append_column("more", pa.array(np.ones(120)))
    write_log(place, logged(other, first=300, digest=OTHER), number=1)
    assert [column.name for column in profile(described(place)).columns] == ["amount", "city"]
    assert profile(described(place)).n_rows == 300


def test_logs_of_several_services_are_one_and_damaged_files_are_none(tmp_path: Path) -> None:
    places = [Place(tmp_path / name) for name in "ab"]
    for number, place in enumerate(places):
        write_log(place, logged(two_columns(DRAW, 100), first=100 * number, digest=DIGEST))
    path = write_log(places[0], logged(two_columns(DRAW, 50)), number=7)
    path.write_bytes(b"PAR1 no more")
    found = describe_served([(place.predictions, place.releases) for place in places], Described())
    assert found.n_requests == 200


def test_a_child_writes_the_profile_where_there_is_a_new_one(place: Place, tmp_path: Path) -> None:
    write_log(place, logged(two_columns(DRAW, 200)))
    services, target = [(place.predictions, place.releases)], tmp_path / "profile"
    last = ask_served(services, LastServed(), target)
    assert last.n_requests == 200
    assert read_profile(target).profiles[0].split == "serving"
    assert ask_served(services, last, tmp_path / "again") == last
    assert not (tmp_path / "again").exists()
