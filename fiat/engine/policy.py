"""What the operator grants, as frozen values: what the engine asks before it believes a forge or a spec."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

Forks = Literal["never", "approval", "always"]
_STRICTNESS: Mapping[str, int] = {"never": 0, "approval": 1, "always": 2}
HEADS, TAGS = "refs/heads/", "refs/tags/"


@dataclass(frozen=True)
class RepoPolicy:
    """One watched repository.

    Attributes:
        name: `owner/name`.
        forge: name of the forge and trigger plugins.
        id: numeric id as text; empty when it is not pinned.
        branches: patterns of watched branches.
        tags: patterns of watched tags.
        protected: patterns of branches whose commits may deploy.
        specs: patterns of spec files.
        targets: granted deploy targets, name to the folder that a target's own path is below.
        secrets: names of secrets that its specs may name.
        forks: what happens to code from forks.
        approvers: numeric ids of people who may approve beside those with write access.
        network: its code may ask for the network.
        data_hosts: hosts that data may come from; empty for any public one.
        data_folders: folders of the machine that its specs may read.
        dvc_remotes: DVC remotes by name, in place of the repository's own.
        allow_private_hosts: data may come from private addresses.
        context: first part of the names of its checks.
        gate_checks: one check a gate beside the one a spec.
        priority: of its runs.
        submodules: fetch them.
    """

    name: str
    forge: str
    id: str = ""
    branches: tuple[str, ...] = ("main",)
    tags: tuple[str, ...] = ()
    protected: tuple[str, ...] = ("main",)
    specs: tuple[str, ...] = ("**/spec.yaml",)
    targets: Mapping[str, Path] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    forks: Forks = "approval"
    approvers: tuple[str, ...] = ()
    network: bool = False
    data_hosts: tuple[str, ...] = ()
    data_folders: tuple[str, ...] = ()
    dvc_remotes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    allow_private_hosts: bool = False
    context: str = "fiat"
    gate_checks: bool = False
    priority: int = 0
    submodules: bool = False

    @property
    def folder(self) -> str:
        """A name for folders of this repository: no two repositories have the same."""
        return folder_of(self.name)

    def watches(self, ref: str) -> bool:
        """Whether the head of this full ref name gets runs."""
        if ref.startswith(HEADS):
            return matches(ref.removeprefix(HEADS), self.branches)
        return ref.startswith(TAGS) and matches(ref.removeprefix(TAGS), self.tags)

    def pull_ref(self, number: int) -> str:
        """The ref of a pull request's head at this forge.

        Source: GitHub and Gitea keep `refs/pull/N/head`, GitLab `refs/merge-requests/N/head`.
        """
        return f"refs/{'merge-requests' if self.forge == 'gitlab' else 'pull'}/{number}/head"

    def protects(self, ref: str) -> bool:
        """Whether commits of this full ref name may deploy."""
        return ref.startswith(HEADS) and matches(ref.removeprefix(HEADS), self.protected)


@dataclass(frozen=True)
class RunPolicy:
    """What a run may use.

    Attributes:
        time_s: longest time of a run.
        gpu_s: most GPU seconds of a run; None is no limit.
        pull_gpu_s: most GPU seconds of all runs of a pull request; None is no limit.
        attempts: claims without progress before a run is parked.
        lease_s: how long a worker may be silent.
    """

    time_s: float = 86400.0
    gpu_s: float | None = None
    pull_gpu_s: float | None = None
    attempts: int = 5
    lease_s: float = 30.0


def folder_of(name: str) -> str:
    """A repository's name as the name of a folder; `a/b__c` and `a__b/c` stay apart."""
    return f"{name.replace('/', '__')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a branch or tag name fits one of the patterns: `main`, `release/*`; `!x` takes away again."""
    found = False
    for pattern in patterns:
        if pattern.startswith("!"):
            found = found and not fnmatchcase(name, pattern[1:])
        else:
            found = found or fnmatchcase(name, pattern)
    return found


def stricter(one: str, other: str) -> str:
    """The stricter of two words about forks."""
    return min(one, other, key=lambda word: _STRICTNESS[word])


def short_ref(ref: str) -> str:
    """A branch or tag name without `refs/heads/` or `refs/tags/`."""
    return ref.removeprefix(HEADS).removeprefix(TAGS)
