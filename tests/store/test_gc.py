import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fiat.run.deployment import Deployment
from fiat.run.model import Artifact, Release, Result, Run, StepResult
from fiat.store.gc import GcReport, Heap, collect_garbage
from fiat.store.store import Store, open_store

START = datetime(2026, 1, 2, tzinfo=UTC)


def put(store: Store, content: bytes) -> Artifact:
    folder = store.work.make("making", "s", 1)
    (folder / "out").mkdir()
    (folder / "out" / "content").write_bytes(content)
    (folder / "out" / "shared").write_bytes(b"in every folder")
    return store.artifacts.put(folder / "out")


def add_run(store: Store, number: int, spec: str = "digits", **changes: Any) -> Artifact:
    """A run of its own with one step, a result and an artifact."""
    artifact = put(store, b"%s %d" % (spec.encode(), number))
    fingerprint = f"{spec}-{number}"
    run_id = f"{spec}-run-{number:03}"
    started_at = START + timedelta(hours=number)
    step = StepResult("train", "call", "ran", fingerprint=fingerprint, outputs={"model": artifact})
    fields = {"state": "done", "verdict": "pass", "config": {"number": number}, **changes}
    store.runs.add(
        Run(
            run_id,
            spec,
            spec,
            "",
            "",
            "",
            "",
            False,
            (),
            reason="",
            started_at=started_at,
            steps=(step,),
            **fields,
        )
    )
    code = {f"{spec} {number} {line}.py": "0" * 32 for line in range(40)}
    store.results.add(
        Result(fingerprint, "train", spec, run_id, {"model": artifact}, {"code": code}, made_at=started_at)
    )
    store.log_path(run_id, "train").write_text("said\n")
    return artifact


def clean(store: Store, **options: Any) -> GcReport:
    store.work.remove("making")
    return store.gc(**{"grace_s": -1e9, **options})


def size(store: Store) -> int:
    return sum(path.stat().st_size for path in (store.root / "cache").rglob("*") if path.is_file())


def test_only_what_the_newest_runs_of_each_spec_need_is_kept(store: Store) -> None:
    digits = [add_run(store, number) for number in range(5)]
    wine = add_run(store, 0, "wine")
    before = size(store)
    report = clean(store, keep_runs=2)
    assert (report.removed_runs, report.removed_results, report.in_use) == (3, 3, False)
    # A list and a file each; the file that all folders share stays.
    assert (report.removed_objects, report.kept_objects) == (6, 7)
    assert report.removed_bytes == before - size(store)
    assert report.kept_bytes == size(store)
    assert [run.id for run in store.runs.newest(spec="digits")] == ["digits-run-004", "digits-run-003"]
    assert [store.results.find(f"digits-{number}") is None for number in range(5)] == [True] * 3 + [False] * 2
    assert [store.artifacts.verify(one.digest) for one in digits] == [False] * 3 + [True] * 2
    assert store.artifacts.verify(wine.digest)
    assert sorted(path.name for path in (store.root / "runs").iterdir()) == [
        "digits-run-003",
        "digits-run-004",
        "wine-run-000",
    ]
    assert store.database.read("SELECT COUNT(*) FROM steps") == [(3,)]
    assert store.database.read("SELECT COUNT(*) FROM documents") == [(6,)]
    kept = store.results.find("digits-4")
    assert kept is not None
    assert len(dict(kept.parts)["code"]) == 40
    assert clean(store, keep_runs=2).removed_objects == 0


def test_a_dry_run_says_the_same_and_changes_nothing(store: Store) -> None:
    artifacts = [add_run(store, number) for number in range(3)]
    before = size(store)
    foretold = clean(store, keep_runs=1, dry_run=True)
    assert size(store) == before
    assert len(store.runs.newest()) == 3
    assert all(store.artifacts.check(one.digest) for one in artifacts)
    assert clean(store, keep_runs=1) == foretold
    assert foretold.removed_runs == 2
    assert foretold.removed_folders == 2


def test_what_a_kept_run_reused_is_kept_though_the_run_that_made_it_is_gone(store: Store) -> None:
    made = add_run(store, 0)
    reused = StepResult("train", "call", "reused", fingerprint="digits-0", outputs={"model": made})
    store.runs.add(
        Run(
            "later",
            "digits",
            "",
            "",
            "",
            "",
            "",
            False,
            (),
            {},
            "done",
            "pass",
            "",
            START + timedelta(days=9),
            steps=(reused,),
        )
    )
    report = clean(store, keep_runs=1)
    assert (report.removed_runs, report.removed_results, report.removed_objects) == (1, 0, 0)
    assert store.results.find("digits-0") is not None
    assert store.artifacts.verify(made.digest)


