"""The daily clean-up keeps what the settings say, and what runs use."""

import os
from datetime import UTC, datetime
from pathlib import Path

from fiat.engine.checkouts import Checkouts
from fiat.engine.seated import Seated
from fiat.store.store import Store
from fiat.wiring.runner_cleaner import EVERY_S, FIRST_S, Cleaner
from tests.engine.queue_stage import COMMIT, TELLING, Clock, add_run, open_queue


def cleaner(store: Store, folder: Path, clock: Clock) -> Cleaner:
    seat = Seated(store.seats, "cleaner", "a:1:1", 30.0, clock, lambda _: None)
    return Cleaner(store, {}, Checkouts(folder / "checkouts"), seat, 200, 90.0, clock)


def test_queued_runs_are_remembered_as_long_as_the_settings_say(tmp_path: Path) -> None:
    with open_queue(tmp_path) as store:
        for number, days in enumerate((60, 100, 0)):
            run_id = f"r{number}"
            add_run(store, run_id, commit=str(number) * 40)
            run = store.queue.claim("h:1:1")
            assert run is not None
            store.queue.finish(run.id, run.fence, "pass", "", [], TELLING)
            stamp = datetime.fromtimestamp(datetime.now(UTC).timestamp() - days * 86400, UTC)
            with store.database.write() as transaction:
                transaction.execute(
                    "UPDATE queue SET queued_at = ?, ended_at = ? WHERE id = ?",
                    (stamp.isoformat(timespec="microseconds"),) * 2 + (run_id,),
                )
        cleaner(store, tmp_path, Clock()).clean()
        assert store.queue.find("r0") is not None
        assert store.queue.find("r1") is None


def test_it_cleans_once_a_day_and_leaves_the_commits_of_open_runs(tmp_path: Path) -> None:
    clock = Clock()
    with open_queue(tmp_path) as store:
        add_run(store)
        one = cleaner(store, tmp_path, clock)
        old = [tmp_path / "checkouts" / "acme__models" / commit for commit in (COMMIT, "d" * 40)]
        for folder in old:
            folder.mkdir(parents=True)
            os.utime(folder, (0, 0))
        one.work()
        assert [folder.exists() for folder in old] == [True, True]
        clock.now_s += FIRST_S + 1
        one.work()
        assert [folder.exists() for folder in old] == [True, False]
        old[1].mkdir()
        os.utime(old[1], (0, 0))
        clock.now_s += EVERY_S - 10
        one.work()
        assert old[1].exists()
        clock.now_s += 11
        one.work()
        assert not old[1].exists()
