"""A runner's settings with every secret read and every path absolute, ready for the engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from fiat.data.dvc_carry import Carrier
from fiat.engine.policy import RepoPolicy, RunPolicy
from fiat.ports.forge import ForgeRepo
from fiat.spec.operator_section import SandboxSettings


@dataclass(frozen=True)
class Token:
    """A bearer token of the API.

    Attributes:
        name: who has it.
        secret: the token.
        scopes: what it may do.
        repositories: only these; empty for all.
    """

    name: str
    secret: str = field(repr=False)
    scopes: frozenset[str]
    repositories: tuple[str, ...]


@dataclass(frozen=True)
class WatchedRepo:
    """A repository as the runner needs it.

    Attributes:
        policy: what is granted.
        url: where git fetches from.
        protocols: how git may fetch.
        forge: for the forge plugin; None without a credential.
        webhooks: whether webhooks are taken.
        webhook_secrets: of its webhooks.
    """

    policy: RepoPolicy
    url: str
    protocols: tuple[str, ...]
    forge: ForgeRepo | None
    webhooks: bool
    webhook_secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class RunnerSettings:
    """Everything that a runner is told.

    Attributes:
        path: the settings file.
        host: address to listen on.
        port: TCP port, 0 for a free one.
        url: public address without a slash at its end; empty until the port is known.
        allowed_hosts: further names that pages and API may be reached by.
        public_read: reading needs no token.
        public_metrics: `/metrics` needs no token, on loopback.
        max_body_bytes: of a webhook.
        store: folder.
        database_url: PostgreSQL, None for SQLite.
        compute: `ray` or `local`.
        ray_address: a Ray that runs already.
        workers: runs side by side.
        reconcile_s: between two looks at git.
        limits: what a run may use.
        sandbox: how steps are shut off.
        keep_runs: newest runs of each spec that are remembered.
        keep_days: younger runs are remembered too.
        secrets: name to value.
        tokens: of the API.
        repositories: what is watched.
        insecure: unsigned webhooks are taken on loopback (a trial on one's own machine).
        signing_key: file of the private key that released packages are signed with; None signs none.
        verify_key: file of the public key that targets check signatures with.
        carrier: how large files come to nodes of a Ray that do not see the store; None leaves it to Ray.
    """

    path: Path
    host: str
    port: int
    url: str
    allowed_hosts: tuple[str, ...]
    public_read: bool
    public_metrics: bool
    max_body_bytes: int
    store: Path
    database_url: str | None = field(repr=False)
    compute: str
    ray_address: str | None
    workers: int
    reconcile_s: float
    limits: RunPolicy
    sandbox: SandboxSettings
    keep_runs: int
    keep_days: float
    secrets: Mapping[str, str] = field(repr=False)
    tokens: tuple[Token, ...]
    repositories: tuple[WatchedRepo, ...]
    insecure: bool = False
    signing_key: Path | None = None
    verify_key: Path | None = None
    carrier: Carrier | None = None

    def at(self, url: str) -> "RunnerSettings":
        """The same with the address that is known once the server listens."""
        return replace(self, url=url.rstrip("/"))

    @property
    def all_secrets(self) -> tuple[str, ...]:
        """Every value that must never be seen: to be masked wherever text leaves the runner."""
        found = [*self.secrets.values(), *(token.secret for token in self.tokens)]
        for repository in self.repositories:
            found += repository.webhook_secrets
            if repository.forge is not None:
                found += [repository.forge.credential.token, repository.forge.credential.app_key]
        return tuple(dict.fromkeys(value for value in found if value))
