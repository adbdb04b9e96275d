"""Target `service`: a supervised local process that answers the Open Inference Protocol, and moves traffic step by step.

`apply` puts the package beside the others, writes down what is wanted, and sees that a keeper is at work on it; the keeper
(`service_keeper.py`) does the rest, also when whoever deployed is long gone.
"""

import time
from collections.abc import Callable, Sequence

from fiat.builtin.deploy_service_package import ready_folder
from fiat.builtin.deploy_service_place import service_place
from fiat.builtin.deploy_service_state import look
from fiat.builtin.deploy_service_wish import key_of, wish_of
from fiat.builtin.deploy_shelf import admit, locked
from fiat.builtin.service_ledger import Ledger, read_ledger
from fiat.builtin.service_process import SILENT_S, keeper_of, keeper_silent_s, kill_group, start_keeper
from fiat.builtin.service_stop import stop
from fiat.builtin.service_wanted import Candidate, Wanted, read_wanted, write_wanted
from fiat.errors import EnvironmentFault, SpecError, Stalled
from fiat.model.package import damaged_files
from fiat.ports.deploy import DeployRequest, TargetState
from fiat.serving.counts import read_workers
from fiat.serving.place import Place

_LOCK_WAIT_S = 60.0
_TAKEN_S = 20.0
_STARTED_S = 30.0
_LOADED_S = 180.0
_FOLLOWED_S = 5.0
_POLL_S = 0.03


class ServiceTarget:
    """Serves a model from this machine.

    Args:
        lock_wait_s: how long another deploy of the same service is waited for.
        keeper_arguments: further arguments of the keeper's program.
        taken_s: how long a keeper that lives may take to see what is wanted, before it is replaced.
    """

    name = "service"
    version = "1"

    def __init__(
        self,
        lock_wait_s: float = _LOCK_WAIT_S,
        keeper_arguments: Sequence[str] = (),
        taken_s: float = _TAKEN_S,
    ) -> None:
        self._lock_wait_s, self._taken_s = lock_wait_s, taken_s
        self._keeper_arguments = tuple(keeper_arguments)

    def observe(self, request: DeployRequest) -> str | None:
        """Digest that the service was asked for last, or where that was refused, what it has instead.

        None, too, when nobody keeps the service: then nobody starts its server again.
        """
        place = service_place(request)
        wanted = read_wanted(place.wanted)
        if wanted is None or wanted.stop:
            return None
        version: Candidate | None = wanted.version
        ledger = read_ledger(place.rollout)
        if ledger is not None and _was_refused(ledger, wanted):
            version = ledger.stable
        if version is None or damaged_files(place.folder / version.folder, deep=False):
            return None
        keeper = keeper_of(place)
        return version.digest if keeper is not None and keeper.alive else None

    def state(self, request: DeployRequest) -> TargetState:
        """What the service does: files compared, keeper and server asked."""
        return look(service_place(request), time.time())

    def leave(self, request: DeployRequest) -> bool:
        """End the service: running requests are answered, then keeper and server end.

        Raises:
            Waiting: a deploy is at work all the time.
            EnvironmentFault: the folder can't be read or written.
        """
        place = service_place(request)
        try:
            return stop(place.folder)
        except OSError as error:
            raise EnvironmentFault(
                f"the service at {place.folder} can't be stopped: {error.strerror or error}",
                hint="free space on the disk, then try again",
            ) from error

    def apply(self, request: DeployRequest) -> None:
        """Ask for the package, and wait until it is loaded and its first stage is under way.

        Raises:
            SpecError: the path leaves the root, or the graph is one that must not be loaded, or the server can't use it.
            Stalled: a newer deploy went ahead, or this one was refused before.
            Waiting: another deploy holds the place all the time.
            EnvironmentFault: the folder can't be written, the package is not what its digest or signature says, or no
                keeper comes to life.
        """
        place = service_place(request)
        try:
            place.folder.mkdir(parents=True, exist_ok=True)
            with locked(place.folder, self._lock_wait_s):
                admit(place.folder, request)
                before, ledger = read_wanted(place.wanted), read_ledger(place.rollout)
                _not_again(ledger, request)
                folder = ready_folder(place, request, key_of(request))
                wanted = wish_of(before, request, folder)
                if wanted != before:
                    write_wanted(place.wanted, wanted)
                self._see_through(place, wanted)
        except OSError as error:
            raise EnvironmentFault(
                f"the service at {place.folder} can't be changed: {error.strerror or error}",
                hint="what was served before is untouched",
            ) from error

    def _see_through(self, place: Place, wanted: Wanted) -> None:
        """Wait for the keeper to take it, then for the version to be loaded, then for servers to follow."""
        started = self._start(place)
        if not _until(lambda: _taken(place, wanted), _STARTED_S if started else self._taken_s):
            # One that stands still is ended: what it decided is on disk, and its server lives on.
            standing = keeper_of(place)
            if standing is not None and standing.alive:
                kill_group(standing)
            self._start(place)
            if not _until(lambda: _taken(place, wanted), _STARTED_S):
                raise EnvironmentFault(
                    f"no keeper takes over the service at {place.folder}",
                    hint=f"see {place.logs / 'keeper.log'}",
                )
        if not _until(lambda: _under_way(place, wanted), _LOADED_S):
            raise EnvironmentFault(
                f"version {wanted.version.name} is not loaded after {_LOADED_S:g} s",
                hint=f"see {place.logs / 'server.log'}",
            )
        ledger = read_ledger(place.rollout)
        if ledger is not None and ledger.refused is not None and _was_refused(ledger, wanted):
            kept = "the version before serves on" if ledger.stable else "nothing is served"
            raise SpecError(
                f"version {wanted.version.name} was refused: {ledger.refused.reason}",
                hint=f"{kept}; see {place.logs / 'server.log'}",
            )
        _until(lambda: _followed(place), _FOLLOWED_S)

    def _start(self, place: Place) -> bool:
        """See that there is a keeper that moves; whether a new one was needed."""
        keeper = keeper_of(place)
        if keeper is not None and keeper.alive:
            if keeper_silent_s(place) < SILENT_S:
                return False
            kill_group(keeper)
        start_keeper(place, self._keeper_arguments)
        return True


