"""Servers on loopback that speak as much of Google's and Azure's storage as their clients need to read."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

TOKEN = "token-of-nobody"
MOMENT = "Wed, 01 May 2024 10:00:00 GMT"


@dataclass
class Cloud:
    """What a server holds, and what was asked of it.

    Attributes:
        objects: key to content, of the bucket `box`.
        port: of the server.
        asked: (method, path with query, headers in lower case) of each request.
        fail: statuses to answer the next downloads with, in order; 0 cuts the body off.
        refuse: answer everything with this status.
    """

    objects: dict[str, bytes]
    port: int = 0
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    fail: list[int] = field(default_factory=list)
    refuse: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def etag(content: bytes) -> str:
    return md5(content, usedforsecurity=False).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cloud: Cloud

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.cloud.asked.append((self.command, self.path, headers))
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        try:
            if self.cloud.refuse:
                self.say(b"refused", self.cloud.refuse)
            else:
                self.answer(parts.path, query)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # gcsfs asks two questions and leaves at the first answer

    do_HEAD = do_GET  # noqa: N815  # http.server's name

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def answer(self, path: str, query: dict[str, str]) -> None:
        raise NotImplementedError

    def say(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/octet-stream", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def download(self, content: bytes, asked: str | None, **headers: str) -> None:
        status = self.cloud.fail.pop(0) if self.cloud.fail else None
        if status:
            self.say(b"later", status)
            return
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", asked or "")
        start, end = 0, len(content)
        if found:
            start = int(found[1])
            end = min(int(found[2]) + 1, end) if found[2] else end
            headers["Content_Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        if status == 0:
            self.send_response(206 if found else 200)
            self.send_header("Content-Length", str(end - start))
            self.end_headers()
            self.wfile.write(content[start : (start + end) // 2])
            self.close_connection = True
            return
        self.say(content[start:end], 206 if found else 200, **headers)

    def log_message(self, *_: object) -> None:
        pass


class _Google(_Handler):
    """Source: the reference of the JSON API of Cloud Storage, `objects.list`, `objects.get` and `alt=media`;
    RFC 7523 for the token.
    """

    def answer(self, path: str, query: dict[str, str]) -> None:
        found = re.fullmatch(r"(?:/download)?/storage/v1/b/box(?:/o(?:/(.+))?)?", path)
        key = unquote(found[1]) if found and found[1] else None
        objects = self.cloud.objects
        if path == "/token":
            token = {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}
            self.say(json.dumps(token).encode(), Content_Type="application/json")
        elif found is None or (key is not None and key not in objects):
            self.say(b'{"error": {"code": 404, "message": "Not Found"}}', 404)
        elif key is not None and query.get("alt") == "media":
            self.download(objects[key], self.headers.get("Range"))
        elif key is not None:
            self.say(json.dumps(self.about(key)).encode(), Content_Type="application/json")
        else:
            names = sorted(name for name in objects if name.startswith(query.get("prefix", "")))
            mark = query.get("delimiter")
            folders = set()
            if mark:
                start = len(query.get("prefix", ""))
                cut = {name: name.find(mark, start) for name in names}
                folders = {name[: at + 1] for name, at in cut.items() if at >= 0}
                names = [name for name in names if cut[name] < 0]
            page = {"items": [self.about(name) for name in names], "prefixes": sorted(folders)}
            self.say(json.dumps(page).encode(), Content_Type="application/json")

    def about(self, key: str) -> dict[str, str]:
        content = self.cloud.objects[key]
        return {
            "kind": "storage#object",
            "name": key,
            "bucket": "box",
            "size": str(len(content)),
            "etag": etag(content),
            "generation": str(int(etag(content)[:12], 16)),
            "updated": "2024-05-01T10:00:00Z",
        }


class _Amazon(_Handler):
    """One object at a time, to fail with: all else is tested with moto.

    Source: the reference of Amazon S3, `GetObject` and `HeadObject`.
    """

    def answer(self, path: str, query: dict[str, str]) -> None:
        key = unquote(path).removeprefix("/box/")
        content = self.cloud.objects.get(key)
        if content is None:
            self.say(b"", 404)
        elif self.command == "HEAD":
            self.say(content, ETag=f'"{etag(content)}"', Last_Modified=MOMENT)
        else:
            self.download(content, self.headers.get("Range"), ETag=f'"{etag(content)}"', Last_Modified=MOMENT)


class _Azure(_Handler):
    """Source: the reference of Azure Storage, `List Blobs`, `Get Blob` and `Get Blob Properties`."""

    def answer(self, path: str, query: dict[str, str]) -> None:
        found = re.fullmatch(r"/store/box(?:/(.+))?", path)
        key = unquote(found[1]) if found and found[1] else None
        objects = self.cloud.objects
        if found is None or (key is not None and key not in objects):
            code = "ContainerNotFound" if found is None else "BlobNotFound"
            body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>none</Message></Error>"
            self.say(body.encode(), 404, x_ms_error_code=code, Content_Type="application/xml")
        elif key is not None:
            content = objects[key]
            headers = {"ETag": f'"{etag(content)}"', "Last_Modified": MOMENT, "x_ms_blob_type": "BlockBlob"}
            if self.command == "HEAD":
                self.say(content, **headers)
            else:
                self.download(content, self.headers.get("x-ms-range") or self.headers.get("Range"), **headers)
        else:
            self.list(query)

    def list(self, query: dict[str, str]) -> None:
        prefix, mark = query.get("prefix", ""), query.get("delimiter")
        names = sorted(name for name in self.cloud.objects if name.startswith(prefix))
        items, folders = "", set()
        for name in names:
            at = name.find(mark, len(prefix)) if mark else -1
            if at >= 0:
                folders.add(name[: at + 1])
                continue
            content = self.cloud.objects[name]
            items += f"<Blob><Name>{escape(name)}</Name><Properties><Last-Modified>{MOMENT}</Last-Modified>"
            items += f"<Etag>{etag(content)}</Etag><Content-Length>{len(content)}</Content-Length>"
            items += "<Content-Type>text/csv</Content-Type><BlobType>BlockBlob</BlobType></Properties></Blob>"
        for name in sorted(folders):
            items += f"<BlobPrefix><Name>{escape(name)}</Name></BlobPrefix>"
        body = "<?xml version='1.0' encoding='utf-8'?><EnumerationResults ContainerName='box'>"
        body += f"<Prefix>{escape(prefix)}</Prefix><Blobs>{items}</Blobs><NextMarker/></EnumerationResults>"
        self.say(body.encode(), Content_Type="application/xml")


@contextmanager
def amazon(**objects: bytes) -> Iterator[Cloud]:
    """A bucket `box` of Amazon's whose list can't be read."""
    with _served(_Amazon, objects) as cloud:
        yield cloud


@contextmanager
def google(**objects: bytes) -> Iterator[Cloud]:
    """A bucket `box` of Google's."""
    with _served(_Google, objects) as cloud:
        yield cloud


@contextmanager
def azure(**objects: bytes) -> Iterator[Cloud]:
    """A container `box` of the account `store`, whose address ends in its name."""
    with _served(_Azure, objects) as cloud:
        yield cloud


@contextmanager
def _served(kind: type[_Handler], objects: dict[str, bytes]) -> Iterator[Cloud]:
    cloud = Cloud(dict(objects))
    handler = type("Handler", (kind,), {"cloud": cloud})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    cloud.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield cloud
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
