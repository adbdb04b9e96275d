"""Source `url`: files to download over HTTP or HTTPS; archives among them are unpacked."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from fiat.builtin.http_client import HttpClient, HttpPolicy, checked_url
from fiat.builtin.http_download import download
from fiat.builtin.source_digest import digest_listing
from fiat.data.archive import extract, is_archive
from fiat.errors import SpecError
from fiat.ports.source import Fetched, SourceRequest

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
        proxies = {name: value for name, value in request.env.items() if name.upper() in _PROXY_SETTINGS}
        left, named, files = request.max_bytes, [], []
        for url, sha256 in wanted:
            name = _file_name(url)
            path = request.folder / name
            if path.exists():
                raise SpecError(f"source.sha256: two files would be named {name}")
            client = self._make_client(
                HttpPolicy(request.allow_private_hosts, max_bytes=left, proxies=proxies)
            )
            came = download(client, url, path, sha256)
            left -= came.size_bytes
            named.append((name, came.sha256))
            files += _unpacked(path, left) if is_archive(name) else [path]
        return Fetched(tuple(sorted(files)), digest_listing(named))


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
    folder.mkdir()
    files = extract(archive, folder, max_bytes=max_bytes)
    archive.unlink()
    if not files:
        raise SpecError(f"{archive.name} holds no files")
    return [file for file in files if not _is_hidden(file.relative_to(folder))]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
