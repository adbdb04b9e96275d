"""What a runner's processes are made of: the same objects for the main process and for workers."""

import secrets
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import cast
from urllib.parse import urlsplit

from fiat.builtin.view_text import visible
from fiat.engine.checkouts import Checkouts
from fiat.engine.telling import Telling
from fiat.engine.watched import Watched
from fiat.git.mirror import Mirror
from fiat.git.remote import Remote
from fiat.ports.forge import Credential, Forge
from fiat.ports.trigger import Trigger
from fiat.redaction import Redactor
from fiat.store.store import Store, open_store
from fiat.wiring.desk import utc_now
from fiat.wiring.registry import load_plugin, plugin_names
from fiat.wiring.runner_settings import RunnerSettings, WatchedRepo
from fiat.wiring.runner_teller import make_teller

# Name that stands beside a token where git asks for a name and a password.
_USERS: Mapping[str, str] = {"github": "x-access-token", "gitlab": "oauth2"}


@dataclass(frozen=True)
class Parts:
    """Everything that is made from the settings.

    Attributes:
        settings: of the runner.
        repos: what is watched, by name.
        checkouts: laid out commits.
        telling: words for forges.
        mask: hides secrets.
        log: writes one line to standard error: masked, without control characters.
    """

    settings: RunnerSettings
    repos: Mapping[str, Watched]
    checkouts: Checkouts
    telling: Telling
    mask: Callable[[str], str]
    log: Callable[[str], None]

    @property
    def forges(self) -> Mapping[str, Forge]:
        """Forges by repository, of those that have a credential."""
        return {name: watched.forge for name, watched in self.repos.items() if watched.forge is not None}

    def open_store(self) -> Store:
        """A connection of its own to the store: each thread that must not wait for others takes one."""
        return open_store(self.settings.store, url=self.settings.database_url, now=utc_now)


def make_parts(settings: RunnerSettings, mirror: type[Mirror] = Mirror) -> Parts:
    """Make the objects; nothing is connected yet.

    Args:
        settings: of the runner.
        mirror: kind of the mirrors.

    Raises:
        EnvironmentFault: a plugin is missing.
    """
    redactor = Redactor(settings.all_secrets)
    return Parts(
        settings=settings,
        repos={
            repository.policy.name: _watched(repository, settings, mirror)
            for repository in settings.repositories
        },
        checkouts=Checkouts(settings.store / "checkouts"),
        telling=Telling(make_teller(settings)),
        mask=redactor.text,
        log=_logger(redactor),
    )


def make_triggers() -> tuple[Trigger, ...]:
    """Webhook readers in the order in which they are asked."""
    found = [cast(Trigger, load_plugin("trigger", name)()) for name in plugin_names("trigger")]
    return tuple(sorted(found, key=lambda trigger: trigger.order))


def new_token() -> str:
    """Tells ids of one moment apart."""
    return secrets.token_hex(3)


def credential_lines(settings: RunnerSettings) -> Mapping[str, str]:
    """Repositories of one API and credential share its limits: each is given the name of the first of them."""
    first: dict[tuple[str, Credential], str] = {}
    return {
        repository.policy.name: first.setdefault(
            (repository.forge.api, repository.forge.credential), repository.policy.name
        )
        for repository in settings.repositories
        if repository.forge is not None
    }


def _watched(repository: WatchedRepo, settings: RunnerSettings, mirror: type[Mirror]) -> Watched:
    policy, url = repository.policy, settings.url
    forge: Forge | None = None
    if repository.forge is not None:
        hook_url = f"{url}/webhook/{policy.forge}" if url else ""
        forge = cast(Forge, load_plugin("forge", policy.forge)(replace(repository.forge, hook_url=hook_url)))
    over_web = urlsplit(repository.url).scheme in ("https", "http")
    remote = Remote(
        url=repository.url,
        user=_USERS.get(policy.forge, "fiat"),
        protocols=frozenset(repository.protocols),
    )
    folder = settings.store / "mirrors" / policy.folder
    token = partial(getattr, forge, "git_token") if forge is not None and over_web else None
    return Watched(policy, mirror(folder, remote, token=token), forge)


def _logger(redactor: Redactor) -> Callable[[str], None]:
    lock = threading.Lock()

    def log(text: str) -> None:
        lines = [
            f"{utc_now():%Y-%m-%d %H:%M:%S} {visible(line)}\n" for line in redactor.text(text).splitlines()
        ]
        with lock, suppress(OSError):  # a full disk or a closed pipe under the log must not end a loop
            sys.stderr.write("".join(lines))
            sys.stderr.flush()

    return log