def test_a_released_model_its_run_and_a_run_that_goes_on_are_kept(store: Store) -> None:
    released, running, gone = (
        add_run(store, number, state=state) for number, state in enumerate(("done", "running", "done"))
    )
    store.releases.add(
        Release("digits", "", "main", "", "digits-run-000", released.digest, "digits-0", START)
    )
    report = clean(store, keep_runs=0)
    assert report.removed_runs == 1
    assert [store.artifacts.check(one.digest) for one in (released, running, gone)] == [True, True, False]
    assert store.results.find("digits-0") is not None
    assert {run.id for run in store.runs.newest()} == {"digits-run-000", "digits-run-001"}


def test_what_stands_on_a_target_its_run_and_the_data_that_it_reads_are_kept(store: Store) -> None:
    package, data = add_run(store, 0), put(store, b"new rows")

    def deploy(place: str) -> int:
        return store.deployments.begin(
            Deployment(
                place, "batch", "scores", "digits", "digits", package.digest, "", "digits-run-000", 0, "a test", START,
                settings={"inputs": {"new": data.digest}},
            )
        )  # fmt: skip

    standing = deploy("scores:digits")
    for number in range(1, 4):
        add_run(store, number)
    clean(store, keep_runs=1)
    assert store.artifacts.check(package.digest)
    assert store.artifacts.check(data.digest)
    assert [run.id for run in store.runs.newest()] == ["digits-run-003", "digits-run-000"]
    store.deployments.stop(standing, "ada", START)
    clean(store, keep_runs=1)
    assert not store.artifacts.check(package.digest)
    assert not store.artifacts.check(data.digest)
    assert [run.id for run in store.runs.newest()] == ["digits-run-003"]


def test_what_kept_data_were_compared_with_is_kept(store: Store) -> None:
    add_run(store, 0)
    compared = {role: put(store, role.encode()) for role in ("previous", "serving", "other")}
    inputs = {role: artifact.digest for role, artifact in compared.items()}
    check = Result("checked", "check.d", "digits", "digits-run-000", {}, {"inputs": inputs}, made_at=START)
    store.results.add(check)
    clean(store)
    assert [store.artifacts.check(inputs[role]) for role in compared] == [True, True, False]


def test_runs_younger_than_some_days_are_kept_as_well(store: Store) -> None:
    for number in range(0, 96, 24):
        add_run(store, number)
    # The store's clock stands three hours after START: what began a day and a half after that is young.
    report = clean(store, keep_runs=1, keep_days=-1.4)
    assert report.removed_runs == 2
    assert [run.id for run in store.runs.newest()] == ["digits-run-072", "digits-run-048"]


def test_files_within_their_grace_stay_and_a_file_that_is_wanted_again_gets_it_anew(tmp_path: Path) -> None:
    with open_store(tmp_path / ".fiat", now=lambda: datetime.now(UTC)) as store:
        artifact = put(store, b"nobody wants this")
        assert clean(store, grace_s=60.0).removed_objects == 0
        time.sleep(0.3)
        assert put(store, b"nobody wants this") == artifact
        assert clean(store, grace_s=0.2).removed_objects == 0
        time.sleep(0.3)
        assert clean(store, grace_s=0.2).removed_objects == 3
        assert not store.artifacts.check(artifact.digest)


