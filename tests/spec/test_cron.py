"""Cron expressions and time zones of `triggers.schedule`."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fiat.errors import SpecErrors
from fiat.spec.cron import cron_fault
from fiat.spec.load import load_spec
from fiat.spec.trigger_section import Schedule

NUMBER = st.integers(0, 62).map(str)
WORD = st.sampled_from(
    ["*", "L", "LW", "5L", "9L", "LL", "MON", "sun", "JAN", "feb", "SAT", "XYZ", "00", "", "-", "/"]
)
ATOM = st.one_of(NUMBER, WORD)
RANGE = st.tuples(ATOM, ATOM).map("-".join)
STEP = st.tuples(st.one_of(ATOM, RANGE), st.one_of(NUMBER, WORD)).map("/".join)
FIELD = st.lists(st.one_of(ATOM, RANGE, STEP), min_size=1, max_size=3).map(",".join)
GOOD = st.sampled_from(["*", "1", "2", "*/2", "1-3", "29", "30", "31", "2,4"])


def accepted(text: str) -> bool:
    try:
        CronSim(text, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError:
        return False
    return True


@settings(max_examples=600, deadline=None)
@given(st.one_of(st.tuples(*[st.one_of(GOOD, FIELD)] * 5), st.tuples(GOOD, GOOD, FIELD, GOOD, GOOD)))
@example(("0", "0", "30", "2", "*"))
@example(("0", "0", "31", "2,4", "*/2"))
@example(("0", "0", "30,L", "2", "*"))
@example(("0", "0", "30", "2", "1"))
@example(("0", "0", "L/2", "*", "5L,1"))
def test_what_is_accepted_is_what_the_library_accepts(fields: tuple[str, ...]) -> None:
    text = " ".join(fields)
    if all(fields):
        assert (cron_fault(text) == "") is accepted(text), text


def schedule(tmp_path: Path, text: str) -> Schedule:
    path = tmp_path / "spec.yaml"
    path.write_text(f"fiat: 1\nname: x\nsteps: {{a: {{run: 'true'}}}}\ntriggers:\n  schedule: {text}\n")
    triggers = load_spec(path, root=tmp_path, builtins={"commit": "a", "ref": "main"}).spec.triggers
    assert triggers is not None
    assert triggers.schedule is not None
    return triggers.schedule


def test_a_text_is_a_schedule_in_utc_and_a_mapping_has_a_zone(tmp_path: Path) -> None:
    assert schedule(tmp_path, '"0 3 * * 1"') == Schedule(cron="0 3 * * 1", timezone="UTC")
    found = schedule(tmp_path, "{cron: 0 3 * * MON-FRI, timezone: Europe/Berlin}")
    assert (found.cron, found.timezone) == ("0 3 * * MON-FRI", "Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('"0 25 * * *"', r"spec\.yaml:5:13: triggers\.schedule.*: `25` is no hour: expected 0 to 23"),
        ("{cron: 0 0 30 2 *}", r"no such month has a day 30"),
        ("{cron: 0 0 * * FUNDAY}", r"`funday` is no day of the week"),
        ('"0 3 * *"', r"a schedule of five fields"),
        ('"@daily"', r"a schedule of five fields"),
        ("{cron: 0 3 * * 1, timezone: ../../etc/passwd}", r"timezone: expected the name of a time zone"),
        ("{cron: 0 3 * * 1, timezone: Europe/Berlin/x/y}", r"expected the name of a time zone"),
        ("{timezone: UTC}", r"cron"),
        ("{cron: 0 3 * * 1, zone: UTC}", r"zone"),
        ("3", r"triggers\.schedule"),
    ],
)
def test_a_schedule_that_means_nothing_is_refused_at_its_place(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SpecErrors, match=says):
        schedule(tmp_path, text)
