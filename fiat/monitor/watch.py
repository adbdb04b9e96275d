"""One look at a service's log: windows that are new since the last look, judged and remembered."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa

from fiat.errors import EnvironmentFault
from fiat.monitor.alarms import next_episode
from fiat.monitor.comparison import Compared, Reference, compare_window, reference_of
from fiat.monitor.labelled import join, read_answers, read_labels, tally
from fiat.monitor.log_columns import feature_rows
from fiat.monitor.log_files import LogFile, log_files
from fiat.monitor.log_reading import Cut, cut_windows, read_file
from fiat.monitor.memory import Memory
from fiat.monitor.model import DriftPlan, Kind, QualityPlan, Window
from fiat.monitor.tally import judge
from fiat.monitor.watched import Watched
from fiat.profile.document import read_profile

MOST_WINDOWS = 20
"""Windows of a version that one look judges; what is more is counted and passed over."""
_SHORT = 8
_LATENCIES = (0.5, 0.95, 0.99)


def new_windows(watched: Watched, memory: Memory) -> list[Window]:
    """Judge and remember what is new. Call it while the memory is held.

    Raises:
        OSError: what was found can't be remembered.
    """
    look = _Look(watched, memory)
    if watched.drift is not None:
        look.at_predictions(watched.drift)
    if watched.quality is not None:
        look.at_labels(watched.quality)
    return look.found


class _Look:
    """One look; windows are remembered one by one, so that who is killed goes on behind the last."""

    def __init__(self, watched: Watched, memory: Memory) -> None:
        self.found: list[Window] = []
        self._watched, self._memory = watched, memory
        self._known = memory.windows()
        self._commits: dict[str, str] = {}

    def at_predictions(self, plan: DriftPlan) -> None:
        """Cut the log of each version into windows."""
        by_version: dict[str, list[LogFile]] = {}
        for file in log_files(self._watched.predictions):
            by_version.setdefault(file.what, []).append(file)
        for what, files in by_version.items():
            before = self._last("drift", what)
            position = before.position if before is not None else {}
            reference: Reference | str | None = None
            n_skipped = 0
            for cut in cut_windows(files, position, plan.window, MOST_WINDOWS):
                if cut.rows is None:
                    n_skipped += cut.n_requests
                    last = cut
                    continue
                if reference is None:
                    reference = self._reference(_digest_of(cut.rows))
                compared = (
                    Compared((), (reference,))
                    if isinstance(reference, str)
                    else compare_window(reference, feature_rows(cut.rows), plan, cut.n_requests)
                )
                self._add(what, cut, compared)
            if n_skipped:
                self._pass_over(what, last, n_skipped)

    def at_labels(self, plan: QualityPlan) -> None:
        """Judge each version that enough labels came for since it was judged last."""
        files = log_files(self._watched.labels)
        if not files:
            return
        sizes = {file.path.name: n for file in files if (n := _n_rows(file))}
        judged_before = next((item for item in reversed(self._known) if item.kind == "quality"), None)
        behind = judged_before.position if judged_before is not None else {}
        if sum(n - behind.get(name, 0) for name, n in sizes.items()) < plan.min_labels:
            return
        everything = read_labels(files)
        answers = read_answers(log_files(self._watched.predictions), everything)
        for part in answers.partition_by("digest"):
            digest = str(part["digest"][0])
            before = self._last("quality", digest[:_SHORT])
            position = before.position if before is not None else {}
            given = everything if not position else read_labels(files, position)
            rows = join(given, part).drop_nulls("digest")
            judged = judge(tally(rows), plan)
            if judged.n_labels < plan.min_labels:
                continue
            times = rows["time"].dt.timestamp("ms")
            unmatched = join(given, answers)["digest"].null_count()
            self._remember(
                Window(
                    serial=self._serial(),
                    kind="quality",
                    digest=digest[:_SHORT],
                    version=str(part["version"][-1]),
                    commit=self._commit(digest),
                    begin_s=float(times.min() or 0) / 1000,  # type: ignore[arg-type]  # of integers
                    end_s=float(times.max() or 0) / 1000,  # type: ignore[arg-type]  # of integers
                    n_requests=int(rows["request_id"].n_unique()),
                    n_rows=rows.height,
                    quality=judged,
                    n_unmatched=unmatched,
                    position=sizes,
                )
            )

    def _add(self, what: str, cut: Cut, compared: Compared) -> None:
        rows = cut.rows
        if rows is None:  # never: the caller looked
            return
        times = rows.column("time").cast(pa.int64()).to_numpy()
        latencies = np.quantile(rows.column("latency_us").to_numpy(), _LATENCIES)
        self._remember(
            Window(
                serial=self._serial(),
                kind="drift",
                digest=what,
                version=str(rows.column("version")[-1].as_py()),
                commit=self._commit(_digest_of(rows)),
                begin_s=float(times.min()) / 1e6,
                end_s=float(times.max()) / 1e6,
                n_requests=cut.n_requests,
                n_rows=rows.num_rows,
                columns=compared.columns,
                notes=compared.notes,
                latency_us=tuple(float(value) for value in latencies),
                position=cut.position,
            )
        )

    def _pass_over(self, what: str, cut: Cut, n_skipped: int) -> None:
        """Say of the last window that what came after it was too much."""
        last = self._last("drift", what)
        if last is not None:
            passed = replace(last, serial=self._serial(), n_skipped=n_skipped, position=cut.position)
            self._remember(replace(passed, n_requests=0, n_rows=0, columns=(), latency_us=()))

    def _remember(self, window: Window) -> None:
        before = self._last(window.kind, window.digest)
        passed_over = window.n_skipped > 0
        episode = before.episode if before is not None else None
        if not passed_over:
            episode = next_episode(episode, alarms=window.alarms, serial=window.serial)
        window = replace(window, episode=episode)
        self._memory.add_window(window)
        self._known.append(window)
        self.found.append(window)

    def _serial(self) -> int:
        return self._known[-1].serial + 1 if self._known else 1

    def _last(self, kind: Kind, digest: str) -> Window | None:
        return next(
            (item for item in reversed(self._known) if (item.kind, item.digest) == (kind, digest)), None
        )

    def _reference(self, digest: str) -> Reference | str:
        """What the version is held against, or why it can't be."""
        try:
            return reference_of(read_profile(self._watched.releases / digest))
        except EnvironmentFault:
            return f"the package {digest[:_SHORT]} has no reference profile"

    def _commit(self, digest: str) -> str:
        """The commit that a version was made from; empty when that is not known."""
        if digest not in self._commits:
            try:
                manifest = json.loads((self._watched.releases / digest / "manifest.json").read_bytes())
                self._commits[digest] = str(manifest["commit"])
            except (OSError, ValueError, KeyError, TypeError):
                self._commits[digest] = ""
        return self._commits[digest]


def _digest_of(rows: pa.Table) -> str:
    return str(rows.column("digest")[0].as_py())


def _n_rows(file: LogFile) -> int:
    table = read_file(file.path, [])
    return 0 if table is None else int(table.num_rows)
