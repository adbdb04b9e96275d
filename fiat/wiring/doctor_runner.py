"""What must be right around a runner, link by link, each with the next step: `fiat doctor --runner-config FILE`."""

import socket
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from fiat.builtin.http_client import BrokenTransfer, HttpClient, HttpPolicy
from fiat.builtin.sandbox_probe import probe_sandbox
from fiat.errors import EnvironmentFault, FiatError, SpecErrors
from fiat.wiring.doctor import Check
from fiat.wiring.doctor_repository import check_repository, tried
from fiat.wiring.doctor_store import check_store
from fiat.wiring.registry import load_plugin
from fiat.wiring.runner_parts import Parts, make_parts
from fiat.wiring.runner_reading import read_runner_settings
from fiat.wiring.runner_settings import RunnerSettings

OLDEST_RAY = (2, 52)
CONNECT_S = 5.0
ANSWER_S = 15.0
_EVERYWHERE: Mapping[str, str] = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound


def check_runner(path: Path, environment: Mapping[str, str]) -> tuple[Check, ...]:
    """Look at every link of a runner. Makes nothing; a store or database that is there is opened as a start would.

    Args:
        path: the settings file.
        environment: where `env:` secrets are; as the runner would have it.
    """
    try:
        settings = read_runner_settings(path, environment)
    except SpecErrors as error:
        return tuple(Check("settings", "bad", _placed(item), item.hint) for item in error.errors)
    except FiatError as error:
        return (Check("settings", "bad", error.message, error.hint),)
    return tuple(_checks(settings, environment))


def _checks(settings: RunnerSettings, environment: Mapping[str, str]) -> Iterator[Check]:
    count = len(settings.repositories)
    yield Check(
        "settings", "good", f"{settings.path}, {count} {'repository' if count == 1 else 'repositories'}"
    )
    try:
        load_plugin("door", "web")
    except FiatError as error:
        yield Check("program", "bad", error.message, "pip install 'fiat-ml[runner]'")
    try:
        parts = make_parts(settings)
    except FiatError as error:
        yield Check("program", "bad", error.message, error.hint)
        return
    yield from _masked(parts, tried("sandbox", lambda: _sandbox(settings, environment)))
    yield from _masked(parts, tried("store", lambda: check_store(parts)))
    yield from _masked(parts, tried("ray", lambda: _ray(settings, environment)))
    with TemporaryDirectory(prefix="fiat-doctor-") as folder:
        # What git is asked needs a folder, and the runner's own may not be there yet.
        elsewhere = make_parts(replace(settings, store=Path(folder)))
        for repository in settings.repositories:
            yield from _masked(parts, check_repository(elsewhere, repository))
    yield from _masked(parts, tried("address", lambda: _address(settings)))


def _masked(parts: Parts, checks: Iterator[Check]) -> Iterator[Check]:
    for check in checks:
        yield replace(check, found=parts.mask(check.found), mend=parts.mask(check.mend))


def _sandbox(settings: RunnerSettings, environment: Mapping[str, str]) -> Iterator[Check]:
    found = probe_sandbox(environment)
    if settings.sandbox.kind == "none":
        said = "off: code of repositories runs with the runner's own rights, and every check says so"
        mend = "sandbox: {kind: bubblewrap}" + (f", after this: {found.mend}" if found.mend else "")
        yield Check("sandbox", "note", said, mend)
    else:
        yield Check("sandbox", "good" if found.ok else "bad", found.found, found.mend)


def _ray(settings: RunnerSettings, environment: Mapping[str, str]) -> Iterator[Check]:
    if settings.compute != "ray":
        yield Check("ray", "good", "not used: steps run by compute `local`")
        return
    try:
        found = version("ray")
    except PackageNotFoundError:
        yield Check("ray", "bad", "not installed", "pip install ray, or `compute: local`")
        return
    if tuple(int(part) for part in found.split(".")[:2]) < OLDEST_RAY:
        yield Check("ray", "bad", f"version {found} asks nobody for a token", "pip install 'ray>=2.52'")
    elif settings.ray_address is None:
        yield Check(
            "ray", "good", f"version {found}; the runner starts one of its own, on loopback, behind a token"
        )
    else:
        yield from _ray_elsewhere(settings.ray_address, found, environment)


def _ray_elsewhere(address: str, found: str, environment: Mapping[str, str]) -> Iterator[Check]:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except (OSError, ValueError) as error:
        yield Check(
            "ray", "bad", f"nothing answers at {address}: {error}", "check `ray_address` and the firewall"
        )
        return
    if not environment.get("RAY_AUTH_TOKEN") and not environment.get("RAY_AUTH_TOKEN_PATH"):
        mend = "set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to the cluster's token"
        yield Check("ray", "note", f"{address} answers, and there is no token to show it", mend)
        return
    yield Check("ray", "good", f"{address} answers; version {found} here, which the cluster must have too")


def _address(settings: RunnerSettings) -> Iterator[Check]:
    url = settings.url or f"http://{settings.host}:{settings.port}"
    parts = urlsplit(url)
    if not settings.url:
        yield Check(
            "address", "note", "listen.url is not set: links in checks lead to this machine only", "set it"
        )
    elif parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        said = f"{url} is not encrypted: tokens and pages can be read on the way"
        yield Check(
            "address",
            "bad",
            said,
            "put a reverse proxy with TLS before the runner, and https:// into listen.url",
        )
    if settings.public_read:
        said = "listen.public_read is on: logs and reports are for everybody who reaches the address"
        yield Check("address", "note", said, "take it out unless that is meant")
    policy = HttpPolicy(
        allow_private_hosts=True, timeout_s=ANSWER_S, idle_timeout_s=ANSWER_S, max_bytes=1 << 20
    )
    try:
        with HttpClient(policy).get(f"{url}/healthz") as answer:
            status = answer.status
        said = (
            f"{url}/healthz answers {status}: something else is there, or the proxy does not find the runner"
        )
        mend = f"let the proxy pass everything on to {settings.host}:{settings.port}"
    except (BrokenTransfer, EnvironmentFault) as error:
        status, said = 0, f"{url}/healthz does not answer: {error}"
        mend = "check the proxy, DNS and the firewall"
    if status == 200:
        yield Check("address", "good", f"{url}/healthz answers")
    elif _is_down(settings):
        said = f"nothing listens at {settings.host}:{settings.port}: the runner does not run"
        yield Check("address", "note", said, "start it, then look again")
    else:
        yield Check("address", "bad", said, mend)


def _is_down(settings: RunnerSettings) -> bool:
    """Whether nothing listens where the runner would."""
    host = _EVERYWHERE.get(settings.host, settings.host)
    try:
        socket.create_connection((host, settings.port), CONNECT_S).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _placed(error: FiatError) -> str:
    place = f"{error.where}: " if error.where else ""
    key = f"{error.where.key}: " if error.where and error.where.key else ""
    return f"{place}{key}{error.message}"
