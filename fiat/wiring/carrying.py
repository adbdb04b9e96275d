"""How large files travel between the store and machines that do not see it: the operator's DVC remote."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from fiat.data.dvc_carry import Carrier, Remote
from fiat.spec.operator_section import ArtifactRemote, Operator


def make_carrier(given: ArtifactRemote, folder: Path, secrets: Mapping[str, str]) -> Carrier:
    """The carrier of a settings file.

    Args:
        given: what it says.
        folder: that a remote's folder is relative to.
        secrets: name to value; those that the remote names and that are there are handed to DVC.
    """
    url = given.url if "://" in given.url else str((folder / Path(given.url).expanduser()).absolute())
    env = {name: secrets[name] for name in given.secrets if name in secrets}
    return Carrier(Remote(url, dict(given.options)), sys.executable, env)


def desk_secrets(given: Operator, folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The secrets of a settings file's remote that its user has at a desk too.

    One that is not there is left out: DVC looks for credentials in more places than these.

    Args:
        given: the settings.
        folder: that their paths are relative to.
        environment: the variables.
    """
    found: dict[str, str] = {}
    for name in given.remote.secrets if given.remote else ():
        place = given.secrets.get(name)
        file = place.file if place else f"{given.secrets_folder}/{name}" if given.secrets_folder else None
        value = environment.get(place.env if place and place.env else name, "")
        if file is not None:
            with suppress(OSError, UnicodeDecodeError):
                text = (folder / Path(file).expanduser()).read_text("utf-8")
                value = text.removesuffix("\n").removesuffix("\r")
        if value:
            found[name] = value
    return found
