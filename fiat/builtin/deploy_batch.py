"""Target `batch`: the released model scores a table, and the scores lie in a file or folder with an account beside them.

What is there is the model's when it was made by that model out of the input as it is now: a changed input is scored anew.
"""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from fiat.builtin.batch_input import BatchInput, input_changed, read_input
from fiat.builtin.batch_job import BatchTask
from fiat.builtin.batch_launch import Seat, score
from fiat.builtin.batch_place import (
    BatchPlace,
    batch_place,
    damaged_scores,
    lost_links,
    make_links,
    read_about,
)
from fiat.builtin.deploy_versions import (
    LOCK_WAIT_S,
    bring_version,
    copy_package,
    current_version,
    ready_version,
)
from fiat.model.package import damaged_files
from fiat.ports.deploy import DeployRequest, TargetState

_ROWS, _BLOCK_ROWS = 1024, 65_536
_ASKED = ("rows", "cpus", "gpus")


class BatchTarget:
    """Scores tables with a released model.

    Args:
        env: our whole environment: says whether Ray is wanted, and where it is; None is that of this process.
        lock_wait_s: how long another scoring of the same output is waited for.
        block_rows: most rows that are scored between two looks at the disk: so much is lost by a kill.
    """

    name = "batch"
    version = "1"

    def __init__(
        self,
        env: Mapping[str, str] | None = None,
        lock_wait_s: float = LOCK_WAIT_S,
        block_rows: int = _BLOCK_ROWS,
    ) -> None:
        self._env = dict(os.environ if env is None else env)
        self._lock_wait_s = lock_wait_s
        self._block_rows = block_rows

    def observe(self, request: DeployRequest) -> str | None:
        """Digest of the model that made the scores; None when they are gone, or the input has changed since."""
        place = batch_place(request)
        folder = current_version(place.versions)
        about = read_about(folder) if folder else None
        if folder is None or about is None or damaged_scores(folder) or lost_links(place):
            return None
        return None if input_changed(request, about) else str(about.get("model_digest"))

    def state(self, request: DeployRequest) -> TargetState:
        """What lies there: files, links, and whether the input is still what was scored."""
        place = batch_place(request)
        folder = current_version(place.versions)
        if folder is None:
            return TargetState("absent", sentence="nothing has been scored")
        about = read_about(folder) or {}
        faults = [f"{name} is gone or was changed" for name in damaged_scores(folder)]
        faults += [f"{link.name} does not lead to the scores" for link in lost_links(place)]
        if about and (change := input_changed(request, about)):
            faults.append(change)
        digest = str(about["model_digest"]) if "model_digest" in about else None
        failed = f", {about['failed']:,} of them failed" if about.get("failed") else ""
        sentence = f"{about.get('rows', 0):,} rows are scored in {place.output}{failed}"
        return TargetState("broken" if faults else "serving", digest, sentence, faults=tuple(faults))

    def apply(self, request: DeployRequest) -> None:
        """Score what is not scored yet, then let the links lead to the scores.

        Raises:
            SpecError: a path leaves the root or is taken by something else, the input is not what the model reads, or
                not one row could be scored.
            Stalled: a newer deploy went ahead.
            Waiting: another scoring holds the output all the time.
            EnvironmentFault: the machine or Ray is at fault, or the package is not what its digest says.
        """
        place = batch_place(request)
        bring_version(
            request,
            place.versions,
            lock_wait_s=self._lock_wait_s,
            is_there=lambda: self.observe(request) == request.digest,
            make=lambda shelf: self._scored(request, place, shelf),
            publish=lambda _: make_links(place),
        )

    def _scored(self, request: DeployRequest, place: BatchPlace, shelf: Path) -> Path:
        found = read_input(request)
        key = f"{request.digest}.{found.digest[:16]}"
        return ready_version(
            shelf,
            key,
            lambda folder: not damaged_scores(folder),
            lambda draft: self._fill(request, place, found, key, draft),
        )

    def _fill(
        self, request: DeployRequest, place: BatchPlace, found: BatchInput, key: str, draft: Path
    ) -> None:
        work = place.work / key
        package = work / "package"
        if not package.is_dir() or damaged_files(package):
            package.mkdir(parents=True, exist_ok=True)
            copy_package(request, package)
        settings = request.settings
        about = {
            "model": str(settings["model"]),
            "model_digest": request.digest,
            "commit": request.commit,
            "generation": request.generation,
            "input": str(settings["input"]),
            "input_digest": found.digest,
            "input_stats": found.stats,
            "scored_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        rows, cpus, gpus = (float(settings.get(name) or 0) for name in _ASKED)  # type: ignore[arg-type]  # JSON numbers
        task = BatchTask(
            package=str(package),
            work=str(work),
            folder=str(draft),
            files=[[str(file.path), file.name] for file in found.files],
            kind=found.format,
            form=place.format,
            rows=int(rows) or _ROWS,
            block_rows=self._block_rows,
            cpus=cpus or 1.0,
            gpus=gpus,
            about=about,
        )
        score(task, self._seat(request))

    def _seat(self, request: DeployRequest) -> Seat:
        store = self._env.get("FIAT_STORE")
        return Seat(
            ray=self._env.get("FIAT_COMPUTE", "ray") == "ray",
            address=self._env.get("RAY_ADDRESS", ""),
            state_dir=Path(store) if store else request.root / ".fiat",
            env=self._env,
        )
