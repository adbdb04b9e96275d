"""What clients sent to a spec's served model of late, as an input of its checks: a profile in the store.

It is made anew only when enough requests came since, so that a run with nothing new does nothing again. What a check was
compared with is an input with a digest like any other: whichever profile it is, a result stands for that one.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from fiat.builtin.deploy_service_place import service_place
from fiat.engine.placing import Ground, Placer
from fiat.monitor.ask import LastServed, ask_served
from fiat.monitor.log_files import log_files
from fiat.serving.place import Place
from fiat.store.store import Store
from fiat.wiring.registry import load_plugin

_SERVICE = "service"
_FORMAT = 1


@dataclass(frozen=True)
class _Seen:
    """What is remembered between runs.

    Attributes:
        folders: of the services.
        look: how the folders of the log were.
        digest: of the profile; empty when there was not enough to describe.
        last: how far the requests were described.
    """

    folders: tuple[str, ...] = ()
    look: str = ""
    digest: str = ""
    last: LastServed = field(default_factory=LastServed)


def find_served(store: Store, spec: str, model: str, ground: Callable[[str], Ground]) -> str:
    """The digest of a profile of the newest requests to the services of a model; empty when too little was served.

    Costs a listing of the log while it is the same; what is new is read by a child.

    Args:
        store: with deployments; the profile is put there.
        spec: the spec's name.
        model: name that its releases go by.
        ground: where a target stands.

    Raises:
        EnvironmentFault: the log can't be read.
    """
    places = service_places(store, spec, model, ground)
    if not places:
        return ""
    key = f"served {model} {spec}"
    folders, look = tuple(str(place.folder) for place in places), _look(places)
    seen = _recall(store.marks.get(key))
    if seen.folders != folders:
        seen = _Seen(folders)
    is_there = bool(seen.digest) and store.artifacts.check(seen.digest)
    if seen.look == look and (is_there or not seen.digest):
        return seen.digest
    now = _describe(store, places, look, seen if is_there else _Seen(folders))
    store.marks.set(key, json.dumps(asdict(now)))
    return now.digest


def service_places(store: Store, spec: str, model: str, ground: Callable[[str], Ground]) -> tuple[Place, ...]:
    """The folders of the services that stand for a spec's model."""
    placer = Placer(
        store,
        lambda kind: load_plugin("deploy", kind)(),
        lambda deployment: ground(deployment.target),
        lambda: datetime.now(UTC),
    )
    return tuple(
        service_place(placer.request(one))
        for one in store.deployments.standing()
        if (one.kind, one.spec, one.model) == (_SERVICE, spec, model)
    )


def _describe(store: Store, places: Sequence[Place], look: str, seen: _Seen) -> _Seen:
    services = [(place.predictions, place.releases) for place in places]
    with tempfile.TemporaryDirectory(prefix="fiat-served-") as folder:
        target = Path(folder) / "profile"
        last = ask_served(services, seen.last, target)
        digest = store.artifacts.put(target, move=False).digest if target.exists() else seen.digest
    return _Seen(seen.folders, look, digest, last)


def _look(places: Sequence[Place]) -> str:
    facts = [
        (str(file.path), file.size_bytes, file.written_at)
        for place in places
        for file in log_files(place.predictions)
    ]
    return hashlib.sha256(repr((_FORMAT, facts)).encode()).hexdigest()


def _recall(text: str | None) -> _Seen:
    if text is None:
        return _Seen()
    found = json.loads(text)
    return _Seen(tuple(found["folders"]), found["look"], found["digest"], LastServed(**found["last"]))
