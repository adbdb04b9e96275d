import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from queue_kit import MAIN, change, delivery, taking, texts, umbrella, utc_now

from fiat.run.delivery import Commented, Rerequested
from fiat.store.deliveries import Taking, Wanted
from fiat.store.store import Store, open_store


def test_a_delivery_its_change_and_its_first_report_are_written_together(reopen: Callable[[], Store]) -> None:
    assert reopen().deliveries.take([taking(1), taking(2)]) == ["new", "new"]
    other = reopen()
    assert [one.commit for one in other.changes.open()] == [change(1).commit, change(2).commit]
    assert replace(other.changes.open()[0], made_at=None) == change(1)
    assert [item.channel for item in other.outbox.due()] == [umbrella(1)[1], umbrella(2)[1]]


def test_nothing_of_a_batch_is_kept_when_a_part_of_it_fails(store: Store) -> None:
    broken = replace(taking(2), wanted=(Wanted(change(2), ((1, 2, 3),)),))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        store.deliveries.take([taking(1), broken])
    assert store.changes.open() == []
    assert store.outbox.due() == []
    assert store.deliveries.counts() == {}
    assert store.deliveries.take([taking(1)]) == ["new"]


def test_a_redelivery_makes_nothing_new(store: Store) -> None:
    assert store.deliveries.take([taking(1), taking(1)]) == ["new", "again"]
    assert store.deliveries.take([taking(1)]) == ["again"]
    assert len(store.changes.open()) == 1
    assert len(store.outbox.due()) == 1


def test_a_body_that_comes_under_another_id_is_recorded_as_a_replay_and_makes_nothing(store: Store) -> None:
    store.deliveries.take([taking(1)])
    replayed = Taking(delivery(1, id="another"), (Wanted(change(9), (umbrella(9),)),))
    assert store.deliveries.take([replayed]) == ["replay"]
    assert store.deliveries.take([replayed]) == ["again"]
    assert [one.id for one in store.changes.open()] == [change(1).id]
    rows = store.database.read("SELECT id, state, note FROM deliveries ORDER BY sequence")
    assert rows[1] == ("another", "replay", "the same body as delivery-1")


def test_a_body_without_a_key_is_never_a_replay_and_forges_don_t_share_ids(store: Store) -> None:
    first, second = (replace(taking(n), delivery=delivery(n, body_key="")) for n in (1, 2))
    elsewhere = Taking(delivery(1, forge="gitea"), (Wanted(change(3)),))
    assert store.deliveries.take([first, second, elsewhere]) == ["new", "new", "new"]
    assert len(store.changes.open()) == 3


def test_a_redelivery_of_one_that_failed_is_taken(store: Store) -> None:
    comment = Commented("/fiat run", 3, "", "c1")
    asked = Taking(delivery(1, (comment,)))
    store.deliveries.take([asked])
    key, found = store.deliveries.received()[0]
    assert found == asked.delivery
    store.deliveries.failed(key, "the forge did not answer")
    assert store.deliveries.received() == []
    assert store.deliveries.take([asked]) == ["new"]
    again, _ = store.deliveries.received()[0]
    assert again > key
    store.deliveries.done(again, "ran")
    assert store.deliveries.take([asked]) == ["again"]


def test_the_body_of_one_that_failed_may_come_under_another_id(store: Store) -> None:
    comment = Commented("/fiat run", 3, "", "c1")
    store.deliveries.take([Taking(delivery(1, (comment,)))])
    store.deliveries.failed(store.deliveries.received()[0][0], "no")
    assert store.deliveries.take([Taking(delivery(1, (comment,), id="another"))]) == ["new"]
    assert [one.id for _, one in store.deliveries.received()] == ["another"]


def test_only_what_is_to_be_done_later_waits_and_in_order(store: Store) -> None:
    button = Rerequested("a" * 40, "fiat/push", "rollback")
    comment = Commented("/fiat cancel", 0, "b" * 40, "c2")
    store.deliveries.take([taking(1), Taking(delivery(2, (button,))), Taking(delivery(3, (comment,)))])
    store.deliveries.take([Taking(delivery(4), later=True), Taking(delivery(5, (comment,)), later=False)])
    waiting = store.deliveries.received()
    assert [one.id for _, one in waiting] == ["delivery-2", "delivery-3", "delivery-4"]
    assert [one.happenings for _, one in waiting[:2]] == [(button,), (comment,)]
    assert len(store.deliveries.received(limit=1)) == 1
    for key, _ in waiting:
        store.deliveries.done(key)
    assert store.deliveries.received() == []


