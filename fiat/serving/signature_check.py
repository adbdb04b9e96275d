"""Whether a package is signed by a key: asked of a process of its own, so that the server need not load cryptography."""

import os
import subprocess
import sys
from pathlib import Path

from fiat.errors import EnvironmentFault

_TIMEOUT_S = 120.0


def check_signature(key: str, folder: Path, digest: str) -> None:
    """Prove that a package is signed.

    Args:
        key: PEM file of the public key.
        folder: of the package; its signature lies beside it, see `fiat.model.signing`.
        digest: of the package.

    Raises:
        EnvironmentFault: it is not, or that could not be found out.
    """
    signature = folder.with_name(f"{folder.name}.sig")
    command = [sys.executable, "-m", "fiat.model.signing", "verify", str(folder), str(signature), key, digest]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentFault(
            f"the signature of {folder} could not be checked: {error}", hint="look at the server's log"
        ) from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise EnvironmentFault(lines[-1][:500], hint="sign the package with the key that the target asks for")
