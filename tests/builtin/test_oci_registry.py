"""Pushing to registries that ask for tokens, say "later", or answer with nonsense; and in pieces to a real one."""

import base64
import hashlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from fiat.builtin.oci_image import ImageName, write_image
from fiat.builtin.oci_layout import Image, read_image
from fiat.builtin.oci_reference import PushPlace, push_place, split_tag
from fiat.builtin.oci_registry import Registry
from fiat.errors import EnvironmentFault, SpecError, Waiting
from fiat.ports.deploy import DeployRequest
from fiat.testing.sample_packages import make_package

sys.path.insert(0, str(Path(__file__).parent))
from registry_stage import call, registry

TOKEN = "a.b-c"
LOGIN = base64.b64encode(b"ali:sesame").decode()


@dataclass
class World:
    """A registry in a dictionary.

    Attributes:
        blobs: digest to content; manifests by tag.
        token: it wants one.
        refuse: gives a status and headers for a request, or None.
        asked: what was asked, in order.
    """

    blobs: dict[str, bytes] = field(default_factory=dict)
    token: bool = False
    refuse: Callable[[str, str], tuple[int, dict[str, str]] | None] = lambda method, path: None
    asked: list[str] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)


def answer(world: World, handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(handler.path)
    query = parse_qs(parts.query)
    body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    world.asked.append(f"{handler.command} {parts.path}")
    if parts.path == "/token":
        world.scopes += query["scope"]
        world.logins.append(handler.headers.get("Authorization", ""))
        return 200, {}, json.dumps({"token": TOKEN}).encode()
    if world.token and handler.headers.get("Authorization") != f"Bearer {TOKEN}":
        realm = f"http://{handler.headers['Host']}/token"
        return 401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="reg"'}, b""
    if refused := world.refuse(handler.command, parts.path):
        return (*refused, b'{"errors": [{"code": "DENIED", "message": "<b>no</b>"}]}')
    name = parts.path.rpartition("/")[2]
    if handler.command == "HEAD":
        found = world.blobs.get(name)
        digest = f"sha256:{hashlib.sha256(found).hexdigest()}" if found is not None else ""
        return (200, {"Docker-Content-Digest": digest}, b"") if found is not None else (404, {}, b"")
    if handler.command == "POST":
        return 202, {"Location": "/v2/team/tiny/blobs/uploads/1?state=x"}, b""
    world.blobs[query["digest"][0] if "digest" in query else name] = body
    return 201, {}, b""


@contextmanager
def stub(world: World) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            status, headers, body = answer(world, self)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = handle_any  # noqa: N815  # as http.server calls them

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def request_(tmp_path: Path) -> DeployRequest:
    package = make_package(tmp_path / "packages", 1)
    return DeployRequest("shelf", {}, package.folder, package.digest, tmp_path, allow_private_hosts=True)


@pytest.fixture
def layout(tmp_path: Path, request_: DeployRequest) -> Path:
    folder = tmp_path / "layout"
    folder.mkdir()
    write_image(folder, request_.package, ImageName("tiny", "1", "tiny", request_.digest), None)
    return folder


@pytest.fixture
def image(layout: Path) -> Image:
    return read_image(layout)


def there(host: str) -> PushPlace:
    return push_place(f"{host}/team/tiny", "1", "push")


def with_login(request: DeployRequest, folder: Path, host: str) -> DeployRequest:
    home = folder / "home"
    (home / ".docker").mkdir(parents=True)
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": {host: {"auth": LOGIN}}}))
    return DeployRequest(
        request.target, {}, request.package, request.digest, request.root, allow_private_hosts=True,
        env={"HOME": str(home)},
    )  # fmt: skip


def test_a_token_is_bought_with_the_login_and_used(
    layout: Path, image: Image, request_: DeployRequest, tmp_path: Path
) -> None:
    world = World(token=True)
    with stub(world) as host:
        Registry(there(host), with_login(request_, tmp_path, host)).push(layout, image)
    assert {blob.digest for blob in (*image.layers, image.config)} <= set(world.blobs)
    assert world.scopes == ["repository:team/tiny:pull,push"]
    assert world.logins == [f"Basic {LOGIN}"]


def test_a_login_of_another_registry_is_never_shown(
    layout: Path, image: Image, request_: DeployRequest, tmp_path: Path
) -> None:
    world = World(token=True)
    with stub(world) as host:
        Registry(there(host), with_login(request_, tmp_path, "elsewhere.example.org")).push(layout, image)
    assert world.logins == [""]


def test_what_is_there_is_not_sent_again(layout: Path, image: Image, request_: DeployRequest) -> None:
    world = World()
    with stub(world) as host:
        registry_ = Registry(there(host), request_)
        registry_.push(layout, image)
        first = len(world.asked)
        registry_.push(layout, image)
        assert world.asked[first:] == ["HEAD /v2/team/tiny/manifests/1"]
        del world.blobs["1"]
        registry_.push(layout, image)
    assert not [line for line in world.asked[first:] if line.startswith("POST")]


def test_later_is_waited_for(layout: Path, image: Image, request_: DeployRequest) -> None:
    world = World(refuse=lambda method, path: (503, {"Retry-After": "7"}) if method == "POST" else None)
    with stub(world) as host, pytest.raises(Waiting) as waiting:
        Registry(there(host), request_).push(layout, image)
    assert waiting.value.retry_after_s == 7


def test_a_refusal_is_told_by_its_code_alone(layout: Path, image: Image, request_: DeployRequest) -> None:
    world = World(refuse=lambda method, path: (400, {}) if method == "PUT" else None)
    with stub(world) as host, pytest.raises(EnvironmentFault, match=r"answers 400 .*: DENIED$"):
        Registry(there(host), request_).push(layout, image)


def test_an_upload_that_is_sent_to_another_host_is_not_made(
    layout: Path, image: Image, request_: DeployRequest
) -> None:
    elsewhere = {"Location": "http://elsewhere.example.org/upload"}
    world = World(refuse=lambda method, path: (202, elsewhere) if method == "POST" else None)
    with stub(world) as host, pytest.raises(EnvironmentFault, match="another host"):
        Registry(there(host), request_).push(layout, image)
    assert not [line for line in world.asked if line.startswith("PUT")]


def test_a_registry_that_keeps_another_manifest_is_found_out(
    layout: Path, image: Image, request_: DeployRequest
) -> None:
    world = World(blobs={"1": b"{}"})
    world.refuse = lambda method, path: (201, {}) if method == "PUT" and "manifests" in path else None
    with stub(world) as host, pytest.raises(EnvironmentFault, match="after the push"):
        Registry(there(host), request_).push(layout, image)


def test_a_large_blob_goes_in_pieces(
    layout: Path, image: Image, request_: DeployRequest, tmp_path: Path
) -> None:
    with registry(tmp_path / "registry") as host:
        Registry(there(host), request_, piece_bytes=100).push(layout, image)
        call(
            "skopeo", "--insecure-policy", "copy", "--preserve-digests", "--src-tls-verify=false", f"docker://{host}/team/tiny:1",
            f"oci:{tmp_path / 'back'}:1",
        )  # fmt: skip
    assert read_image(tmp_path / "back").layers == image.layers


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ("registry.example.org/team/tiny", "https://registry.example.org/v2/team/tiny"),
        ("registry.example.org:5000/tiny:9", "https://registry.example.org:5000/v2/tiny"),
        ("http://registry.example.org/tiny", "http://registry.example.org/v2/tiny"),
        ("localhost/tiny", "http://localhost/v2/tiny"),
        ("127.0.0.1:5000/tiny", "http://127.0.0.1:5000/v2/tiny"),
        ("docker.io/ali/tiny", "https://registry-1.docker.io/v2/ali/tiny"),
    ],
)
def test_where_a_push_leads(text: str, root: str) -> None:
    place = push_place(text, "1", "push")
    assert (place.root, place.tag) == (root, "9" if text.endswith(":9") else "1")


@pytest.mark.parametrize(
    "text",
    [
        "tiny",
        "team/tiny",
        "ftp://a.b/tiny",
        "https://ali:pw@a.b/tiny",
        "a.b/../tiny",
        "a.b/",
        "a.b/T",
        "",
        "a.b/x?y",
    ],
)
def test_where_a_push_does_not_lead(text: str) -> None:
    with pytest.raises(SpecError):
        push_place(text, "1", "push")


def test_a_name_without_a_tag_is_the_latest() -> None:
    assert split_tag("registry.example.org:5000/tiny", "tag") == ("registry.example.org:5000/tiny", "latest")