def _not_again(ledger: Ledger | None, request: DeployRequest) -> None:
    """A deploy that was refused is not tried again by itself; one by hand, or a newer one, is."""
    refused = ledger.refused if ledger else None
    again = refused is not None and (refused.digest, refused.generation) == (
        request.digest,
        request.generation,
    )
    if refused is not None and again and request.generation > 0:
        raise Stalled(
            f"target {request.target} refused generation {request.generation} already: {refused.reason}",
            hint="it is not tried again until a newer one comes; what was served before serves on",
        )


def _was_refused(ledger: Ledger, wanted: Wanted) -> bool:
    return ledger.refused is not None and ledger.refused.wanted == wanted.serial


def _taken(place: Place, wanted: Wanted) -> bool:
    ledger, keeper = read_ledger(place.rollout), keeper_of(place)
    return ledger is not None and ledger.wanted == wanted.serial and keeper is not None and keeper.alive


def _under_way(place: Place, wanted: Wanted) -> bool:
    ledger = read_ledger(place.rollout)
    if ledger is None or ledger.wanted != wanted.serial:
        return False
    if _was_refused(ledger, wanted):
        return True
    if ledger.moving is not None:
        return ledger.moving.rollout is not None and ledger.moving.loading_s is None
    return ledger.stable is not None and _serves(place, ledger, ledger.stable.digest)


def _serves(place: Place, ledger: Ledger, digest: str) -> bool:
    return any(
        version.digest == digest and version.state == "ready"
        for worker in read_workers(place.counts)
        for version in worker.versions.get(ledger.model, ())
    )


def _followed(place: Place) -> bool:
    ledger = read_ledger(place.rollout)
    workers = read_workers(place.counts)
    return ledger is not None and bool(workers) and all(worker.serial == ledger.serial for worker in workers)


def _until(true: Callable[[], bool], patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
