"""Source `dvc`: what DVC tracks, in this checkout or in another repository, pulled from its remote.

DVC runs as a child process that only ever fetches: no stage is run, and nothing is written to the checkout's files. For a
spec that is not to be trusted see `source_dvc_granted.py`: there DVC does not even read the repository.
"""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from fiat.builtin.http_address import checked_addresses, resolve_name
from fiat.builtin.http_client import HttpClient, HttpPolicy
from fiat.builtin.source_digest import digest_files
from fiat.builtin.source_dvc_child import refusal, run_dvc
from fiat.builtin.source_dvc_file import TrackedOut, is_tracked_content, read_dvc_file
from fiat.builtin.source_dvc_granted import granted_places
from fiat.builtin.source_dvc_repo import head_of
from fiat.data.confined import folder_files
from fiat.errors import EnvironmentFault, SpecError
from fiat.git.refs import is_oid
from fiat.ports.source import Fetched, SourceRequest

_SCP_FORM = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]+\.[\w.-]+):(?!/)[^:]*")


class DvcSource:
    """`dvc`: a `.dvc` file or a tracked path; `repo`, `rev` and `remote` say where else to look.

    Settings are `{"dvc": path, "repo": ..., "rev": ..., "remote": ...}`, or the same four in a mapping under `dvc` with
    the path as `path`. A file of the checkout that is already what its `.dvc` file says is used as it lies there; one
    that was edited since is a fault.

    Args:
        make_client: gives the HTTP client for a policy.
    """

    name = "dvc"
    version = "1"

    def __init__(self, make_client: Callable[[HttpPolicy], HttpClient] = HttpClient) -> None:
        self._make_client = make_client

    def fetch(self, request: SourceRequest) -> Fetched:
        """Find or pull the files.

        Raises:
            SpecError: nothing tracked by that name, an output outside its folder, a repository address of an unusual
                kind, more bytes than allowed, or something that is not granted.
            EnvironmentFault: DVC is missing, or can't pull from the remote.
        """
        settings = _flat(request.settings)
        path, repo = settings["dvc"], settings.get("repo")
        if request.confinement.confined:
            places = granted_places(request, settings, self._make_client)
        elif not repo and not settings.get("rev") and path.endswith(".dvc"):
            places = self._from_dvc_file(request, settings)
        else:
            address = _repository(request, repo)
            tracked = path.removesuffix(".dvc")
            places = [_get(request, address, tracked, settings)]
        files = sorted(file for place in places for file in _files(place, request))
        if not files:
            raise SpecError(f"source.dvc: {path} holds no files")
        size = sum(file.stat().st_size for file in files)
        if size > request.max_bytes:
            raise SpecError(
                f"source.dvc: {path} has {size:,} bytes, more than the {request.max_bytes:,} allowed"
            )
        base = Path(os.path.commonpath([file.parent for file in files]))
        return Fetched(tuple(files), digest_files(files, base))

    def probe(self, request: SourceRequest) -> str:
        """The commit that `rev` of another repository stands for now; empty when it is a commit or in the checkout.

        Raises:
            SpecError: the address is not granted, or there is no such revision.
            EnvironmentFault: the repository can't be reached.
        """
        settings = _flat(request.settings)
        repo, rev = settings.get("repo"), settings.get("rev")
        return "" if not repo or (rev and is_oid(rev)) else head_of(request, repo, rev)

    def _from_dvc_file(self, request: SourceRequest, settings: Mapping[str, str]) -> list[Path]:
        name = settings["dvc"]
        folder = (request.root / name).parent
        outs = read_dvc_file(request.root / name, name)
        announced = sum(out.size_bytes for out in outs)
        if announced > request.max_bytes:
            raise SpecError(
                f"source.dvc: {name} tracks {announced:,} bytes, more than the {request.max_bytes:,} allowed"
            )
        places = []
        for out in outs:
            place = folder / out.path
            if not place.exists():
                places.append(_pull(request, folder, out, settings))
            elif is_tracked_content(place, out) or not out.md5:
                places.append(place)
            else:
                raise SpecError(
                    f"source.dvc: {out.path} is not what {name} tracks",
                    hint="`dvc add` it to keep the change, or `dvc checkout` it to undo the change",
                )
        return places


def _pull(request: SourceRequest, folder: Path, out: TrackedOut, settings: Mapping[str, str]) -> Path:
    tracked = (folder / out.path).resolve().relative_to(request.root.resolve()).as_posix()
    place = _get(request, str(request.root.resolve()), tracked, settings)
    if out.md5 and not is_tracked_content(place, out):
        raise EnvironmentFault(
            f"DVC gave something else for {tracked} than its .dvc file says", hint="is the remote sound?"
        )
    return place


def _get(request: SourceRequest, repo: str, tracked: str, settings: Mapping[str, str]) -> Path:
    """Run `dvc get`; the result lies in the request's folder under its own name."""
    target = request.folder / Path(tracked).name
    words = ["get", "-o", str(target)]
    words += [f"--{option}={settings[option]}" for option in ("rev", "remote") if settings.get(option)]
    run_dvc([*words, "--", repo, tracked], request.folder, request, tracked)
    if not target.exists():
        raise refusal(tracked, "")
    return target


def _repository(request: SourceRequest, repo: str | None) -> str:
    """The address that DVC is given: this checkout, a folder, or an https or ssh address of a public host."""
    if not repo:
        return str(request.root.resolve())
    form = _SCP_FORM.fullmatch(repo)
    parts = urlsplit(repo)
    host = form["host"] if form else parts.hostname if parts.scheme in ("https", "ssh") else None
    if host:
        if not request.allow_private_hosts:
            checked_addresses(
                host.lower(), parts.port or 443 if not form else 22, resolve_name, allow_private=False
            )
        return repo
    folder = request.root / repo
    if "::" in repo or "://" in repo or repo.startswith("-") or not folder.is_dir():
        raise SpecError(f"source.repo: {repo!r} is no folder and no https or ssh address")
    return str(folder.resolve())


def _flat(settings: Mapping[str, object]) -> dict[str, str]:
    inner = settings["dvc"]
    if isinstance(inner, Mapping):
        settings = {**inner, "dvc": inner.get("path")}
    flat = {key: str(value) for key, value in settings.items() if value is not None}
    path = Path(flat.get("dvc", ""))
    if not flat.get("dvc") or path.is_absolute() or ".." in path.parts:
        raise SpecError("source.dvc: expected a path inside the repository")
    return flat


def _files(place: Path, request: SourceRequest) -> list[Path]:
    if place.is_file():
        return [place]
    base = request.folder if place.is_relative_to(request.folder) else request.root
    return folder_files(place, base, request.confinement, "source.dvc")
