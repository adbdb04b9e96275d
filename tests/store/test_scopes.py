import os
import stat
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from queue_kit import utc_now

from fiat.errors import EnvironmentFault
from fiat.run.model import Artifact, Result, Run, StepResult
from fiat.store.store import Store, open_store
from tests.store.conftest import a_database

NAME = "fork-4711-12"
PRINT = "f" * 64
Opener = Callable[..., Store]


@pytest.fixture(params=["sqlite", "postgres"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    opened: list[Store] = []
    with a_database(request) as url:

        def open_it(scope: str = "", now: Callable[[], datetime] = utc_now) -> Store:
            opened.append(open_store(tmp_path / ".fiat", url=url, now=now, scope=scope))
            return opened[-1]

        yield open_it
        for store in opened:
            store.close()


def put(store: Store, content: str) -> Artifact:
    folder = store.work.make("making", "s", 1)
    (folder / "out").mkdir()
    (folder / "out" / "content").write_text(content)
    return store.artifacts.put(folder / "out")


def result(artifact: Artifact, spec: str = "digits", **changes: Any) -> Result:
    return Result(PRINT, "train", spec, "r", {"model": artifact}, {}, made_at=utc_now(), **changes)


def everything(root: Path) -> dict[str, tuple[int, float, int]]:
    found = {}
    for path in sorted((root / "cache").rglob("*")):
        facts = path.stat()
        found[str(path)] = (facts.st_mode, facts.st_ctime, facts.st_size)
    return found


def test_results_of_a_scope_and_of_all_don_t_see_each_other(opener: Opener) -> None:
    shared, fork, other = opener(), opener(NAME), opener("fork-4711-13")
    ours, theirs = put(shared, "ours"), put(fork, "theirs")
    shared.results.add(result(ours))
    assert fork.results.find(PRINT) is None
    made = result(theirs)
    assert fork.results.add(made) is made
    found = {one: one.results.find_many([PRINT]) for one in (shared, fork, other)}
    assert found[shared][PRINT].outputs == {"model": ours}
    assert found[fork][PRINT].outputs == {"model": theirs}
    assert found[fork][PRINT].spec == "digits"
    assert found[other] == {}
    fork.results.drop(PRINT)
    assert fork.results.find(PRINT) is None
    assert shared.results.find(PRINT) is not None


def test_what_is_explained_by_is_never_a_stranger_s(opener: Opener) -> None:
    shared, fork = opener(), opener(NAME)
    fork.results.add(result(put(fork, "theirs")))
    step = StepResult("train", "call", "ran", fingerprint=PRINT)
    run = Run("r", "digits", "", "", "", "", "", False, (), {}, "done", "pass", "", utc_now(), steps=(step,))
    fork.runs.add(run)
    assert shared.results.last("digits", "train") is None
    assert fork.results.last("digits", "train") is not None
    shared.results.add(result(put(shared, "ours")))
    assert shared.results.last("digits", "train").outputs != fork.results.last("digits", "train").outputs  # type: ignore[union-attr]


def test_a_scope_reads_what_all_share_and_writes_nothing_there(opener: Opener, tmp_path: Path) -> None:
    shared, fork = opener(), opener(NAME)
    baseline = put(shared, "the model of main")
    before = everything(shared.root)
    theirs = put(fork, "theirs")
    assert put(fork, "the model of main") == baseline
    fork.artifacts.materialize(baseline.digest, tmp_path / "here")
    assert (tmp_path / "here" / "content").read_text() == "the model of main"
    for digest in (baseline.digest, theirs.digest):
        assert fork.artifacts.check(digest)
        assert fork.artifacts.verify(digest)
        assert fork.artifacts.file_path(digest, "content").is_file()
        assert fork.artifacts.object_path(digest).is_file()
    assert everything(shared.root) == before
    assert not shared.artifacts.check(theirs.digest)
    with pytest.raises(EnvironmentFault, match="gone from the cache"):
        shared.artifacts.materialize(theirs.digest, tmp_path / "there")


def test_a_scope_leaves_even_what_is_damaged_or_unmarked_as_it_is(opener: Opener, tmp_path: Path) -> None:
    shared, fork = opener(), opener(NAME)
    damaged, unmarked = put(shared, "damaged"), put(shared, "unmarked")
    path = shared.artifacts.file_path(damaged.digest, "content")
    path.chmod(0o644)
    path.write_text("rotten")
    path.chmod(0o444)
    os.utime(shared.artifacts.file_path(unmarked.digest, "content"))
    before = everything(shared.root)
    assert not fork.artifacts.check(damaged.digest)
    assert fork.artifacts.check(unmarked.digest)
    with pytest.raises(EnvironmentFault, match="gone from the cache"):
        fork.artifacts.materialize(damaged.digest, tmp_path / "here")
    assert everything(shared.root) == before
    assert not shared.artifacts.check(damaged.digest)
    assert everything(shared.root) != before


def test_an_input_that_is_handed_on_by_a_link_into_the_shared_cache_is_kept(opener: Opener) -> None:
    shared, fork = opener(), opener(NAME)
    baseline = put(shared, "x" * (2 << 20))
    folder = fork.work.make("r", "s", 1)
    fork.artifacts.materialize(baseline.digest, folder / "in")
    (folder / "out").mkdir()
    (folder / "out" / "same").symlink_to(shared.artifacts.file_path(baseline.digest, "content"))
    before = everything(shared.root)
    kept = fork.artifacts.put(folder / "out")
    assert kept.size_bytes == 2 << 20
    assert fork.artifacts.verify(kept.digest)
    assert everything(shared.root) == before


@pytest.mark.parametrize("name", ["..", "a/b", "", "A", "x" * 101, "a b", "é"])
def test_a_name_that_could_lead_elsewhere_is_no_scope(name: str, tmp_path: Path) -> None:
    if not name:
        open_store(tmp_path / ".fiat", now=utc_now, scope=name).close()
        assert not (tmp_path / ".fiat" / "scopes").exists()
        return
    with pytest.raises(EnvironmentFault, match="can't be a scope"):
        open_store(tmp_path / ".fiat", now=utc_now, scope=name)


def test_scopes_that_nobody_opened_for_two_weeks_go_with_their_results(opener: Opener) -> None:
    shared = opener()
    ours = put(shared, "ours")
    shared.results.add(result(ours))
    for name in (NAME, "fork-4711-120", "fork-1-1"):
        fork = opener(name)
        fork.results.add(result(put(fork, "theirs")))
        fork.close()
    run = Run("r", "digits", "", "", "", "", "", False, (), {}, "running", None, "", utc_now())
    shared.runs.add(run)
    used = opener("fork-1-1")
    old = (utc_now() - timedelta(days=15)).timestamp()
    for name in (NAME, "fork-1-1"):
        os.utime(shared.root / "scopes" / name / "use.lock", (old, old))
    foretold = shared.gc(dry_run=True)
    assert (foretold.removed_results, foretold.removed_folders) == (2, 2)
    report = shared.gc()
    assert report.removed_results == 2
    assert {path.name for path in (shared.root / "scopes").iterdir()} == {"fork-4711-120", "fork-1-1"}
    assert used.artifacts.check(put(used, "still here").digest)
    assert opener(NAME).results.find(PRINT) is None
    assert opener("fork-4711-120").results.find(PRINT) is not None
    assert shared.results.find(PRINT) is not None


def test_a_scope_opened_again_counts_as_used(opener: Opener) -> None:
    opener(NAME).close()
    lock = opener().root / "scopes" / NAME / "use.lock"
    os.utime(lock, (0, 0))
    opener(NAME).close()
    assert lock.stat().st_mtime > datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert stat.S_ISREG(lock.stat().st_mode)
    opener().gc()
    assert lock.exists()
