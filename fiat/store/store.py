"""Everything that is remembered, opened together: the one object that the engine is given."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from fiat.errors import EnvironmentFault
from fiat.run.model import Metric, Result, StepResult
from fiat.store.artifacts import Artifacts
from fiat.store.changes import Changes
from fiat.store.database import Database
from fiat.store.deliveries import Deliveries
from fiat.store.deployments import Deployments
from fiat.store.documents import Documents
from fiat.store.faults import disk_faults
from fiat.store.fence import Fence
from fiat.store.gc import GRACE_S, QUEUE_DAYS, GcReport, Heap, collect_garbage
from fiat.store.holders import other_holders
from fiat.store.locks import HeldLock
from fiat.store.marks import Marks
from fiat.store.metrics import Metrics, add_metrics_within
from fiat.store.outbox import Outbox
from fiat.store.postgres import PostgresServer
from fiat.store.queue import Queue
from fiat.store.registry import Registry
from fiat.store.releases import Releases
from fiat.store.results import Results
from fiat.store.resume import ResumeFolders
from fiat.store.runs import Runs, save_step_within
from fiat.store.schema import SCHEMA
from fiat.store.scopes import Scope
from fiat.store.seats import Seats
from fiat.store.sqlite_file import SqliteFile
from fiat.store.stats import Digester
from fiat.store.work import WorkFolders


class Store:
    """What Fiat remembers of one checkout.

    Made by `open_store`; use it as a context manager, or call `close`.

    Attributes:
        root: the `.fiat` folder.
        results: what steps made, by fingerprint.
        runs: what happened.
        metrics: numbers of runs and steps, with curves.
        releases: models that passed.
        registry: versions, aliases, tags and notes of models.
        deployments: what was put on targets, and what is held back.
        artifacts: files and folders by digest.
        digester: digests of the checkout's files.
        work: scratch folders.
        resume: folders that outlive attempts.
        deliveries: what forges told.
        changes: commits that want attention.
        queue: runs that wait, run and are over.
        outbox: what is to be reported.
        seats: roles that one process has at a time.
        marks: small things that loops remember.
        database: for this room only.
    """

    def __init__(
        self, root: Path, database: Database, now: Callable[[], datetime], checkout: Path, scope: Scope
    ) -> None:
        self.root = root
        self._now = now
        self._scope = scope
        self.database = database
        documents = Documents(database)
        self.results = Results(database, documents, scope.prefix)
        self.runs = Runs(database, documents, now)
        self.metrics = Metrics(database)
        self.releases = Releases(database)
        self.registry = Registry(database, now)
        self.deployments = Deployments(database)
        self.deliveries = Deliveries(database, now)
        self.changes = Changes(database, now)
        self.queue = Queue(database, now)
        self.outbox = Outbox(database, now)
        self.seats = Seats(database)
        self.marks = Marks(database)
        self.artifacts = Artifacts(scope.root, root if scope.prefix else None)
        self.digester = Digester(scope.root / "stats", checkout, now)
        self.work = WorkFolders(root)
        self.resume = ResumeFolders(scope.root)
        # Held as long as the store is open, so that `gc` in another process sees that it is used.
        self._use = HeldLock(root / "use.lock")

    def save_work(
        self,
        run_id: str,
        step: StepResult,
        result: Result,
        *,
        metrics: Iterable[Metric] = (),
        replace: bool = False,
    ) -> Result:
        """Remember a step that ran, its result and its metrics in one transaction: all of it or nothing.

        Args:
            run_id: the run.
            step: how the step stands there.
            result: what its work made; the artifacts are put already.
            metrics: to add to the step's metrics in this run.
            replace: see `Results.add`.

        Returns:
            The result that is remembered, see `Results.add`.
        """
        with self.database.write() as transaction:
            kept = self.results.add_within(transaction, result, replace=replace)
            save_step_within(transaction, run_id, step)
            add_metrics_within(transaction, run_id, step.name, tuple(metrics))
        return kept

    def log_path(self, run_id: str, step: str) -> Path:
        """Where the step's output is written: `runs/<run>/<step>.log`; the folder exists afterwards.

        Raises:
            EnvironmentFault: the disk refused.
        """
        folder = self.root / "runs" / run_id
        with disk_faults(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{step}.log"

    def gc(
        self,
        *,
        keep_runs: int = 20,
        keep_days: float | None = None,
        queue_days: float = QUEUE_DAYS,
        dry_run: bool = False,
        grace_s: float = GRACE_S,
    ) -> GcReport:
        """Remove what no kept run and no release needs; see `gc.collect_garbage`."""
        heap = Heap(self.root, self.database, Artifacts(self.root), self.work, self._use, self._now())
        return collect_garbage(
            heap,
            keep_runs=keep_runs,
            keep_days=keep_days,
            queue_days=queue_days,
            dry_run=dry_run,
            grace_s=grace_s,
        )

    def blockers(self) -> tuple[int, ...]:
        """Other processes that have the SQLite file locked just now.

        One that stays there for seconds was stopped in the middle of a write, and everybody waits for it: end it. On a
        server there are none: it ends such a process's connection itself after 30 s.
        """
        return other_holders(self.root / "store.db")

    def close(self) -> None:
        """Save the stat cache and give everything back; calling it twice is fine."""
        self.digester.save()
        self.work.close()
        self.resume.close()
        self.database.close()
        self._use.close()
        self._scope.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_store(
    root: Path,
    *,
    url: str | None = None,
    now: Callable[[], datetime],
    checkout: Path | None = None,
    fence: Fence | None = None,
    scope: str = "",
) -> Store:
    """Open the store of a checkout, or make it.

    Args:
        root: the `.fiat` folder in the top of the checkout.
        url: `postgresql://...` for runs, results and releases on a server; None for the file `store.db` in
            `root`. Artifacts are in `root` either way.
        now: the clock, aware.
        checkout: top folder that files are digested under; left out: the folder above `root`.
        fence: a worker's claim: every write raises Fenced as soon as another worker has the run.
        scope: for strangers' runs, such as `fork-4711-12`: results and artifacts are kept apart under this name;
            artifacts that all share can be read, their results are not found, and nothing is written there.

    Raises:
        EnvironmentFault: the store is damaged, cut, no store or of a newer version; the disk refused; the
            server can't be reached or is not UTF8; or the URL is of a kind that is not known.
    """
    root = root.absolute()
    if url is not None and not url.startswith(("postgresql://", "postgres://")):
        raise EnvironmentFault(
            f"a store can't be at {url.partition(':')[0]!r}", hint="write postgresql://user@host/database"
        )
    _make_folders(root)
    backend = SqliteFile(root / "store.db", SCHEMA) if url is None else PostgresServer(url, SCHEMA)
    try:
        return Store(root, Database(backend, fence), now, checkout or root.parent, Scope(root, scope))
    except BaseException:
        backend.close()
        raise


def _make_folders(root: Path) -> None:
    ignore = root / ".gitignore"
    if ignore.exists() and (root / "tmp").is_dir():
        return
    with disk_faults(root):
        (root / "cache" / "files" / "md5").mkdir(parents=True, exist_ok=True)
        (root / "tmp").mkdir(exist_ok=True)
        with suppress(FileExistsError), ignore.open("x") as file:
            file.write("*\n")
