"""Settings of the machine, from `FIAT_*` variables: the operator's word, never the spec's."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fiat.data.dvc_carry import Carrier
from fiat.errors import EnvironmentFault
from fiat.spec.operator_load import load_operator
from fiat.wiring.carrying import desk_secrets, make_carrier

DEFAULT_DOWNLOAD_BYTES = 50 << 30
STATE_FOLDER = ".fiat"


@dataclass(frozen=True)
class Settings:
    """What the environment sets.

    Attributes:
        store: `FIAT_STORE`: folder of the store; None is `.fiat` in the checkout.
        database_url: `FIAT_DATABASE_URL`: `postgresql://...`; None is SQLite in the store's folder.
        compute: `FIAT_COMPUTE`: `ray` or `local`.
        ray_address: `RAY_ADDRESS`: a Ray that runs already; None is one of our own.
        allow_private_hosts: `FIAT_ALLOW_PRIVATE_HOSTS`: URLs may reach private addresses.
        max_download_bytes: `FIAT_MAX_DOWNLOAD_BYTES`: most bytes that one source may fetch.
        signing_key: `FIAT_SIGNING_KEY`: PEM file of the private key that released packages are signed with; None signs none.
        verify_key: `FIAT_VERIFY_KEY`: PEM file of the public key that signatures are checked with; left out: `.pub` beside
            the signing key.
        environment: everything, for PATH and declared secrets.
        carrier: how large files come to nodes of a Ray that do not see the store; None leaves it to Ray.
    """

    store: Path | None
    database_url: str | None
    compute: str
    ray_address: str | None
    allow_private_hosts: bool
    max_download_bytes: int
    environment: Mapping[str, str]
    signing_key: Path | None = None
    verify_key: Path | None = None
    carrier: Carrier | None = None

    def state_dir(self, root: Path) -> Path:
        """Folder of the store for a checkout."""
        return self.store or root / STATE_FOLDER


def read_settings(environment: Mapping[str, str], runner: Path | None = None) -> Settings:
    """Read the settings.

    Args:
        environment: the variables.
        runner: a runner's settings file whose `compute`, `ray_address` and `remote` count in place of `FIAT_COMPUTE`
            and `RAY_ADDRESS`; None is the one that `FIAT_RUNNER_FILE` names, if it does.

    Raises:
        EnvironmentFault: a setting has a value that it can't have.
        SpecErrors: the runner's file is wrong.
    """
    place = _place(environment, runner)
    download = environment.get("FIAT_MAX_DOWNLOAD_BYTES", str(DEFAULT_DOWNLOAD_BYTES))
    if not download.isdigit():
        raise EnvironmentFault(
            f"FIAT_MAX_DOWNLOAD_BYTES is {download!r}", hint="expected a whole number of bytes"
        )
    store = environment.get("FIAT_STORE")
    signing = environment.get("FIAT_SIGNING_KEY")
    verify = environment.get("FIAT_VERIFY_KEY") or (f"{signing}.pub" if signing else None)
    return Settings(
        store=Path(store).absolute() if store else None,
        database_url=environment.get("FIAT_DATABASE_URL") or None,
        compute=place.compute,
        ray_address=place.ray_address,
        allow_private_hosts=_switch(environment, "FIAT_ALLOW_PRIVATE_HOSTS"),
        max_download_bytes=int(download),
        environment=dict(environment),
        signing_key=Path(signing).absolute() if signing else None,
        verify_key=Path(verify).absolute() if verify else None,
        carrier=place.carrier,
    )


@dataclass(frozen=True)
class _Place:
    """Where steps run."""

    compute: str
    ray_address: str | None
    carrier: Carrier | None = None


def _place(environment: Mapping[str, str], runner: Path | None) -> _Place:
    named = environment.get("FIAT_RUNNER_FILE")
    path = runner or (Path(named) if named else None)
    if path is None:
        return _Place(environment.get("FIAT_COMPUTE", "ray"), environment.get("RAY_ADDRESS") or None)
    given = load_operator(path).settings
    folder = path.absolute().parent
    secrets = desk_secrets(given, folder, environment)
    carrier = make_carrier(given.remote, folder, secrets) if given.remote else None
    return _Place(given.compute, given.ray_address, carrier)


def _switch(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name, "").lower()
    if value in ("", "0", "false", "no"):
        return False
    if value in ("1", "true", "yes"):
        return True
    raise EnvironmentFault(f"{name} is {value!r}", hint="expected 1 or 0")
