"""Target `ray-serve`: the prediction server as replicas of Ray Serve, for a cluster.

`apply` puts the package beside the others, sees that Serve has the replicas, and replaces the release manifest; each replica
loads the new version beside the old one and swaps. A version that one of them can't load is taken back before anything
else is deployed.
"""

import hashlib
import http.client
import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from fiat.builtin.deploy_service_package import changed_files, ready_folder
from fiat.builtin.deploy_service_place import service_place
from fiat.builtin.deploy_shelf import admit, locked
from fiat.builtin.service_plan import log_plan, server_limits
from fiat.errors import EnvironmentFault, FiatError, SpecError
from fiat.model.package import damaged_files
from fiat.ports.deploy import DeployRequest, Share, TargetState
from fiat.serving.counts import VersionCounts, WorkerCounts, read_workers
from fiat.serving.place import Place
from fiat.serving.release import ReleaseManifest, Version, read_manifest, write_manifest
from fiat_ray_serve.task import ServeTask, find_cluster, run_control

_LOCK_WAIT_S = 60.0
_FRESH_S = 5.0
_SETTLE_S = 120.0
_LOOK_EVERY_S = 0.1
_KNOCK_S = 2.0
_RECORD = "serve.json"


class RayServeTarget:
    """Serves a model from a Ray cluster.

    Args:
        env: our whole environment: names the cluster; None is that of this process.
        lock_wait_s: how long another deploy of the same model is waited for.
        settle_s: how long replicas may take to load a version.
    """

    name = "ray-serve"
    version = "1"

    def __init__(
        self,
        env: Mapping[str, str] | None = None,
        lock_wait_s: float = _LOCK_WAIT_S,
        settle_s: float = _SETTLE_S,
    ) -> None:
        self._env = dict(os.environ if env is None else env)
        self._lock_wait_s, self._settle_s = lock_wait_s, settle_s

    def observe(self, request: DeployRequest) -> str | None:
        """Digest that replicas follow; None when there is none, or when nobody answers at its address."""
        place = service_place(request)
        found = _wanted(place)
        if found is None or damaged_files(place.folder / found.folder, deep=False):
            return None
        url = _record(place).get("url", "")
        return found.digest if url and _answers(url) else None

    def state(self, request: DeployRequest) -> TargetState:
        """What replicas say of themselves, files compared, Serve asked."""
        place = service_place(request)
        found = _wanted(place)
        record = _record(place)
        if found is None or not record:
            return TargetState("absent", sentence="nothing is served")
        faults = [
            f"{name} is gone or was changed"
            for name in changed_files(place.folder / found.folder, found.digest)
        ]
        sentence = ""
        try:
            said = self._control(request, place, "status")
            sentence = f"{said['replicas']} replicas of Ray Serve answer"
            if said["status"] != "RUNNING":
                faults.append(f"Ray Serve says {said['status']}: {said['message'] or 'no more'}")
        except FiatError as error:
            faults.append(error.message)
        if not _answers(record["url"]):
            faults.append(f"nobody answers at {record['url']}")
        behind = [item for item in _fresh(place) if _version_at(item, found.digest, "ready") is None]
        if behind:
            faults.append(f"{len(behind)} replicas have not loaded it")
        phase = "broken" if faults else "serving"
        shares = (Share(found.digest, 100.0),)
        return TargetState(phase, found.digest, sentence, record["url"], shares, faults=tuple(faults))  # type: ignore[arg-type]  # one of two phases

    def apply(self, request: DeployRequest) -> None:
        """Let all replicas serve the package; what they served before answers until then, and on if they can't.

        Raises:
            SpecError: the graph is one that must not be loaded, or replicas can't load or warm it.
            Stalled: a newer deploy went ahead.
            Waiting: another deploy holds the place all the time.
            EnvironmentFault: there is no Ray, it has no room, or the package is not what its digest says.
        """
        place = service_place(request)
        try:
            place.folder.mkdir(parents=True, exist_ok=True)
            place.logs.mkdir(exist_ok=True)
            place.counts.mkdir(exist_ok=True)
            with locked(place.folder, self._lock_wait_s):
                admit(place.folder, request)
                folder = ready_folder(place, request, _key(request))
                before = read_manifest(place.manifest) if place.manifest.exists() else None
                after = _manifest(before, request, folder)
                if after != before:
                    write_manifest(place.manifest, after)
                try:
                    self._run(request, place)
                    self._await(place, after)
                except (SpecError, EnvironmentFault):
                    self._take_back(place, before, after)
                    raise
                _sweep(place, {folder, before.versions[0].folder if before else folder})
        except OSError as error:
            raise EnvironmentFault(
                f"the service at {place.folder} can't be changed: {error.strerror or error}",
                hint="what was served before is untouched",
            ) from error

    def _run(self, request: DeployRequest, place: Place) -> None:
        """See that Serve has the application as it is wanted; asked only when something differs, for it takes seconds."""
        record, wish = _record(place), asdict(self._task(request, place, "ensure"))
        if record.get("wish") == wish and _answers(record["url"]) and _fresh(place):
            return
        said = self._control(request, place, "ensure")
        if wish["port"] not in (0, said["port"]):
            raise EnvironmentFault(
                f"Ray Serve listens on port {said['port']}, not on {wish['port']}: it has one for all models",
                hint="leave `port` out, or start Serve anew",
            )
        wish["port"] = said["port"]
        host = "127.0.0.1" if wish["host"] in ("127.0.0.1", "0.0.0.0") else wish["host"]  # noqa: S104 - compared
        url = f"http://{host}:{said['port']}{wish['route']}"
        draft = place.folder / f"{_RECORD}.draft"
        draft.write_text(json.dumps({"wish": wish, "url": url}) + "\n", "utf-8")
        draft.replace(place.folder / _RECORD)

    def _control(self, request: DeployRequest, place: Place, verb: Any) -> dict[str, Any]:
        cluster = find_cluster(self._env, self._state_dir(request))
        return run_control(self._task(request, place, verb), cluster, place.logs / "control.log")

    def _task(self, request: DeployRequest, place: Place, verb: Any) -> ServeTask:
        settings, model = request.settings, str(request.settings["model"])
        replicas = settings.get("replicas")
        bounds: Mapping[str, Any] = replicas if isinstance(replicas, dict) else {"min": 1, "max": 1}
        limits = settings.get("limits")
        cpus, gpus = settings.get("cpus"), settings.get("gpus")
        port = settings.get("port") or urlsplit(_record(place).get("url", "")).port or 0
        return ServeTask(
            verb,
            find_cluster(self._env, self._state_dir(request)).address,
            # Two repositories may have a target and a model of the same names on one cluster.
            f"fiat-{request.target}-{model}-{hashlib.sha256(str(place.folder).encode()).hexdigest()[:8]}",
            route=f"/{quote(model, safe='')}",
            folder=str(place.folder),
            host=self._env.get("FIAT_RAY_SERVE_HOST", "127.0.0.1"),
            port=int(str(port)),
            fewest=int(bounds.get("min", 1)),
            most=int(bounds.get("max", 1)),
            cpus=float(str(cpus)) if cpus is not None else 1.0,
            gpus=float(str(gpus)) if gpus is not None else 0.0,
            limits=asdict(server_limits(limits if isinstance(limits, dict) else None)),
        )

    def _state_dir(self, request: DeployRequest) -> Path:
        store = self._env.get("FIAT_STORE")
        return Path(store) if store else request.root / ".fiat"

    def _await(self, place: Place, wanted: ReleaseManifest) -> None:
        """Wait until every replica that lives has loaded it.

        Raises:
            SpecError: one of them can't.
            EnvironmentFault: no replica tells anything, or they take too long.
        """
        digest = wanted.versions[0].digest
        give_up_at = time.monotonic() + self._settle_s
        while True:
            told = [item for item in _fresh(place) if item.serial == wanted.serial]
            for item in told:
                failed = _version_at(item, digest, "failed")
                if failed is not None:
                    raise SpecError(
                        f"the replicas can't serve the model: {failed.reason}",
                        hint="what was served before answers on",
                    )
            fresh = _fresh(place)
            if fresh and all(
                item.serial == wanted.serial and _version_at(item, digest, "ready") for item in fresh
            ):
                return
            if time.monotonic() > give_up_at:
                raise EnvironmentFault(
                    f"{len(told)} of {len(fresh)} replicas follow the new model after {self._settle_s:g} s",
                    hint="what was served before answers on; look at the replicas' logs",
                )
            time.sleep(_LOOK_EVERY_S)

    def _take_back(self, place: Place, before: ReleaseManifest | None, after: ReleaseManifest) -> None:
        """Let replicas that start later load what is served, not what was refused."""
        if before is None:
            place.manifest.unlink(missing_ok=True)
        elif before != after:
            serial = after.serial + 1
            write_manifest(place.manifest, ReleaseManifest(**{**_fields(before), "serial": serial}))


