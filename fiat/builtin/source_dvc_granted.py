"""The source `dvc` for a spec that is not to be trusted: what DVC tracks is read by us, DVC sees nothing of the repository.

A repository can make DVC do much: name any remote, cache or folder in `.dvc/config`, bring commands, take files from
absolute paths (`dvc import-url`). Of all that we use paths, digests and the remote's name.
"""

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from fiat.builtin.http_client import HttpClient, HttpPolicy
from fiat.builtin.source_dvc_file import is_tracked_content
from fiat.builtin.source_dvc_objects import take
from fiat.builtin.source_dvc_remote import Place, choose_remote, pull_granted
from fiat.builtin.source_dvc_repo import open_commit
from fiat.builtin.source_dvc_tree import CheckoutTree, Tree, Wanted, find_tracked
from fiat.data.confined import checked_files, folder_files, named_path
from fiat.errors import SpecError
from fiat.ports.source import SourceRequest

_KEY = "source.dvc"


def granted_places(
    request: SourceRequest,
    settings: Mapping[str, str],
    make_client: Callable[[HttpPolicy], HttpClient],
) -> list[Path]:
    """Files and folders of a source, fetched to the request's folder unless they lie in the checkout.

    Args:
        request: confined.
        settings: `dvc`, and what there is of `repo`, `rev` and `remote`.
        make_client: gives an HTTP client for a policy.

    Raises:
        SpecError: nothing tracked by that name, or something on the way that is not granted.
        EnvironmentFault: the remote fails, or gives something else.
    """
    named, repo, rev = settings["dvc"], settings.get("repo"), settings.get("rev")
    if rev and not repo:
        raise SpecError("source.rev: the commit of the run is used", hint="`rev` goes with a `repo`")
    tree: Tree = open_commit(request, repo, rev) if repo else CheckoutTree(request.root, request.confinement)
    wanted = find_tracked(tree, named)
    announced = sum(each.out.size_bytes for each in wanted)
    if announced > request.max_bytes:
        raise SpecError(
            f"{_KEY}: {named} tracks {announced:,} bytes, more than the {request.max_bytes:,} allowed"
        )
    places, missing = [], []
    for each in wanted:
        here = None if repo else _lies_here(request, each, named)
        places += [here] if here else []
        missing += [] if here else [each]
    if missing:
        place = choose_remote(tree, settings.get("remote"), request, make_client, here=not repo)
        places += [_pull(place, each, request) for each in missing]
    return places


def _lies_here(request: SourceRequest, wanted: Wanted, named: str) -> Path | None:
    """Where it lies in the checkout, when it does so as it is tracked."""
    top = named_path(wanted.path, request.root, request.confinement, _KEY)
    if not top.exists():
        return None
    if top.is_dir():
        folder_files(top, request.root, request.confinement, _KEY)
    elif not checked_files([top], request.root, request.confinement, _KEY):
        raise SpecError(f"{_KEY}: {wanted.path} is no file")
    if wanted.out.md5 and not is_tracked_content(top, wanted.out):
        raise SpecError(f"{_KEY}: {wanted.path} is not what {named} tracks", hint="commit one of the two")
    return top / wanted.inner if wanted.inner else top


def _pull(place: Place, wanted: Wanted, request: SourceRequest) -> Path:
    target = request.folder / PurePosixPath(wanted.path, wanted.inner).name
    if target.exists():
        raise SpecError(f"{_KEY}: two things would be named {target.name}")
    private = request.folder / f".pulled-{target.name}"
    private.mkdir()
    if place.fetch is not None:
        found = take(place.fetch, wanted, private / "content", request.max_bytes)
    else:
        found = pull_granted(place, wanted, private / "content", request)
    if not found.exists():
        raise SpecError(f"{_KEY}: {wanted.path} has nothing at {wanted.inner}")
    found.rename(target)
    return target
