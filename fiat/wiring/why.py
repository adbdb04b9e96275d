"""Why a model is where it is: from an address or a name to the commit, the data, the gates, the verdict and who agreed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import quote, urlsplit

from fiat.errors import EnvironmentFault, SpecError
from fiat.run.deployment import Deployment
from fiat.run.model import GateResult, Release, Run
from fiat.store.store import Store
from fiat.wiring.models import find_model
from fiat.wiring.shelf import Shelf

_TIMEOUT_S = 5.0
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Why:
    """The story of one package.

    Attributes:
        model: name that its releases go by.
        number: of the version, 0 when it was never released.
        digest: of the package.
        served: where it was asked about, empty when by name.
        manifest: where it comes from.
        release: its newest release, None when it has none.
        run: that judged it, None when it is forgotten.
        gates: what they said.
        deployments: where it was put, the newest first.
    """

    model: str
    number: int
    digest: str
    served: str
    manifest: Mapping[str, object]
    release: Release | None
    run: Run | None
    gates: Sequence[GateResult]
    deployments: Sequence[Deployment]


def find_why(shelf: Shelf, name: str) -> list[Why]:
    """The story of what a server serves, or of a model.

    Args:
        shelf: the checkout, whose store remembers.
        name: URL of a server or of a model at it, or what a model is called.

    Raises:
        SpecError: nothing is called so.
        EnvironmentFault: the server does not answer, or serves what this store does not know.
    """
    if name.startswith(("http://", "https://")):
        return [_story(shelf, digest, name) for digest in _served(name)]
    found = find_model(shelf, name)
    if found is None or not found.digest:
        raise SpecError(
            f"no model is called {name}", hint="`fiat models` lists them; or give the URL of a server"
        )
    return [_story(shelf, found.digest, "")]


def _story(shelf: Shelf, digest: str, served: str) -> Why:
    store = shelf.store
    found = find_model(shelf, digest)
    if found is None:
        raise EnvironmentFault(
            f"this store does not know the package {digest}",
            hint="ask in the checkout, or with the FIAT_STORE, that deployed it",
        )
    release = next((one for one in found.releases if one.digest == digest), None)
    model = release.model if release else str(found.manifest.get("name", ""))
    run = _run(store, release)
    return Why(
        model=model,
        number=store.registry.number(model, digest),
        digest=digest,
        served=served,
        manifest=found.manifest,
        release=release,
        run=run,
        gates=run.gates if run else (),
        deployments=store.deployments.newest(digest=digest, limit=20),
    )


def _run(store: Store, release: Release | None) -> Run | None:
    if release is None:
        return None
    try:
        return store.runs.find(release.run)
    except SpecError:
        return None


def _served(url: str) -> list[str]:
    """Digests of what a server serves: of the model that the URL names, or of all."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise SpecError(f"{url} is no address: {error}", hint="such as http://127.0.0.1:8080") from None
    base = f"{parts.scheme}://{parts.netloc}"
    path = parts.path.strip("/").split("/")
    if path[:2] == ["v2", "models"] and len(path) > 2:
        names = [path[2]]
    else:
        index = _ask(base, "/v2/repository/index", "POST")
        names = (
            [str(item["name"]) for item in index if item.get("state") == "READY"]
            if isinstance(index, list)
            else []
        )
    digests = []
    for model in dict.fromkeys(names):
        config = _ask(base, f"/v2/models/{quote(model, safe='')}")
        facts = config.get("parameters", {}) if isinstance(config, dict) else {}
        if isinstance(facts, dict) and facts.get("digest"):
            digests.append(str(facts["digest"]))
    if not digests:
        raise EnvironmentFault(
            f"{base} does not say which package it serves", hint="is it a server of Fiat's?"
        )
    return list(dict.fromkeys(digests))


def _ask(base: str, path: str, method: str = "GET") -> object:
    parts = urlsplit(base)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    try:
        link = kind(parts.netloc, timeout=_TIMEOUT_S)
        try:
            link.request(method, path)
            return json.loads(link.getresponse().read(_MOST_BYTES))
        finally:
            link.close()
    except (HTTPException, OSError, ValueError) as error:
        raise EnvironmentFault(
            f"{base}{path} does not answer: {error}", hint="`fiat status` shows what is served"
        ) from error
