"""Another repository that data is tracked in, read through a mirror of our own; its address is resolved once and pinned."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fiat.builtin.http_address import checked_addresses, resolve_name
from fiat.builtin.source_dvc_tree import CommitTree
from fiat.errors import EnvironmentFault, FiatError, SpecError
from fiat.git.mirror import Mirror
from fiat.git.refs import is_oid, is_ref
from fiat.git.remote import Remote
from fiat.ports.source import SourceRequest

_USUAL = ("refs/heads/main", "refs/heads/master")
_PROXY = re.compile(r"https?_proxy", re.IGNORECASE)


@dataclass(frozen=True)
class PinnedRemote(Remote):
    """A repository whose host was looked up already.

    Attributes:
        resolution: `host:port:address,address`; git asks no name server for that host.
    """

    resolution: str = ""

    def config(self) -> Mapping[str, str]:
        """Settings of git to reach it.

        Source: git-config(1), `http.curloptResolve`.
        """
        return {**super().config(), "http.curloptResolve": self.resolution}


def open_commit(request: SourceRequest, repo: str, rev: str | None) -> CommitTree:
    """The tree of a revision of another repository.

    Args:
        request: of the source; its folder takes the mirror.
        repo: an https address (http where private hosts may be reached): ssh would show the runner's own key.
        rev: commit, tag or branch; None for `main` or `master`.

    Raises:
        SpecError: the address is not granted, or there is no such revision.
        EnvironmentFault: it can't be reached, or refuses us.
    """
    mirror = _mirror(request, repo)
    try:
        if rev and is_oid(rev):
            if mirror.fetch(refs=(), commits=[rev]):
                mirror.fetch()
            if not mirror.has(rev):
                raise SpecError(f"source.rev: {repo} has no commit {rev}")
            return CommitTree(mirror, rev)
        ref, _ = _find(mirror, repo, rev)
        mirror.fetch([ref])
        return CommitTree(mirror, mirror.commit_of(ref))
    except SpecError:
        raise
    except FiatError as error:
        raise EnvironmentFault(f"source.repo: {error.message}", hint=error.hint) from error


def head_of(request: SourceRequest, repo: str, rev: str | None) -> str:
    """The commit that a revision of another repository stands for now.

    Raises:
        SpecError: the address is not granted, or there is no such revision.
        EnvironmentFault: it can't be reached, or refuses us.
    """
    try:
        return _find(_mirror(request, repo), repo, rev)[1]
    except SpecError:
        raise
    except FiatError as error:
        raise EnvironmentFault(f"source.repo: {error.message}", hint=error.hint) from error


def _mirror(request: SourceRequest, repo: str) -> Mirror:
    private = request.allow_private_hosts
    protocols = frozenset({"https", "http"} if private else {"https"})
    address = Remote(repo, protocols=protocols).address
    if not request.confinement.grants_host(address.host):
        raise SpecError(f"source.repo: the operator does not grant the host {address.host}")
    port = address.port or (80 if address.protocol == "http" else 443)
    host = address.host.strip("[]")
    found = checked_addresses(host, port, resolve_name, allow_private=private)
    listed = ",".join(f"[{each}]" if ":" in each else each for each in found)
    proxy = next((value for name, value in request.env.items() if _PROXY.fullmatch(name)), "")
    remote = PinnedRemote(
        repo, protocols=protocols, proxy=proxy, resolution=f"{address.host}:{port}:{listed}"
    )
    return Mirror(request.folder / ".mirror", remote)


def _find(mirror: Mirror, repo: str, rev: str | None) -> tuple[str, str]:
    """Full name and commit of a branch or tag."""
    heads = mirror.heads(pulls=False)
    names = _USUAL if rev is None else (rev, f"refs/heads/{rev}", f"refs/tags/{rev}")
    for name in names:
        if is_ref(name) and name in heads:
            return name, heads[name]
    wanted = "no branch main or master" if rev is None else f"no branch or tag {rev}"
    raise SpecError(f"source.repo: {repo} has {wanted}", hint="say a commit, tag or branch as `rev`")
