"""A tracking server, asked over its REST API by Fiat's own HTTP client: checked addresses, no strange redirects, no MLflow.

Source: https://mlflow.org/docs/latest/rest-api.html; artifacts: `mlflow/protos/mlflow_artifacts.proto`.
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from fiat.builtin.http_client import BrokenTransfer, HttpAnswer, HttpClient, HttpPolicy
from fiat.builtin.http_url import checked_url, shown_url
from fiat.errors import EnvironmentFault, SpecError, Waiting
from fiat.ports.confinement import host_granted
from fiat.ports.deploy import DeployRequest

_API, _FILES = "/api/2.0/mlflow/", "/api/2.0/mlflow-artifacts/artifacts/"
_PROXY_NAMES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy")
_MOST_ANSWER_BYTES = 16 << 20
_LATER = (408, 425, 429, 500, 502, 503, 504)
_NO = (401, 403)
_PATIENCE_S = 600.0


class Missing(Exception):
    """The server has nothing of that name."""


class Exists(Exception):
    """The server has something of that name already."""


class TrackingServer:
    """One tracking server.

    Args:
        request: its settings have `uri`; says which hosts and credentials may be used.

    Raises:
        SpecError: the address is none that may be asked.
    """

    def __init__(self, request: DeployRequest) -> None:
        self.uri = str(request.settings["uri"]).rstrip("/")
        host = checked_url(self.uri).hostname or ""
        if request.confined and not (request.hosts and host_granted(host, request.hosts)):
            raise SpecError(
                f"deploy.{request.target}.uri: the operator does not grant the host {host}",
                hint="ask the operator to list it under the repository's target",
            )
        proxies = {name: request.env[name] for name in _PROXY_NAMES if name in request.env}
        self._client = HttpClient(
            HttpPolicy(
                request.allow_private_hosts, timeout_s=_PATIENCE_S, proxies=proxies, hosts=request.hosts
            )
        )
        self._headers = _credential(request.env)

    def get(self, verb: str, **asked: str) -> dict[str, Any]:
        """Ask.

        Raises:
            Missing: there is none.
            Waiting: not now.
            EnvironmentFault: it can't be reached, or refuses.
        """
        query = f"?{urlencode(asked)}" if asked else ""
        return self._call("GET", f"{self.uri}{_API}{verb}{query}")

    def post(self, verb: str, **said: object) -> dict[str, Any]:
        """Tell.

        Raises:
            Missing: what it is about is not there.
            Exists: it is there already.
            Waiting: not now.
            EnvironmentFault: it can't be reached, or refuses.
        """
        return self._call("POST", f"{self.uri}{_API}{verb}", json.dumps(said).encode())

    def upload(self, artifact_uri: str, name: str, path: Path) -> None:
        """Put a file among a run's artifacts; putting it again changes nothing.

        Raises:
            Waiting: not now.
            EnvironmentFault: it can't be reached, or refuses, or keeps artifacts where only others can put them.
        """
        parts = urlsplit(artifact_uri)
        if parts.scheme != "mlflow-artifacts":
            raise EnvironmentFault(
                f"{shown_url(self.uri)} does not take artifacts itself: it keeps them at {parts.scheme}:",
                hint="start it with --serve-artifacts and --artifacts-destination",
            )
        place = quote(f"{parts.path.strip('/')}/{name}")
        self._call("PUT", f"{self.uri}{_FILES}{place}", path.read_bytes(), "application/octet-stream")

    def _call(
        self, method: str, url: str, body: bytes | None = None, kind: str = "application/json"
    ) -> dict[str, Any]:
        headers = {**self._headers, "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = kind
        try:
            found = (
                self._client.get(url, headers)
                if method == "GET"
                else self._client.send(method, url, headers, body)
            )
            with found as answer:
                content = _whole(answer)
        except BrokenTransfer as error:
            raise Waiting(
                f"{shown_url(self.uri)} can't be reached: {error}", hint="is the tracking server up?"
            ) from error
        said = _document(content)
        if answer.status in (200, 201, 204):
            return said
        code = str(said.get("error_code", ""))
        if answer.status == 404 or code == "RESOURCE_DOES_NOT_EXIST":
            raise Missing(code or "404")
        if code == "RESOURCE_ALREADY_EXISTS":
            raise Exists(code)
        raise self._refusal(answer, str(said.get("message", "")))

    def _refusal(self, answer: HttpAnswer, message: str) -> EnvironmentFault | Waiting:
        words = message.strip().partition("\n")[0][:200]
        sentence = f"{shown_url(self.uri)} answers {answer.status}" + (f": {words}" if words else "")
        if answer.status in _LATER:
            return Waiting(sentence, hint="it is tried again")
        hint = "give MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        return EnvironmentFault(sentence, hint=hint if answer.status in _NO else "look at the server's log")


def _credential(env: Mapping[str, str]) -> dict[str, str]:
    """What MLflow's own client sends: a token before a user and password."""
    if token := env.get("MLFLOW_TRACKING_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    user, password = env.get("MLFLOW_TRACKING_USERNAME"), env.get("MLFLOW_TRACKING_PASSWORD")
    if user and password:
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}
    return {}


def _whole(answer: HttpAnswer) -> bytes:
    content = b""
    while len(content) < _MOST_ANSWER_BYTES and (data := answer.read(1 << 16)):
        content += data
    return content


def _document(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
