"""Register a model folder: a run with parameters and metrics, a version of the registered model, and the release's alias.

Each step finds what an earlier try made by the tag `fiat.digest`, so that a kill in the middle leaves no second version.
"""

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiat.model.package import MANIFEST, METRICS
from fiat_mlflow.model_folder import LISTING, PACKAGE
from fiat_mlflow.server import Exists, Missing, TrackingServer

_DIGEST, _COMMIT = "fiat.digest", "fiat.commit"
_ARTIFACT = "model"
_LONGEST_PARAM = 500
_LONGEST_BATCH = 100


@dataclass(frozen=True)
class Registered:
    """A version of a registered model.

    Attributes:
        uri: of the tracking server.
        name: of the registered model.
        version: number, as the server says it.
        digest: of the package.
        run_id: of the run that it came from.
    """

    uri: str
    name: str
    version: str
    digest: str
    run_id: str


def register(
    server: TrackingServer, folder: Path, name: str, digest: str, commit: str, now_ms: int
) -> Registered:
    """Make the server have the model, once.

    Args:
        server: where.
        folder: of the model.
        name: of the registered model, made when it is missing.
        digest: of the package.
        commit: that it is released for.
        now_ms: milliseconds since 1970.

    Raises:
        Waiting: not now.
        EnvironmentFault: the server can't be reached, or refuses.
    """
    manifest = json.loads((folder / PACKAGE / MANIFEST).read_bytes())
    tags = {_DIGEST: digest, _COMMIT: commit or str(manifest.get("commit", ""))}
    with suppress(Exists):
        server.post("registered-models/create", name=name)
    found = find_version(server, name, digest)
    if found is None:
        run = _run(server, folder, name, manifest, tags, now_ms)
        created = server.post(
            "model-versions/create",
            name=name,
            source=f"{run['artifact_uri']}/{_ARTIFACT}",
            run_id=run["run_id"],
            tags=_pairs(tags),
        )
        found = created["model_version"]
    version, run_id = str(found["version"]), str(found.get("run_id", ""))
    if alias := manifest.get("alias"):
        server.post("registered-models/alias", name=name, alias=str(alias), version=version)
    return Registered(server.uri, name, version, digest, run_id)


def find_version(server: TrackingServer, name: str, digest: str) -> dict[str, Any] | None:
    """The version of a registered model that came from a package; the newest when somebody registered it twice."""
    asked = f"name='{name}' and tags.`{_DIGEST}` = '{digest}'"
    try:
        found = server.get("model-versions/search", filter=asked, max_results="100").get("model_versions", [])
    except Missing:
        return None
    ready = [item for item in found if item.get("status", "READY") == "READY"]
    return max(ready, key=lambda item: int(item["version"]), default=None)


def version_at(server: TrackingServer, name: str, alias: str) -> str:
    """Number of the version that an alias names; empty for none."""
    try:
        found = server.get("registered-models/alias", name=name, alias=alias)
    except Missing:
        return ""
    return str(found["model_version"]["version"])


def _run(
    server: TrackingServer,
    folder: Path,
    name: str,
    manifest: dict[str, Any],
    tags: dict[str, str],
    now_ms: int,
) -> dict[str, Any]:
    """A finished run with the model among its artifacts; one that was begun before is finished."""
    experiment = _experiment(server, str(manifest.get("spec") or name))
    asked = f"tags.`{_DIGEST}` = '{tags[_DIGEST]}'"
    there = server.post("runs/search", experiment_ids=[experiment], filter=asked, max_results=1).get("runs")
    if there:
        run = there[0]["info"]
    else:
        run_name = f"{name} {tags[_COMMIT][:12] or tags[_DIGEST][:12]}"
        run = server.post(
            "runs/create",
            experiment_id=experiment,
            start_time=now_ms,
            run_name=run_name,
            tags=_pairs({**tags, "mlflow.runName": run_name}),
        )["run"]["info"]
    if run["status"] == "FINISHED":
        return dict(run)
    started = int(run["start_time"])
    metrics, params = _metrics(folder, started), _params(manifest)
    for start in range(0, max(len(metrics), len(params)), _LONGEST_BATCH):
        part = slice(start, start + _LONGEST_BATCH)
        server.post("runs/log-batch", run_id=run["run_id"], metrics=metrics[part], params=params[part])
    listed = json.loads((folder / LISTING).read_bytes())["files"]
    # MLmodel comes last: who finds it finds a whole model.
    for path in sorted([*listed, LISTING], key=lambda item: (item == "MLmodel", item)):
        server.upload(run["artifact_uri"], f"{_ARTIFACT}/{path}", folder / path)
    server.post("runs/update", run_id=run["run_id"], status="FINISHED", end_time=now_ms)
    return dict(run)


def _experiment(server: TrackingServer, name: str) -> str:
    try:
        return str(server.post("experiments/create", name=name)["experiment_id"])
    except Exists:
        found = server.get("experiments/get-by-name", experiment_name=name)
        return str(found["experiment"]["experiment_id"])


def _metrics(folder: Path, timestamp_ms: int) -> list[dict[str, object]]:
    """Metrics with the time of the run, so that logging them again adds nothing."""
    found = json.loads((folder / PACKAGE / METRICS).read_bytes())
    return [
        {
            "key": _word("/".join(filter(None, (item["name"], item.get("slice"))))),
            "value": float(item["value"]),
        }
        | {"timestamp": timestamp_ms, "step": 0}
        for item in found
        if isinstance(item.get("value"), int | float)
    ]


def _params(manifest: dict[str, Any]) -> list[dict[str, str]]:
    given = {**(manifest.get("params") or {}), "fiat.spec": manifest.get("spec") or ""}
    return [
        {"key": _word(name), "value": _short(value)} for name, value in sorted(given.items()) if value != ""
    ]


def _short(value: object) -> str:
    return (value if isinstance(value, str) else json.dumps(value))[:_LONGEST_PARAM]


def _word(name: str) -> str:
    """A name that MLflow takes: letters, digits, and `_-. :/`."""
    return re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)[:250]


def _pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]
