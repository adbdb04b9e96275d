"""Source `dvc`: what DVC tracks, in this checkout or in another repository, pulled from its remote.

DVC runs as a child process that only ever fetches (`dvc get`): no stage is run, nothing is written to the checkout's
files, its caches that hold pickles are private and new, its settings for the user and the machine are not read, and its
environment is ours: PATH, and what the request declares.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from fiat.builtin.http_address import checked_addresses, resolve_name
from fiat.builtin.source_digest import digest_files
from fiat.builtin.source_dvc_file import TrackedOut, is_tracked_content, read_dvc_file
from fiat.builtin.source_path import list_folder
from fiat.errors import EnvironmentFault, SpecError
from fiat.ports.source import Fetched, SourceRequest

_TIMEOUT_S = 6 * 3600
_SCP_FORM = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]+\.[\w.-]+):(?!/)[^:]*")


class DvcSource:
    """`dvc`: a `.dvc` file or a tracked path; `repo`, `rev` and `remote` say where else to look.

    Settings are `{"dvc": path, "repo": ..., "rev": ..., "remote": ...}`, or the same four in a mapping under `dvc` with
    the path as `path`. A file of the checkout that is already what its `.dvc` file says is used as it lies there; one
    that was edited since is a fault.
    """

    name = "dvc"
    version = "1"

    def fetch(self, request: SourceRequest) -> Fetched:
        """Find or pull the files.

        Raises:
            SpecError: nothing tracked by that name, an output outside its folder, a repository address of an unusual
                kind, more bytes than allowed.
            EnvironmentFault: DVC is missing, or can't pull from the remote.
        """
        settings = _flat(request.settings)
        path, repo = settings["dvc"], settings.get("repo")
        if not repo and not settings.get("rev") and path.endswith(".dvc"):
            places = self._from_dvc_file(request, settings)
        else:
            address = _repository(request, repo)
            tracked = path.removesuffix(".dvc")
            places = [_get(request, address, tracked, settings)]
        files = sorted(
            file for place in places for file in ([place] if place.is_file() else list_folder(place))
        )
        if not files:
            raise SpecError(f"source.dvc: {path} holds no files")
        size = sum(file.stat().st_size for file in files)
        if size > request.max_bytes:
            raise SpecError(
                f"source.dvc: {path} has {size:,} bytes, more than the {request.max_bytes:,} allowed"
            )
        base = Path(os.path.commonpath([file.parent for file in files]))
        return Fetched(tuple(files), digest_files(files, base))

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
    private = request.folder / ".dvc-private"
    private.mkdir(exist_ok=True)
    target = request.folder / Path(tracked).name
    argv = [sys.executable, "-I", "-m", "dvc", "get", "-o", str(target)]
    argv += [f"--{option}={settings[option]}" for option in ("rev", "remote") if settings.get(option)]
    try:
        done = subprocess.run(
            [*argv, "--", repo, tracked],
            cwd=private,
            env=_environment(request.env, private),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentFault(f"DVC could not be run: {error}") from error
    if done.returncode != 0 or not target.exists():
        raise _refusal(tracked, done.stderr.decode("utf-8", "replace"))
    return target


def _environment(declared: Mapping[str, str], private: Path) -> dict[str, str]:
    """The child's whole environment: what was declared, and above it what keeps DVC and git to themselves."""
    return {
        "PATH": os.defpath,
        "HOME": str(private),
        "LANG": "C.UTF-8",
        **declared,
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(private / "site"),
        "DVC_GLOBAL_CONFIG_DIR": str(private / "global"),
        "DVC_SYSTEM_CONFIG_DIR": str(private / "system"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "https:ssh:file",
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "core.hooksPath",
        "GIT_CONFIG_VALUE_0": os.devnull,
        "GIT_CONFIG_KEY_1": "core.fsmonitor",
        "GIT_CONFIG_VALUE_1": "false",
    }


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


def _refusal(tracked: str, output: str) -> SpecError | EnvironmentFault:
    lines = [line.removeprefix("ERROR: ") for line in output.splitlines() if line.startswith("ERROR: ")]
    said = lines[0] if lines else (output.strip().splitlines() or ["no reason given"])[-1]
    if "No module named dvc" in output:
        return EnvironmentFault("DVC is not installed", hint="pip install dvc")
    if re.search(
        rf"unexpected error - \['{re.escape(tracked)}|does not exist|not found|unknown Git revision", said
    ):
        return SpecError(
            f"source.dvc: {tracked}: {said}", hint="is the path right, and pushed to the remote?"
        )
    return EnvironmentFault(f"DVC can't pull {tracked}: {said}", hint="check the remote with `dvc pull`")


def _flat(settings: Mapping[str, object]) -> dict[str, str]:
    inner = settings["dvc"]
    if isinstance(inner, Mapping):
        settings = {**inner, "dvc": inner.get("path")}
    flat = {key: str(value) for key, value in settings.items() if value is not None}
    path = Path(flat.get("dvc", ""))
    if not flat.get("dvc") or path.is_absolute() or ".." in path.parts:
        raise SpecError("source.dvc: expected a path inside the repository")
    return flat