def _manifest(before: ReleaseManifest | None, request: DeployRequest, folder: str) -> ReleaseManifest:
    """What replicas shall follow; equal to the one before when nothing is new."""
    names = {before.versions[0].digest: before.versions[0].name} if before else {}
    given = request.settings.get("version")
    name = str(given) if given else names.get(request.digest) or request.digest[:12]
    version = Version(name, request.digest, folder, 100.0)
    serial = before.serial if before else 1
    model = str(request.settings["model"])
    wish = ReleaseManifest(model, serial, (version,), log_plan(request.monitor), _key(request))
    return (
        wish
        if before is None or wish == before
        else ReleaseManifest(**{**_fields(wish), "serial": serial + 1})
    )


def _key(request: DeployRequest) -> str:
    """The key that packages must be signed with here; empty when none is asked for."""
    if not request.settings.get("signed"):
        return ""
    if not request.settings.get("key"):
        raise EnvironmentFault(
            f"target {request.target} takes only signed packages, and no key is known to check them with",
            hint="name the public key's file in the operator's settings",
        )
    return str(Path(str(request.settings["key"])).absolute())


def _fields(manifest: ReleaseManifest) -> dict[str, Any]:
    return {name: getattr(manifest, name) for name in ("model", "serial", "versions", "log", "key")}


def _wanted(place: Place) -> Version | None:
    try:
        return read_manifest(place.manifest).versions[0]
    except EnvironmentFault:
        return None


def _record(place: Place) -> dict[str, Any]:
    try:
        found = json.loads((place.folder / _RECORD).read_bytes())
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}


def _fresh(place: Place) -> list[WorkerCounts]:
    """What replicas told in the last seconds; those that are gone tell no more."""
    now = time.time()
    return [item for item in read_workers(place.counts) if now - item.written_at < _FRESH_S]


def _version_at(worker: WorkerCounts, digest: str, state: str) -> VersionCounts | None:
    versions = (item for found in worker.versions.values() for item in found)
    return next((item for item in versions if item.digest == digest and item.state == state), None)


def _answers(url: str) -> bool:
    """Whether something lives there."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_KNOCK_S)
    try:
        connection.request("GET", f"{parts.path}/v2/health/live")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _sweep(place: Place, kept: set[str]) -> None:
    """Remove releases that nobody goes back to."""
    names = {Path(name).name for name in kept}
    for entry in place.releases.iterdir():
        if entry.is_dir() and entry.name not in names:
            shutil.rmtree(entry, ignore_errors=True)