def test_a_change_that_is_there_is_not_made_again_nor_reported_again(store: Store) -> None:
    assert store.changes.add(change(1), [umbrella(1, text="found by the reconciler")])
    told = Taking(
        delivery(1), (Wanted(change(1, id="other"), (umbrella(1),)), Wanted(change(2), (umbrella(2),)))
    )
    assert store.deliveries.take([told]) == ["new"]
    assert [one.id for one in store.changes.open()] == [change(1).id, change(2).id]
    assert texts(store) == [("pending", "found by the reconciler"), ("pending", "queued")]


def test_outcomes_are_counted_with_few_names(store: Store) -> None:
    store.deliveries.take([taking(1), taking(1), Taking(delivery(1, id="x"))])
    many = [Taking(delivery(n, event=f"event {n}", body_key="")) for n in range(10, 400)]
    store.deliveries.take(many)
    store.deliveries.take([Taking(delivery(401, (Commented("", 1, "", "1"),), event="push"))])
    store.deliveries.failed(store.deliveries.received()[0][0], "no")
    counts = store.deliveries.counts()
    assert counts["github", "push", "new"] == 2
    assert counts["github", "push", "again"] == 1
    assert counts["github", "push", "replay"] == 1
    assert counts["github", "push", "failed"] == 1
    assert counts["github", "other", "new"] == 390 - 199
    assert sum(counts.values()) == 5 + 390
    assert len(counts) <= 210


def test_hostile_names_of_any_length_are_kept(store: Store) -> None:
    nasty = "x'); DROP TABLE queue; --\0\ud800\u202e" + "é" * 5000
    told = Taking(
        delivery(1, id=nasty, body_key=nasty, event=nasty, repo_name=nasty, sender_name=nasty),
        (Wanted(change(1, ref=f"refs/heads/{nasty}", cause=nasty), ((nasty, nasty, umbrella(1)[2]),)),),
    )
    assert store.deliveries.take([told]) == ["new"]
    assert store.deliveries.take([told]) == ["again"]
    found = store.changes.open()[0]
    assert found.ref.startswith("refs/heads/x'); DROP TABLE queue; --")
    assert store.changes.latest(found.repo, "push", f"refs/heads/{nasty}") == found
    assert len(store.outbox.due()) == 1


def test_fifty_takers_of_one_delivery_make_one_change(reopen: Callable[[], Store]) -> None:
    stores = [reopen() for _ in range(5)]
    outcomes: list[str] = []
    ready = threading.Barrier(50)

    def work(number: int) -> None:
        ready.wait()
        outcomes.extend(stores[number % 5].deliveries.take([taking(1)]))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["again"] * 49 + ["new"]
    assert len(stores[0].changes.open()) == 1
    assert len(stores[0].outbox.due()) == 1


TAKER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from queue_kit import taking, utc_now
from fiat.store.store import open_store
with open_store(Path(sys.argv[2]), url=sys.argv[3] or None, now=utc_now) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(60):
        print(*store.deliveries.take([taking(number)]), flush=True)
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_processes_that_are_told_the_same_make_each_change_once(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    cluster: Any = request.getfixturevalue("postgres") if kind == "postgres" else None
    url = cluster.new_database() if cluster else ""
    command = [sys.executable, "-c", TAKER, str(Path(__file__).parent), str(tmp_path / ".fiat"), url]
    takers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    for taker in takers:
        assert taker.stdout is not None
        assert taker.stdout.readline() == "ready\n"
    outcomes = [taker.communicate("go\n", timeout=120)[0].split() for taker in takers]
    assert [taker.returncode for taker in takers] == [0] * 4
    assert [sorted(one) for one in zip(*outcomes, strict=True)] == [["again"] * 3 + ["new"]] * 60
    with open_store(tmp_path / ".fiat", url=url or None, now=utc_now) as store:
        assert len(store.changes.open(1000)) == 60
        assert len(store.outbox.due(1000)) == 60
        assert store.changes.latest("acme/models", "push", MAIN) is not None
