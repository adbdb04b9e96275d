"""The steps of a service's ledger, without any process: what follows from what, and what servers are told."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from fiat.builtin.service_ledger import Ledger, manifest_of, read_ledger, write_ledger
from fiat.builtin.service_moves import died, loaded, refused, settled, step, take, unparked
from fiat.builtin.service_wanted import Candidate, Wanted, read_wanted, write_wanted
from fiat.errors import EnvironmentFault
from fiat.serving.counts import Counts
from fiat.serving.release import LogPlan
from fiat.serving.rollout_checks import Window
from fiat.serving.rollout_plan import RolloutPlan, Stage

PLAN = RolloutPlan(
    (Stage("step", 10, 60, 50), Stage("step", 100, 60, 50), Stage("bake", 100, 60, 50)), {"error_ratio": 0.1}
)
BAD = Window(Counts(requests=100, failed=90), Counts(requests=900))
GOOD = Window(Counts(requests=100), Counts(requests=900))


def version(number: int, generation: int | None = None) -> Candidate:
    return Candidate(
        f"{number}", f"d{number}.dir", f"releases/d{number}.dir", generation or number, f"c{number}"
    )


def wish(serial: int, number: int, plan: RolloutPlan = PLAN, generation: int | None = None) -> Wanted:
    return Wanted(serial, "m", version(number, generation), plan)


def asked(ledger: Ledger, wanted: Wanted, now_s: float = 0.0) -> Ledger:
    return settled(ledger, partial(take, wanted=wanted, now_s=now_s))


def told(ledger: Ledger) -> list[tuple[str, float]]:
    manifest = manifest_of(ledger)
    return [(one.name, one.percent) for one in manifest.versions] if manifest else []


@pytest.fixture
def first() -> Ledger:
    """Version 1 has all traffic."""
    return settled(asked(Ledger(), wish(1, 1)), partial(loaded, now_s=0.0))


@pytest.fixture
def rolling(first: Ledger) -> Ledger:
    """Version 2 has ten per cent."""
    return settled(asked(first, wish(2, 2)), partial(loaded, now_s=0.0))


def test_a_first_version_gets_everything_whatever_the_plan(first: Ledger) -> None:
    assert told(Ledger()) == []
    assert told(asked(Ledger(), wish(1, 1))) == [("1", 100.0)]
    assert (first.moving, first.veterans) == (None, ("d1.dir",))


def test_while_it_loads_a_version_gets_no_traffic(first: Ledger) -> None:
    assert told(asked(first, wish(2, 2))) == [("1", 100.0), ("2", 0.0)]


def test_each_stage_tells_servers_something_new_and_the_end_leaves_one_version(rolling: Ledger) -> None:
    seen, serials, ledger = [told(rolling)], [rolling.serial], rolling
    for now_s in (60.0, 120.0, 180.0):
        ledger = settled(ledger, partial(step, now_s=now_s, window=GOOD))
        seen.append(told(ledger))
        serials.append(ledger.serial)
    assert seen == [
        [("1", 90.0), ("2", 10.0)],
        [("1", 0.0), ("2", 100.0)],
        [("1", 0.0), ("2", 100.0)],
        [("2", 100.0)],
    ]
    assert serials == [serials[0], serials[0] + 1, serials[0] + 1, serials[0] + 2]
    assert ledger.previous == version(1)
    assert [event.kind for event in ledger.events] == [
        "loading",
        "promoted",
        "loading",
        "stage",
        "stage",
        "stage",
        "promoted",
    ]
    assert [event.n for event in ledger.events] == list(range(1, 8))


def test_what_fails_gives_all_traffic_back_in_one_step(rolling: Ledger) -> None:
    ledger = settled(rolling, partial(step, now_s=1.0, window=BAD))
    assert told(ledger) == [("1", 100.0)]
    assert ledger.serial == rolling.serial + 1
    assert ledger.refused is not None
    assert (ledger.refused.digest, ledger.refused.generation, ledger.refused.wanted) == ("d2.dir", 2, 2)
    assert "error_ratio is 0.9" in ledger.events[-1].sentence
    assert (ledger.events[-1].commit, ledger.events[-1].generation) == ("c2", 2)


def test_going_back_to_a_veteran_is_one_step(rolling: Ledger) -> None:
    ledger = rolling
    for now_s in (60.0, 120.0, 180.0):
        ledger = step(ledger, now_s, GOOD)
    back = loaded(asked(ledger, wish(3, 1, generation=3)), 200.0)
    assert told(back) == [("1", 100.0)]
    assert back.moving is None


def test_a_version_that_was_refused_at_the_end_is_no_veteran(rolling: Ledger) -> None:
    ledger = step(step(rolling, 60.0, GOOD), 120.0, GOOD)
    assert told(ledger) == [("1", 0.0), ("2", 100.0)]
    ledger = step(ledger, 121.0, BAD)
    assert ledger.veterans == ("d1.dir",)
    again = loaded(asked(ledger, wish(3, 2, generation=3)), 130.0)
    assert told(again) == [("1", 90.0), ("2", 10.0)]


def test_a_refusal_is_remembered_until_something_goes_well(rolling: Ledger) -> None:
    ledger = step(rolling, 1.0, BAD)
    healed = asked(ledger, replace(wish(3, 1), version=version(1)))
    assert healed.refused == ledger.refused
    assert loaded(asked(ledger, wish(3, 3, RolloutPlan())), 5.0).refused is None


def test_a_server_that_dies_gets_the_stable_version_alone_first(rolling: Ledger) -> None:
    one = settled(rolling, partial(died, now_s=1.0, how="died"))
    assert told(one) == [("1", 100.0)]
    assert step(one, 2.0, BAD) is one
    up = settled(one, partial(unparked, now_s=2.0))
    assert told(up) == [("1", 100.0), ("2", 0.0)]
    back = settled(up, partial(loaded, now_s=3.0))
    assert told(back) == [("1", 90.0), ("2", 10.0)]
    assert back.moving is not None
    assert back.moving.rollout == rolling.moving.rollout if rolling.moving else False


def test_a_version_whose_servers_die_again_and_again_is_refused(rolling: Ledger) -> None:
    ledger = rolling
    for n in (1.0, 2.0, 3.0):
        ledger = loaded(unparked(died(ledger, n, "died"), n), n)
    assert ledger.refused is not None
    assert ledger.refused.reason.startswith("the server died 3 times")
    assert told(ledger) == [("1", 100.0)]


def test_a_server_that_dies_in_peace_changes_nothing_but_the_record(first: Ledger) -> None:
    ledger = settled(first, partial(died, now_s=1.0, how="died"))
    assert (ledger.serial, ledger.moving, ledger.refused) == (first.serial, None, None)
    assert ledger.events[-1].kind == "server"


def test_a_first_version_that_fails_leaves_nothing_to_serve() -> None:
    ledger = refused(asked(Ledger(), wish(1, 1)), 1.0, "no")
    assert told(ledger) == []


def test_another_log_is_told_without_touching_the_traffic(first: Ledger) -> None:
    wanted = replace(wish(2, 1), version=version(1), log=LogPlan(0.5))
    ledger = asked(first, wanted)
    assert ledger.serial == first.serial + 1
    assert told(ledger) == [("1", 100.0)]
    assert ledger.events == first.events


def test_a_ledger_survives_its_file(rolling: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "rollout.json"
    assert read_ledger(path) is None
    bad = step(rolling, 1.0, BAD)
    for ledger in (Ledger(), rolling, bad, replace(rolling, log=LogPlan(1.0, 5.0, 7, ("p",)))):
        write_ledger(path, ledger)
        assert read_ledger(path) == ledger
    wanted = replace(wish(1, 1), log=LogPlan(redact=("p",)), names={"d1.dir": "1"})
    write_wanted(path, wanted)
    assert read_wanted(path) == wanted


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": 2}', '{"format": 1, "wanted": 3}'])
def test_a_file_that_says_nothing_is_an_environment_fault(content: str, tmp_path: Path) -> None:
    path = tmp_path / "rollout.json"
    path.write_text(content)
    for read in (read_ledger, read_wanted):
        with pytest.raises(EnvironmentFault):
            read(path)


def test_events_are_bounded_in_the_ledger(first: Ledger) -> None:
    ledger = first
    for n in range(200):
        ledger = died(ledger, float(n), "died")
    assert len(ledger.events) == 64
    assert ledger.events[-1].n == 202
    assert len(json.dumps([event.sentence for event in ledger.events])) < 10_000
