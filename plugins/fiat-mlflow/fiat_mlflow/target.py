"""Target `mlflow`: the packaged model as a folder that `mlflow.pyfunc.load_model` loads, and a registered version of it.

The folder `<path>/<model>` is a link to a version folder, as those of target `directory` are. With `uri` the version is also
at the tracking server before the link leads to it.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from fiat.builtin.deploy_versions import (
    LOCK_WAIT_S,
    Place,
    bring_version,
    current_version,
    place_of,
    plain_name,
    ready_version,
)
from fiat.errors import EnvironmentFault, FiatError, SpecError
from fiat.model.package import MANIFEST
from fiat.ports.deploy import DeployRequest, TargetState
from fiat_mlflow.model_folder import PACKAGE, damaged_model, write_model_folder
from fiat_mlflow.registering import Registered, find_version, register, version_at
from fiat_mlflow.server import Missing, TrackingServer

_RECORD = "registered.json"
_DEFAULT_PATH = "mlflow"
_FORBIDDEN = ("'", "`", "/", ":", "\\", '"')


class MlflowTarget:
    """Puts a model where MLflow finds it.

    Args:
        lock_wait_s: how long another deploy of the same model is waited for.
        clock: seconds since 1970.
    """

    name = "mlflow"
    version = "1"

    def __init__(self, lock_wait_s: float = LOCK_WAIT_S, clock: Callable[[], float] = time.time) -> None:
        self._lock_wait_s = lock_wait_s
        self._clock = clock

    def observe(self, request: DeployRequest) -> str | None:
        """Digest of the package that the folder was made from, and that is registered as far as is known here."""
        place = _place(request)
        current = current_version(place)
        if current is None or damaged_model(current, deep=False):
            return None
        digest = plain_name(current)
        if request.settings.get("uri"):
            known = _read_record(place)
            wanted = (str(request.settings["uri"]).rstrip("/"), _registered_name(request), digest)
            if known is None or (known.uri, known.name, known.digest) != wanted:
                return None
        return digest

    def state(self, request: DeployRequest) -> TargetState:
        """What stands in the folder, every file compared, and what the tracking server says of it."""
        place = _place(request)
        current = current_version(place)
        if current is None:
            return TargetState("absent", sentence="no model is here")
        digest = plain_name(current)
        faults = [f"{name} is gone or was changed" for name in damaged_model(current, deep=True)]
        sentence, url = f"stands at {place.link}", ""
        if request.settings.get("uri"):
            name, url = _registered_name(request), str(request.settings["uri"]).rstrip("/")
            try:
                version, missing = _at_server(TrackingServer(request), current, name, digest)
                faults += missing
                sentence += f", registered as {name} version {version}" if version else ""
            except (FiatError, Missing) as error:
                faults.append(f"the tracking server can't be asked: {error}")
        return TargetState("broken" if faults else "serving", digest, sentence, url, faults=tuple(faults))

    def apply(self, request: DeployRequest) -> None:
        """Write the folder, register it where a server is named, then let the link lead to it.

        Raises:
            SpecError: the path leaves the root or is taken, or the server is not granted.
            Stalled: a newer deploy went ahead.
            Waiting: another deploy holds the place, or the server says "later".
            EnvironmentFault: the folder can't be written, the server refuses, or the package is not what its digest says.
        """
        place = _place(request)
        bring_version(
            request,
            place,
            lock_wait_s=self._lock_wait_s,
            is_there=lambda: self.observe(request) == request.digest,
            make=lambda shelf: ready_version(
                shelf,
                request.digest,
                lambda folder: not damaged_model(folder, deep=True),
                lambda draft: write_model_folder(request, draft),
            ),
            publish=lambda folder: self._publish(request, place, folder),
        )

    def _publish(self, request: DeployRequest, place: Place, folder: Path) -> None:
        if not request.settings.get("uri"):
            return
        server = TrackingServer(request)
        try:
            done = register(
                server,
                folder,
                _registered_name(request),
                request.digest,
                request.commit,
                int(self._clock() * 1000),
            )
        except Missing as error:
            raise EnvironmentFault(
                f"{server.uri} does not know what it was just told ({error}): is it a tracking server?",
                hint="look at `uri`",
            ) from error
        draft = place.shelf / f"{_RECORD}.draft"
        draft.write_text(json.dumps(asdict(done)) + "\n", "utf-8")
        draft.replace(place.shelf / _RECORD)


def _place(request: DeployRequest) -> Place:
    return place_of(request, "mlflow", _DEFAULT_PATH)


def _registered_name(request: DeployRequest) -> str:
    name = str(request.settings.get("register_as") or request.settings["model"])
    if any(letter in name for letter in _FORBIDDEN):
        raise SpecError(f"{name!r} can't be the name of a registered model", hint="set `register_as`")
    return name


def _read_record(place: Place) -> Registered | None:
    try:
        return Registered(**json.loads((place.shelf / _RECORD).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _at_server(server: TrackingServer, folder: Path, name: str, digest: str) -> tuple[str, list[str]]:
    """Number of the version there, and what differs from what was registered."""
    found = find_version(server, name, digest)
    if found is None:
        return "", [f"{name} has no version of this model at the tracking server"]
    version = str(found["version"])
    alias = json.loads((folder / PACKAGE / MANIFEST).read_bytes()).get("alias")
    if alias and (there := version_at(server, name, alias)) != version:
        return version, [f"alias {alias} of {name} names {f'version {there}' if there else 'nothing'}"]
    return version, []
