"""The links of a runner to one repository: its webhooks' secrets, its forge, its git."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import cast

from fiat.engine.policy import short_ref
from fiat.errors import FiatError
from fiat.ports.forge import Finding, Forge
from fiat.wiring.doctor import Check
from fiat.wiring.registry import load_plugin
from fiat.wiring.runner_parts import Parts
from fiat.wiring.runner_settings import RunnerSettings, WatchedRepo

_FEW_CHARACTERS = 8
_NOT_PUBLIC = "is not a public address"
_PRIVATE = "if the forge is meant to be in your own network, write `private_api: true` beside its `forge`"


def tried(name: str, look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """What one look finds; a fault on the way is a finding too."""
    try:
        yield from look()
    except FiatError as error:
        yield Check(name, "bad", error.message, error.hint or "mend what it says, then look again")


def check_repository(parts: Parts, repository: WatchedRepo) -> Iterator[Check]:
    """Look at everything between the runner and one repository.

    Args:
        parts: of the runner.
        repository: which.
    """
    name, settings = repository.policy.name, parts.settings
    yield _secrets(repository, settings)
    yield from tried(f"{name} git", lambda: _git(parts, name))
    if repository.forge is None:
        said = f"there is no credential for {repository.policy.forge}: nothing can be told to commits"
        yield Check(f"{name} token", "bad", said, "write `credential`: a token, or a GitHub App with its key")
        return
    try:
        for finding in _findings(repository, settings):
            if finding.name != "webhook" or repository.webhooks:
                mend = _PRIVATE if _NOT_PUBLIC in finding.found else finding.mend
                if finding.name == "webhook" and finding.state == "note" and not settings.url:
                    mend = "set `listen.url`, so that they can be compared with it"
                yield Check(f"{name} {finding.name}", finding.state, finding.found, mend)
    except FiatError as error:
        mend = _PRIVATE if _NOT_PUBLIC in error.message else error.hint
        yield Check(f"{name} {repository.policy.forge}", "bad", error.message, mend)


def _secrets(repository: WatchedRepo, settings: RunnerSettings) -> Check:
    """How webhooks are signed. That secrets are there and long enough is a matter of reading the settings."""
    name, secrets = f"{repository.policy.name} secret", repository.webhook_secrets
    if not repository.webhooks:
        said = f"webhooks are not used: git is looked at every {settings.reconcile_s:g} s"
        return Check(name, "good", said)
    if any(len(set(secret)) < _FEW_CHARACTERS for secret in secrets):
        mend = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))' makes one"
        return Check(name, "bad", "a webhook secret can be guessed: it repeats a few characters", mend)
    if len(secrets) > 1:
        mend = "take the old one out once the forge signs with the new one"
        return Check(name, "note", f"{len(secrets)} webhook secrets are taken, as while one is changed", mend)
    return Check(name, "good", f"one webhook secret of {len(secrets[0])} characters")


def _findings(repository: WatchedRepo, settings: RunnerSettings) -> Sequence[Finding]:
    """What the forge says, with our webhook at either of its addresses."""
    assert repository.forge is not None  # noqa: S101 - the caller looked
    kind = repository.policy.forge
    wanted = settings.url if repository.webhooks else ""
    found: Sequence[Finding] = ()
    for place in (f"/webhook/{kind}", "/webhook") if wanted else ("",):
        made = load_plugin("forge", kind)(replace(repository.forge, hook_url=wanted + place))
        found = found or cast(Forge, made).check()
        now = found if place != "/webhook" else cast(Forge, made).check()
        if not any(item.name == "webhook" and item.state == "bad" for item in now):
            return now
    return found


def _git(parts: Parts, name: str) -> Iterator[Check]:
    watched = parts.repos[name]
    policy, check = watched.policy, f"{name} git"
    heads = watched.mirror.heads(pulls=False)
    refs = [ref for ref in heads if policy.watches(ref)]
    if not refs:
        patterns = ", ".join(policy.branches)
        have = ", ".join(sorted(short_ref(ref) for ref in heads)[:5]) or "none"
        yield Check(check, "bad", f"no branch fits `branches` ({patterns})", f"branches there: {have}")
        return
    first = next((ref for ref in refs if policy.protects(ref)), refs[0])
    yield Check(check, "good", f"{len(refs)} watched, {short_ref(first)} is at {heads[first][:12]}")
    if not any(policy.protects(ref) for ref in refs):
        said = f"no watched branch fits `protected` ({', '.join(policy.protected)}): nothing is ever deployed"
        yield Check(check, "note", said, "name the branch that deploys under `protected`")