OTHER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from fiat.store.store import open_store
store = open_store(Path(sys.argv[1]), now=lambda: datetime.now(UTC))
print("ready", flush=True)
sys.stdin.read()
"""


def test_while_another_process_uses_the_store_no_result_goes(tmp_path: Path) -> None:
    with open_store(tmp_path / ".fiat", now=lambda: datetime.now(UTC)) as store:
        artifacts = [add_run(store, number) for number in range(3)]
        stray = put(store, b"stray")
        other = subprocess.Popen(
            [sys.executable, "-c", OTHER, str(store.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        beside = clean(store, keep_runs=1)
        other.communicate("")
        assert (beside.in_use, beside.removed_runs, beside.removed_results) == (True, 2, 0)
        assert all(store.artifacts.check(one.digest) for one in artifacts)
        assert not store.artifacts.check(stray.digest)
        alone = clean(store, keep_runs=1)
        assert (alone.in_use, alone.removed_runs, alone.removed_results) == (False, 0, 2)
        assert [store.artifacts.check(one.digest) for one in artifacts] == [False, False, True]


def test_beside_another_process_a_result_is_hidden_for_a_day_and_then_goes(
    reopen: Callable[[], Store],
) -> None:
    store, other = reopen(), reopen()
    artifacts = [add_run(store, number) for number in range(3)]
    step = StepResult("train", "call", "reused", fingerprint="digits-1")
    assert other.results.find("digits-1") is not None
    assert clean(store, keep_runs=1).removed_results == 0
    assert [other.results.find(f"digits-{number}") is None for number in range(3)] == [True, True, False]
    assert store.artifacts.check(artifacts[0].digest)
    # Who had found it just before goes on with it.
    other.runs.add(
        Run("late", "wine", "", "", "", "", "", False, (), {}, "running", None, "", START, steps=(step,))
    )
    made_again = Result("digits-0", "train", "digits", "late", {"model": artifacts[2]}, {}, made_at=START)
    with_clock = Heap(
        store.root, store.database, store.artifacts, store.work, store._use, START + timedelta(days=2)
    )
    assert collect_garbage(with_clock, keep_runs=1, grace_s=-1e9).removed_results == 1
    assert other.results.find("digits-1") is not None, "somebody needs it: it is found again"
    assert store.artifacts.check(artifacts[1].digest)
    assert not store.artifacts.check(artifacts[0].digest)
    assert other.results.add(made_again) is made_again
    assert other.results.find("digits-0") == made_again


def test_a_hidden_result_that_is_made_again_is_found_again(reopen: Callable[[], Store]) -> None:
    store, other = reopen(), reopen()
    for number in range(2):
        add_run(store, number)
    clean(store, keep_runs=1)
    assert other.results.find("digits-0") is None
    again = Result("digits-0", "train", "digits", "digits-run-001", {}, {}, made_at=START)
    assert other.results.add(again) is again
    assert store.results.find("digits-0") == again


def test_drafts_and_folders_of_dead_processes_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    with open_store(tmp_path / ".fiat", now=lambda: datetime.now(UTC)) as store:
        mine = store.work.make("mine", "s", 1)
        (store.root / "work" / "dead" / "train.1").mkdir(parents=True)
        (store.root / "work" / "dead" / ".owner").touch()
        (store.root / "work" / "being made").mkdir()
        dead = subprocess.Popen([sys.executable, "-c", "pass"])
        dead.wait()
        (store.root / "tmp" / f"{dead.pid}-0-abcd").write_text("half")
        (store.root / "tmp" / f"{os.getpid()}-0-abcd").write_text("at work")
        kept = add_run(store, 1, model_digest="x")
        for digest in (kept.digest, "0" * 32):
            (store.root / "packages" / digest.removesuffix(".dir")).mkdir(parents=True)
        report = clean(store)
        assert report.removed_folders == 3
        assert mine.is_dir()
        assert [path.name for path in (store.root / "work").iterdir() if path != mine.parent] == [
            "being made"
        ]
        assert [path.name for path in (store.root / "tmp").iterdir()] == [f"{os.getpid()}-0-abcd"]
        assert [path.name for path in (store.root / "packages").iterdir()] == [
            kept.digest.removesuffix(".dir")
        ]


def test_signatures_stay_as_long_as_their_packages(tmp_path: Path) -> None:
    with open_store(tmp_path / ".fiat", now=lambda: datetime.now(UTC)) as store:
        released, dropped = put(store, b"released"), put(store, b"dropped")
        fields = ("digits", "", "main", "c" * 40, "run", released.digest, "f", START)
        store.releases.add(Release(*fields))
        (store.root / "signatures").mkdir()
        for digest in (released.digest, dropped.digest, f"unfinished.17.{released.digest}"):
            for end in (".sig", ".provenance.json"):
                (store.root / "signatures" / f"{digest.removesuffix('.dir')}{end}").touch()
        assert clean(store).removed_folders == 4
        kept = released.digest.removesuffix(".dir")
        assert {path.name for path in (store.root / "signatures").iterdir()} == {
            f"{kept}.sig",
            f"{kept}.provenance.json",
        }


def test_an_empty_store_has_nothing_to_remove(store: Store) -> None:
    assert clean(store) == GcReport(0, 0, 0, 0, 0, 0, 0, False)
