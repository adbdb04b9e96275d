"""What Ray Serve keeps copies of: the app of `fiat.serving`, which follows the release manifest on the shared disk.

Serve knows nothing of versions: a new one is loaded and warmed beside the old one inside each replica and swapped there by
one reference. Serve's own ways (a rolling update, `reconfigure`) take a replica out of service meanwhile.
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import ray
from ray import serve
from ray.serve._private import replica as serve_replica
from starlette.requests import Request
from starlette.responses import Response

from fiat.errors import EnvironmentFault
from fiat.serving.answer_log import AnswerLogs
from fiat.serving.app import Application
from fiat.serving.census import Census
from fiat.serving.fleet import Fleet
from fiat.serving.follow import Follower
from fiat.serving.loaded import LoadedVersion
from fiat.serving.place import Place
from fiat.serving.release import ReleaseManifest, ServerLimits
from fiat.serving.signature_check import check_signature

LOG = logging.getLogger("fiat.serving")
TELL_EVERY_S = 0.5


class Replica:
    """One copy of the server.

    Args:
        folder: of the service, on a disk that all nodes see.
        limits: fields of ServerLimits.
        threads: of one operator of a model.
    """

    async def __init__(self, folder: str, limits: Mapping[str, Any], threads: int) -> None:  # type: ignore[misc]  # Serve awaits it
        _keep_to_loopback()
        self._place = Place(Path(folder))
        if not self._place.folder.is_dir():
            raise EnvironmentFault(
                f"{socket.gethostname()} does not see {folder}",
                hint="keep the target's state on a disk that all nodes of the cluster share",
            )
        number = int(serve.get_replica_context().replica_id.unique_id.encode().hex(), 16) % (1 << 31)
        self._logs = AnswerLogs(number, time.time)
        given = ServerLimits(**limits)
        self._fleet = Fleet(given, threads=threads, check=check_signature, on_ready=self._learn)
        self._census = Census(number, 1, time.time, self._fleet, self._logs)
        self._app = Application(
            self._fleet, given, self._logs, version=_own_version(), workers=self._census.everybody
        )
        self._census.attend(self._app)
        self._follower = Follower(self._fleet, self._place.manifest, self._placed, self._tell)
        await self._follower.look()
        self._tell()
        self._tasks = [asyncio.create_task(self._follower.run()), asyncio.create_task(self._tell_on())]

    async def __call__(self, request: Request) -> Response:
        """Answer one request of Serve's proxy by the app."""
        scope = dict(request.scope)
        prefix = scope.get("root_path", "").encode()
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        scope["raw_path"] = (raw.removeprefix(prefix) if prefix else raw) or b"/"
        scope["path"] = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        status, headers, body = 500, [], b""

        async def send(message: Mapping[str, Any]) -> None:
            nonlocal status, headers, body
            if message["type"] == "http.response.start":
                status, headers = message["status"], list(message["headers"])
            else:
                body += message.get("body", b"")

        await self._app(scope, request.receive, send)
        response = Response(body, status)
        response.raw_headers = headers
        return response

    async def __del__(self) -> None:
        """Write down what waits, and tell no more."""
        for task in getattr(self, "_tasks", ()):
            task.cancel()
        self._logs.close()
        await self._fleet.close()
        number = self._census.own().worker
        with contextlib.suppress(OSError):
            (self._place.counts / f"{number}.json").unlink()

    async def _tell_on(self) -> None:
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            self._logs.flush()
            self._tell()

    def _tell(self) -> None:
        """Write the counts, changed or not: a deploy sees by their time which replicas live."""
        with contextlib.suppress(OSError):
            self._place.counts.mkdir(exist_ok=True)
            self._census.own().write(self._place.counts)

    def _placed(self, manifest: ReleaseManifest, folder: Path) -> None:
        self._logs.follow(manifest.model, manifest.log, folder)
        served = self._fleet.state(manifest.model).served
        for running in served.versions.values() if served else ():
            self._logs.learn(manifest.model, running.loaded)

    def _learn(self, loaded: LoadedVersion) -> None:
        self._logs.learn(loaded.info.name, loaded)


def _keep_to_loopback() -> None:
    """Let Serve's own gRPC port of a replica listen on loopback when all of Ray does.

    Serve binds it to every interface and unpickles what comes in, without asking for Ray's token.
    Source: `ray.serve._private.replica`, `_on_initialized`, Ray 2.60.
    """
    if ray.util.get_node_ip_address() != "127.0.0.1":  # type: ignore[no-untyped-call]  # Ray's own gap
        return
    names = vars(serve_replica)
    bind = names.get("add_port_to_grpc_server")
    if bind is not None:
        names["add_port_to_grpc_server"] = lambda server, address, *rest: bind(
            server, address.replace("[::]", "127.0.0.1"), *rest
        )


def _own_version() -> str:
    try:
        return version("fiat-ml")
    except PackageNotFoundError:
        return "unknown"
