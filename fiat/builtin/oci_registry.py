"""Push an image to a registry: blobs that it lacks, then the manifest under its tag, then a look whether it is there.

Source: OCI distribution specification 1.1, "Pushing".
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

from fiat.builtin.http_client import BrokenTransfer, HttpAnswer, HttpClient, HttpPolicy
from fiat.builtin.http_url import same_origin
from fiat.builtin.oci_auth import basic_credential, read_challenge
from fiat.builtin.oci_layout import MANIFEST_TYPE, Descriptor, Image, blob_path
from fiat.builtin.oci_reference import PushPlace
from fiat.errors import EnvironmentFault, SpecError, Waiting
from fiat.ports.confinement import host_granted
from fiat.ports.deploy import DeployRequest

PIECE_BYTES = 32 * 1024 * 1024
"""Blobs above it are sent in pieces of it."""
_MOST_ANSWER_BYTES = 1 << 20
_LATER = (408, 425, 429, 500, 502, 503, 504)
_NO = (401, 403)
_PROXY_NAMES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy")

MakeClient = Callable[[HttpPolicy], HttpClient]


class Registry:
    """One repository of a registry.

    Args:
        place: the repository.
        request: says which hosts and credentials may be used.
        make_client: gives the HTTP client for a policy.
        piece_bytes: most bytes of one request.

    Raises:
        SpecError: the operator does not grant the registry.
    """

    def __init__(
        self,
        place: PushPlace,
        request: DeployRequest,
        make_client: MakeClient = HttpClient,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        host = urlsplit(place.root).hostname or ""
        if request.confined and not (request.hosts and host_granted(host, request.hosts)):
            raise SpecError(
                f"deploy.{request.target}.push: the operator does not grant the registry {place.registry}",
                hint="ask the operator to list it under the repository's target",
            )
        proxies = {name: request.env[name] for name in _PROXY_NAMES if name in request.env}
        policy = HttpPolicy(request.allow_private_hosts, proxies=proxies, hosts=request.hosts)
        self.place, self._client, self._piece_bytes = place, make_client(policy), piece_bytes
        self._basic = basic_credential(
            request.env, place.registry, place.repository, confined=request.confined
        )
        self._authorization = ""

    def push(self, layout: Path, image: Image) -> None:
        """Bring an image there; what is there already is not sent.

        Args:
            layout: folder that the image lies in.
            image: of it.

        Raises:
            SpecError: the address is not allowed.
            Waiting: the registry says "later".
            EnvironmentFault: the registry is not reached, refuses, or has something else afterwards.
        """
        if self.digest() == image.manifest.digest:
            return
        for blob in (*image.layers, image.config):
            self._push_blob(blob, blob_path(layout, blob.digest))
        content = blob_path(layout, image.manifest.digest).read_bytes()
        url = f"{self.place.root}/manifests/{quote(self.place.tag)}"
        with self._call("PUT", url, {"Content-Type": MANIFEST_TYPE}, content) as answer:
            self._expect(answer, (200, 201, 202), "the manifest")
        if (found := self.digest()) != image.manifest.digest:
            raise EnvironmentFault(
                f"{self.place} has {found or 'no image'} after the push of {image.manifest.digest}",
                hint="does somebody else push there?",
            )

    def digest(self) -> str | None:
        """Digest of the manifest that the tag names; None when there is none.

        Raises:
            SpecError: the address is not allowed.
            Waiting: the registry says "later".
            EnvironmentFault: the registry is not reached, or refuses.
        """
        url = f"{self.place.root}/manifests/{quote(self.place.tag)}"
        with self._call("HEAD", url, {"Accept": MANIFEST_TYPE}) as answer:
            if answer.status == 404:
                return None
            self._expect(answer, (200,), "the manifest")
            return answer.headers.get("docker-content-digest", "") or "an image without a digest"

    def _push_blob(self, blob: Descriptor, path: Path) -> None:
        with self._call("HEAD", f"{self.place.root}/blobs/{blob.digest}") as answer:
            if answer.status == 200:
                return
            self._expect(answer, (404,), "a blob")
        with self._call("POST", f"{self.place.root}/blobs/uploads/") as answer:
            self._expect(answer, (202,), "an upload")
            place = self._upload_place(answer)
        with path.open("rb") as file:
            start = 0
            while blob.size_bytes - start > self._piece_bytes:
                piece = file.read(self._piece_bytes)
                headers = {
                    "Content-Type": "application/octet-stream",
                    "Content-Range": f"{start}-{start + len(piece) - 1}",
                }
                with self._call("PATCH", place, headers, piece) as answer:
                    self._expect(answer, (202,), "a piece of a blob")
                    place = self._upload_place(answer)
                start += len(piece)
            rest = file.read()
        joined = f"{place}{'&' if urlsplit(place).query else '?'}{urlencode({'digest': blob.digest})}"
        headers = {"Content-Type": "application/octet-stream"}
        if start:
            headers["Content-Range"] = f"{start}-{start + len(rest) - 1}"
        with self._call("PUT", joined, headers, rest) as answer:
            self._expect(answer, (201, 204), "a blob")

    def _upload_place(self, answer: HttpAnswer) -> str:
        place = urljoin(answer.url, answer.headers.get("location", ""))
        if not same_origin(urlsplit(place), urlsplit(self.place.root)):
            raise EnvironmentFault(
                f"{self.place.registry} wants uploads to be sent to another host, {urlsplit(place).hostname}",
                hint="the registry must know its own address",
            )
        return place

    def _call(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> HttpAnswer:
        """Make a request, and once more with what the registry asks for."""
        answer = self._send(method, url, headers or {}, body)
        if answer.status != 401:
            return answer
        with answer:
            challenge = answer.headers.get("www-authenticate", "")
        self._authorization = self._authorize(challenge)
        return self._send(method, url, headers or {}, body)

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> HttpAnswer:
        shown = {"Authorization": self._authorization} if self._authorization else {}
        try:
            return self._client.send(method, url, {**headers, **shown}, body)
        except BrokenTransfer as error:
            raise EnvironmentFault(
                f"the registry {self.place.registry} is not reached: {error}",
                hint="the model that was there before is untouched; run again",
            ) from error

    def _authorize(self, header: str) -> str:
        challenge = read_challenge(header)
        if challenge.scheme == "basic" and self._basic:
            return f"Basic {self._basic}"
        if challenge.scheme == "bearer" and challenge.realm:
            return f"Bearer {self._token(challenge.realm, challenge.service)}"
        raise EnvironmentFault(
            f"the registry {self.place.registry} wants a credential, and there is none for it",
            hint=f"`podman login {self.place.registry}` or `docker login` keeps one; REGISTRY_AUTH_FILE names the file",
        )

    def _token(self, realm: str, service: str) -> str:
        if self.place.scheme == "https" and not realm.startswith("https://"):
            raise EnvironmentFault(f"the registry {self.place.registry} gives tokens without TLS")
        asked = {"scope": f"repository:{self.place.repository}:pull,push", "service": service}
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode({name: text for name, text in asked.items() if text})}"
        headers = {"Authorization": f"Basic {self._basic}"} if self._basic else {}
        try:
            with self._client.get(url, headers) as answer:
                self._expect(answer, (200,), "a token")
                said = json.loads(_whole(answer))
        except BrokenTransfer as error:
            raise EnvironmentFault(f"{urlsplit(realm).hostname} gives no token: {error}") from error
        except ValueError:
            said = None
        token: Any = (said.get("token") or said.get("access_token")) if isinstance(said, Mapping) else None
        if not isinstance(token, str) or not token:
            raise EnvironmentFault(f"{urlsplit(realm).hostname} answers with something else than a token")
        return token

    def _expect(self, answer: HttpAnswer, wanted: tuple[int, ...], what: str) -> None:
        if answer.status in wanted:
            return
        said = f"the registry {self.place.registry} answers {answer.status} for {what} of {self.place.repository}"
        if answer.status in _LATER:
            wait = answer.headers.get("retry-after", "")
            raise Waiting(said, retry_after_s=float(wait) if wait.isdecimal() else None)
        if answer.status in _NO:
            hint = (
                "may this credential push there?" if self._basic else "log in: there is no credential for it"
            )
            raise EnvironmentFault(said, hint=hint)
        raise EnvironmentFault(said + _reason(answer))


def _whole(answer: HttpAnswer) -> bytes:
    content = bytearray()
    while piece := answer.read(64 * 1024):
        content += piece
        if len(content) > _MOST_ANSWER_BYTES:
            raise BrokenTransfer("the answer is too long")
    return bytes(content)


def _reason(answer: HttpAnswer) -> str:
    """The code of the first error, which is one of the specification's words."""
    try:
        code = json.loads(_whole(answer))["errors"][0]["code"]
    except (BrokenTransfer, ValueError, LookupError, TypeError):
        return ""
    return f": {code}" if isinstance(code, str) and code.replace("_", "").isalnum() and len(code) < 60 else ""
