"""A DVC remote as what it is: files under the MD5 of their content. Fetched and compared by us, without DVC.

Source: DVC's documentation, "Structure of the cache directory": `files/md5/ab/cdef...`, and for a folder a JSON list of
`md5` and `relpath` under `<md5>.dir`.
"""

import json
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fiat.builtin.http_client import HttpClient
from fiat.builtin.http_download import download
from fiat.builtin.source_dvc_file import file_md5
from fiat.builtin.source_dvc_tree import Wanted
from fiat.data.archive_names import NameCheck
from fiat.data.confined import checked_files, named_path
from fiat.errors import EnvironmentFault, SpecError
from fiat.ports.confinement import Confinement

Fetch = Callable[[str, Path], None]
"""Puts the object of a digest at a path; raises SpecError or EnvironmentFault."""
_MOST_FILES = 1_000_000
_LONGEST_LIST_BYTES = 256 * 1024 * 1024
_PARALLEL = 4
_DIGEST = re.compile(r"[0-9a-f]{32}(\.dir)?")


def from_folder(folder: str, root: Path, policy: Confinement) -> Fetch:
    """Objects of a remote in a folder.

    Args:
        folder: absolute, or relative to the checkout.
        root: the checkout.
        policy: what may be read.
    """

    def fetch(digest: str, target: Path) -> None:
        source = named_path(f"{folder}/{_place(digest)}", root, policy, "source.remote")
        if not checked_files([source], root, policy, "source.remote"):
            raise EnvironmentFault(f"the DVC remote has no object {digest}", hint="was it pushed?")
        shutil.copyfile(source, target)

    return fetch


def from_http(url: str, make_client: Callable[[], HttpClient]) -> Fetch:
    """Objects of a remote behind an address.

    Args:
        url: of its top.
        make_client: gives a client under the operator's policy.
    """

    def fetch(digest: str, target: Path) -> None:
        try:
            download(make_client(), f"{url.rstrip('/')}/{_place(digest)}", target, None)
        except SpecError as error:
            raise SpecError(f"source.dvc: {error.message}", hint="was it pushed to the remote?") from error

    return fetch


def take(fetch: Fetch, wanted: Wanted, target: Path, max_bytes: int) -> Path:
    """Fetch what a source asks for, each file compared with its digest.

    Args:
        fetch: of the remote.
        wanted: with a digest.
        target: does not exist yet: a file or a folder is made there.
        max_bytes: most bytes of all files together.

    Returns:
        Where the part that was asked for lies: `target`, or something below it.

    Raises:
        SpecError: the remote has no such object, a folder's list is not one, or there are more bytes than allowed.
        EnvironmentFault: what came is not what its digest says; network or disk.
    """
    digest = wanted.out.md5
    if not _DIGEST.fullmatch(digest):
        raise SpecError(
            f"source.dvc: {wanted.path} has no digest that can be compared",
            hint="it was added by an older DVC: `dvc cache migrate --dvc-files`, then push and commit",
        )
    if not digest.endswith(".dir"):
        if wanted.inner:
            raise SpecError(f"source.dvc: {wanted.path} is a file, nothing is below it")
        _checked(fetch, digest, target)
        _cap(target.stat().st_size, max_bytes, wanted)
        return target
    listing = target.with_name(f".{target.name}.list")
    _checked(fetch, digest, listing)
    files = _files_of(listing, wanted)
    left = max_bytes

    def one(entry: tuple[tuple[str, ...], str]) -> int:
        place = target.joinpath(*entry[0])
        place.parent.mkdir(parents=True, exist_ok=True)
        _checked(fetch, entry[1], place)
        return place.stat().st_size

    target.mkdir()
    with ThreadPoolExecutor(_PARALLEL) as pool:
        try:
            for size in pool.map(one, files):
                left -= size
                _cap(max_bytes - left, max_bytes, wanted)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    listing.unlink()
    return target / wanted.inner


def _files_of(listing: Path, wanted: Wanted) -> list[tuple[tuple[str, ...], str]]:
    """Parts of the path and digest of each file that is asked for."""
    names = NameCheck(wanted.path, _MOST_FILES)
    found = []
    try:
        if listing.stat().st_size > _LONGEST_LIST_BYTES:
            raise ValueError("too long")
        for entry in json.loads(listing.read_bytes()):
            digest = entry["md5"]
            if not _DIGEST.fullmatch(digest) or digest.endswith(".dir"):
                raise ValueError("no digest")
            parts = names.admit(entry["relpath"], is_folder=False)
            path = "/".join(parts)
            if not wanted.inner or path == wanted.inner or path.startswith(f"{wanted.inner}/"):
                found.append((parts, digest))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SpecError(f"source.dvc: the list of files of {wanted.path} can't be read") from error
    if not found:
        raise SpecError(f"source.dvc: {wanted.path} has nothing at {wanted.inner or 'its top'}")
    return found


def _checked(fetch: Fetch, digest: str, target: Path) -> None:
    fetch(digest, target)
    if file_md5(target) != digest.removesuffix(".dir"):
        target.unlink()
        raise EnvironmentFault(
            f"the DVC remote gave something else than {digest}", hint="is the remote sound?"
        )


def _cap(n_bytes: int, max_bytes: int, wanted: Wanted) -> None:
    if n_bytes > max_bytes:
        raise SpecError(f"source.dvc: {wanted.path} has more than the {max_bytes:,} bytes allowed")


def _place(digest: str) -> str:
    return f"files/md5/{digest[:2]}/{digest[2:]}"
