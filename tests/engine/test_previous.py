"""What a check of data is compared with."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fiat.engine.previous import find_previous
from fiat.run.model import Result, Run, StepResult
from fiat.store.store import Store, open_store

START = datetime(2026, 11, 1, tzinfo=UTC)
LONG_AFTER = START + timedelta(days=400)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / ".fiat", url=None, now=lambda: LONG_AFTER, checkout=tmp_path) as store:
        yield store


class History:
    """Runs of one spec, each of which described some data."""

    def __init__(self, store: Store, tmp_path: Path) -> None:
        self._store = store
        self._tmp_path = tmp_path
        self._count = 0

    def run(self, data: str, *, against: str = "", refused: bool = False, state: str = "ran") -> str:
        """Record a run; gives the digest of the profile that it made."""
        self._count += 1
        number, started = self._count, START + timedelta(minutes=self._count)
        folder = self._tmp_path / f"profile-{data}-{against}"
        folder.mkdir(exist_ok=True)
        (folder / "profile.json").write_text(f"{data} against {against}")
        profile = self._store.artifacts.put(folder)
        run = Run(
            id=f"run-{number}",
            spec="t",
            spec_path="spec.yaml",
            spec_digest="",
            plan_digest="",
            commit="",
            branch="",
            dirty=False,
            overrides=(),
            config={},
            state="done",
            verdict="pass",
            reason="",
            started_at=started,
            pid=1,
            host="h",
        )
        fingerprint = f"{data}{against}".ljust(64, "0")
        made = Result(
            fingerprint,
            "check.d",
            "t",
            run.id,
            outputs={"profile": profile},
            parts={"inputs": {"dataset": data, **({"previous": against} if against else {})}},
            facts={"refused": "1 error"} if refused else {},
            made_at=started,
        )
        self._store.results.add(made)
        step = StepResult("check.d", "check", "ran", fingerprint=fingerprint)
        self._store.runs.add(replace(run, steps=(replace(step, state=state),)))  # type: ignore[arg-type]
        return profile.digest


@pytest.fixture
def history(store: Store, tmp_path: Path) -> History:
    return History(store, tmp_path)


def test_the_first_data_have_nothing_before_them(store: Store, history: History) -> None:
    assert find_previous(store, "t", "check.d", "A") == ""
    history.run("A")
    assert find_previous(store, "t", "check.d", "A") == ""


def test_new_data_are_compared_with_the_newest_before_them_and_so_they_stay(
    store: Store, history: History
) -> None:
    first = history.run("A")
    second = history.run("B", against=first)
    assert find_previous(store, "t", "check.d", "C") == second
    history.run("C", against=second)
    assert find_previous(store, "t", "check.d", "C") == second
    assert find_previous(store, "t", "check.d", "B") == first


def test_going_back_to_earlier_data_goes_back_to_what_they_were_compared_with(
    store: Store, history: History
) -> None:
    first = history.run("A")
    history.run("B", against=first)
    history.run("A", state="reused")
    assert find_previous(store, "t", "check.d", "A") == ""
    assert find_previous(store, "t", "check.d", "B") == first


def test_refused_data_are_not_what_later_ones_are_measured_by(store: Store, history: History) -> None:
    first = history.run("A")
    history.run("B", against=first, refused=True)
    assert find_previous(store, "t", "check.d", "C") == first


def test_old_runs_may_go_and_refused_data_are_still_refused(store: Store, history: History) -> None:
    first = history.run("A")
    for number in range(25):
        history.run(f"B{number}", against=first, refused=True)
    store.gc(keep_runs=1, grace_s=0)
    assert len(store.runs.newest(limit=100)) == 1
    assert store.artifacts.check(first)
    assert find_previous(store, "t", "check.d", "B24") == first
    assert find_previous(store, "t", "check.d", "C") == first


def test_data_that_nobody_asked_about_at_first_have_their_previous_too(
    store: Store, history: History
) -> None:
    first = history.run("A")
    history.run("B")
    assert find_previous(store, "t", "check.d", "B") == first


def test_other_specs_and_checks_have_histories_of_their_own(store: Store, history: History) -> None:
    history.run("A")
    assert find_previous(store, "other", "check.d", "C") == ""
    assert find_previous(store, "t", "check.other", "C") == ""


def test_a_profile_that_is_gone_is_passed_over(store: Store, history: History, tmp_path: Path) -> None:
    first = history.run("A")
    second = history.run("B", against=first)
    store.artifacts.object_path(second).unlink()
    assert find_previous(store, "t", "check.d", "C") == first
