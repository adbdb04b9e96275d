"""How large files travel between the store and machines that do not see it: the operator's DVC remote."""

import sys
from collections.abc import Mapping
from pathlib import Path

from fiat.data.dvc_carry import Carrier, Remote
from fiat.spec.operator_section import ArtifactRemote


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
