"""Source `url`: files to download over HTTP or HTTPS; archives among them are unpacked."""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from fiat.builtin.http_client import BrokenTransfer, HttpClient, HttpPolicy
from fiat.builtin.http_download import AGAIN, download
from fiat.builtin.http_url import checked_url, shown_url
from fiat.builtin.source_digest import digest_listing
from fiat.data.archive import extract, is_archive
from fiat.errors import EnvironmentFault, SpecError
from fiat.ports.source import Fetched, SourceRequest

_FOUND = 200
_PROBED_BYTES = 64 * 1024 * 1024
_PROXY_SETTINGS = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")


class UrlSource:
    """`url`: one address with its `sha256`, or a folder (ending with `/`) with `sha256` of each of its files.

    Files keep the last part of their address as name. A `.zip`, `.tar`, `.tar.gz` or `.tgz` is unpacked into a folder
    named like it, and its content takes its place; see `fiat.data.archive` for what is refused.

    Args:
        make_client: gives the HTTP client for a policy.
    """

    name = "url"
    version = "1"

    def __init__(self, make_client: Callable[[HttpPolicy], HttpClient] = HttpClient) -> None:
        self._make_client = make_client

    def fetch(self, request: SourceRequest) -> Fetched:
        """Download and check the files.

        Raises:
            SpecError: an address that is not allowed, a file that is not there, too large or not what its digest says,
                an archive that is refused.
            EnvironmentFault: the network or the disk fails.
        """
        wanted = url_items(request.settings)
        left, named, files = request.max_bytes, [], []
        for url, sha256 in wanted:
            name = _file_name(url)
            path = request.folder / name
            if path.exists():
                raise SpecError(f"source.sha256: two files would be named {name}")
            came = download(self._make_client(http_policy(request, left)), url, path, sha256)
            left -= came.size_bytes
            named.append((name, came.sha256))
            files += _unpacked(path, left) if is_archive(name) else [path]
        return Fetched(tuple(sorted(files)), digest_listing(named))

    def probe(self, request: SourceRequest) -> str:
        """What the server says that the file is now; empty when its digest is known, so that it never changes.

        Source: RFC 9110, sections 8.8.2 (Last-Modified) and 8.8.3 (ETag).

        Raises:
            SpecError: an address that is not allowed, or a file that is not there.
            EnvironmentFault: the network fails.
        """
        open_urls = [url for url, sha256 in url_items(request.settings) if sha256 is None]
        client = self._make_client(http_policy(request, request.max_bytes))
        said = "\n".join(f"{url} {_look(client, url)}" for url in open_urls)
        return hashlib.sha256(said.encode()).hexdigest() if said else ""


def http_policy(request: SourceRequest, max_bytes: int) -> HttpPolicy:
    """What a source may ask for over HTTP, and how much of it.

    Args:
        request: of the source.
        max_bytes: most bytes of one body.
    """
    proxies = {name: value for name, value in request.env.items() if name.upper() in _PROXY_SETTINGS}
    hosts = request.confinement.data_hosts
    return HttpPolicy(request.allow_private_hosts, max_bytes=max_bytes, proxies=proxies, hosts=hosts)


def _look(client: HttpClient, url: str) -> str:
    """The validators of a file, else the digest of its first bytes with its length.

    It is asked for as a download would be, and not read: servers answer `HEAD` less well, and signed addresses not at all.
    """
    try:
        with client.get(url) as answer:
            if answer.status in AGAIN:
                raise BrokenTransfer("the server answered that it is busy or failed")
            if answer.status != _FOUND:
                raise SpecError(
                    f"{shown_url(url)} answers with status {answer.status}", hint="is the address right?"
                )
            validators = [answer.headers.get(name, "") for name in ("etag", "last-modified")]
            if any(validators):
                return " ".join([*validators, str(answer.length)])
            digest, n_bytes = hashlib.sha256(), 0
            while n_bytes < _PROBED_BYTES and (data := answer.read(_PROBED_BYTES - n_bytes)):
                digest.update(data)
                n_bytes += len(data)
            return f"{digest.hexdigest()} {answer.length}"
    except BrokenTransfer as error:
        raise EnvironmentFault(
            f"{shown_url(url)} can't be looked at: {error}", hint="try again later"
        ) from error


def url_items(settings: Mapping[str, object]) -> list[tuple[str, str | None]]:
    """The addresses of a source, each with its SHA-256 where it has one.

    Raises:
        SpecError: no address, a folder without digests, or something that is no SHA-256.
    """
    url, digests = settings.get("url"), settings.get("sha256")
    if not isinstance(url, str):
        raise SpecError("source.url: expected an address")
    items: list[tuple[str, str | None]]
    if isinstance(digests, Mapping):
        items = [(url + quote(str(name)), str(digest)) for name, digest in digests.items()]
    else:
        items = [(url, None if digests is None else str(digests))]
    if url.endswith("/") != isinstance(digests, Mapping) or not items:
        raise SpecError(
            "source.url: a folder ends with `/` and has a mapping of files to digests under `sha256`"
        )
    for _, digest in items:
        if digest is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
            raise SpecError(f"source.sha256: {digest[:80]!r} is no SHA-256", hint="64 hex digits")
    return items


def _file_name(url: str) -> str:
    last = unquote(urlsplit(checked_url(url).geturl()).path).rsplit("/", 1)[-1]
    name = re.sub(r"[^A-Za-z0-9._-]", "_", last).lstrip(".")[:200]
    return name or "download"


def _unpacked(archive: Path, max_bytes: int) -> list[Path]:
    folder = archive.with_name(
        re.sub(r"\.(zip|tar|tgz|tar\.gz)$", "", archive.name, flags=re.IGNORECASE) + ".d"
    )
    if folder.exists():
        raise SpecError(f"source.sha256: two files would be named {folder.name}")
    folder.mkdir()
    files = extract(archive, folder, max_bytes=max_bytes)
    archive.unlink()
    if not files:
        raise SpecError(f"{archive.name} holds no files")
    return [file for file in files if not _is_hidden(file.relative_to(folder))]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
