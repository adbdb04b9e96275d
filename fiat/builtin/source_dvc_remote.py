"""Which DVC remote a stranger's spec may pull from, and how.

The operator's remotes are laid over the repository's own: DVC speaks to them, with a configuration that we write, in a
repository of ours that holds nothing but the digest. A remote that only the repository names is used when the same place
could be named as a source: an address over HTTP that the operator grants (asked by our own client), or a folder that he
grants. All others (s3, ssh, ...) would be reached with the runner's own credentials, which are no stranger's to use.
"""

import json
import os
from collections.abc import Callable
from configparser import ConfigParser, Error
from dataclasses import dataclass
from pathlib import Path

from fiat.builtin.http_client import HttpClient, HttpPolicy
from fiat.builtin.source_dvc_child import run_dvc
from fiat.builtin.source_dvc_file import is_tracked_content
from fiat.builtin.source_dvc_objects import Fetch, from_folder, from_http
from fiat.builtin.source_dvc_tree import Tree, Wanted
from fiat.builtin.source_url import http_policy
from fiat.errors import EnvironmentFault, SpecError
from fiat.ports.source import SourceRequest

_CONFIG = ".dvc/config"
_ANY = "*"


@dataclass(frozen=True)
class Place:
    """Where to pull from.

    Attributes:
        name: name of the operator's remote that DVC speaks to; empty when `fetch` is used.
        fetch: of a remote that we speak to.
    """

    name: str = ""
    fetch: Fetch | None = None


def choose_remote(
    tree: Tree,
    named: str | None,
    request: SourceRequest,
    make_client: Callable[[HttpPolicy], HttpClient],
    *,
    here: bool,
) -> Place:
    """Where a stranger's spec may pull from.

    Args:
        tree: of the repository.
        named: `remote` of the source; None for the repository's default.
        request: of the source.
        make_client: gives an HTTP client.
        here: the repository is the checkout, so that a remote may be a folder.

    Raises:
        SpecError: there is no such remote, or it is not granted.
    """
    config = _read_config(tree)
    name = named or config.get("core", {}).get("remote", "")
    granted = request.confinement.dvc_remotes
    if not name and len(granted) == 1:
        name = next(iter(granted))
    for candidate in (name, _ANY):
        if candidate in granted:
            return Place(candidate)
    url = config.get(f"'remote \"{name}\"'", {}).get("url", "")
    if not url:
        shown = f"no remote {name}" if name else "no default remote"
        raise SpecError(f"source.dvc: {_CONFIG} has {shown}", hint="name one with `remote`")
    if url.startswith(("https://", "http://")):
        return Place(fetch=from_http(url, lambda: make_client(http_policy(request, request.max_bytes))))
    if "://" in url or not here:
        kind = url.partition("://")[0] if "://" in url else "a folder"
        raise SpecError(
            f"source.dvc: the operator does not grant the remote {name} ({kind})",
            hint="the operator lists it under dvc_remotes",
        )
    # DVC reads it from the folder that the file lies in.
    folder = os.path.normpath(os.path.join(".dvc", url))  # noqa: PTH118 - a text, no path yet
    return Place(fetch=from_folder(folder, request.root, request.confinement))


def pull_granted(place: Place, wanted: Wanted, target: Path, request: SourceRequest) -> Path:
    """Let DVC pull from the operator's remote, in a repository of ours.

    Args:
        place: with a name.
        wanted: with a digest.
        target: does not exist yet.
        request: of the source.

    Returns:
        Where the part that was asked for lies.

    Raises:
        SpecError: it has no digest.
        EnvironmentFault: DVC is missing or can't pull, or gave something else.
    """
    if not wanted.out.md5:
        raise SpecError(f"source.dvc: {wanted.path} has no digest that can be compared")
    repository = target.with_name(f".{target.name}.dvc-repository")
    (repository / ".dvc").mkdir(parents=True)
    (repository / _CONFIG).write_text(_config_text(request, place.name), "utf-8")
    out = {"md5": wanted.out.md5, "hash": "md5", "path": "content"}
    (repository / "content.dvc").write_text(json.dumps({"outs": [out]}), "utf-8")
    run_dvc(["pull", "content.dvc"], repository, request, wanted.path)
    content = repository / "content"
    if not is_tracked_content(content, wanted.out):
        raise EnvironmentFault(
            f"DVC gave something else for {wanted.path} than was noted of it", hint="is the remote sound?"
        )
    content.rename(target)
    return target / wanted.inner if wanted.inner else target


def _config_text(request: SourceRequest, chosen: str) -> str:
    lines = ["[core]", "no_scm = true", "analytics = false", "check_update = false", "autostage = false"]
    lines += ['remote = "chosen"', "[cache]", "type = copy"]
    remotes = dict(request.confinement.dvc_remotes)
    for name, settings in (*remotes.items(), ("chosen", remotes[chosen])):
        if name != _ANY:
            lines.append(f"['remote \"{name}\"']")
            lines += [f'{key} = "{value}"' for key, value in settings.items() if "\n" not in value]
    return "\n".join(lines) + "\n"


def _read_config(tree: Tree) -> dict[str, dict[str, str]]:
    """Sections of the repository's configuration: names and texts, nothing is looked up in it."""
    content = tree.read(_CONFIG)
    parser = ConfigParser(interpolation=None, default_section="\0")
    try:
        parser.read_string((content or b"").decode("utf-8"))
    except (Error, UnicodeDecodeError) as error:
        raise SpecError(f"source.dvc: {_CONFIG} can't be read") from error
    return {
        section: {key: value.strip().strip("\"'") for key, value in parser[section].items()}
        for section in parser.sections()
    }
