from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fiat.engine.head_marks import GONE_KEPT, HeadMarks
from fiat.run.queue import Change
from fiat.store.store import Store, open_store

MAIN = "refs/heads/main"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "state", now=lambda: datetime.now(UTC)) as opened:
        yield opened


def told(store: Store, number: int, commit: str, ref: str = MAIN, serial: int = 0) -> None:
    change = Change(
        id=f"{number:04}", repo="acme/models", commit=commit, purpose="push", ref=ref, serial=serial
    )
    assert store.changes.add(change)


def test_a_head_without_a_change_needs_one_and_one_with_a_change_does_not(store: Store) -> None:
    marks = HeadMarks(store)
    assert marks.missing("acme/models", MAIN, "a" * 40, "") is not None
    told(store, 1, "a" * 40, ref="refs/heads/other")
    assert marks.missing("acme/models", MAIN, "a" * 40, "") is not None
    told(store, 2, "a" * 40)
    assert marks.missing("acme/models", MAIN, "a" * 40, "") is None


def test_a_webhook_that_came_late_asks_for_nothing_more(store: Store) -> None:
    marks = HeadMarks(store)
    told(store, 1, "a" * 40)
    told(store, 2, "c" * 40)
    told(store, 3, "b" * 40)
    assert marks.missing("acme/models", MAIN, "c" * 40, "a" * 40) is None


def test_a_branch_that_was_set_back_needs_a_change_more_and_then_has_it(store: Store) -> None:
    marks = HeadMarks(store)
    told(store, 1, "a" * 40)
    told(store, 2, "b" * 40)
    marks.note("acme/models", {MAIN: "b" * 40})
    before = marks.of("acme/models")[MAIN]
    assert marks.missing("acme/models", MAIN, "a" * 40, before) is not None
    told(store, 3, "a" * 40, serial=1)
    assert marks.missing("acme/models", MAIN, "a" * 40, before) is None


def test_a_head_is_not_compared_with_one_that_was_forgotten(store: Store) -> None:
    told(store, 1, "a" * 40)
    assert HeadMarks(store).missing("acme/models", MAIN, "a" * 40, "f" * 40) == 1


def test_heads_are_remembered_by_ref_and_those_of_branches_that_are_gone_not_without_end(
    store: Store,
) -> None:
    marks = HeadMarks(store)
    branches = {f"refs/heads/{number}": "b" * 40 for number in range(GONE_KEPT + 20)}
    marks.note("acme/models", {MAIN: "a" * 40, **branches})
    marks.note("acme/models", {MAIN: "c" * 40})
    assert len(marks.of("acme/models")) == len(branches) + 1
    marks.note("acme/models", {MAIN: "d" * 40}, all_of_them=True)
    assert marks.of("acme/models")[MAIN] == "d" * 40
    assert len(marks.of("acme/models")) == GONE_KEPT + 1
    assert marks.of("acme/other") == {}
