"""Carry objects between a folder in DVC's cache layout and a DVC remote, by the `dvc` command in a repository of our own.

Every kind of URL that DVC knows works: a folder, `s3://`, `gs://`, `azure://`, `ssh://` and so on. DVC is given a
configuration that only the operator wrote, a private site cache (the one that is shared by all users of a machine
holds pickles), and nothing of the checkout: there are no stages in its repository whose commands it could run.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from fiat.errors import EnvironmentFault

LEAST_BYTES = 64 << 20
_ERROR, _WISHES = "ERROR:", "Having any troubles?"


@dataclass(frozen=True)
class Remote:
    """Where artifacts are sent to.

    Attributes:
        url: as in `dvc remote add`; a path is relative to the current folder.
        options: as in `dvc remote modify`, such as `endpointurl`.
        timeout_s: most seconds that one transfer may take; None is no limit.
    """

    url: str
    options: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float | None = None


@dataclass(frozen=True)
class Carrier:
    """How DVC is run.

    Attributes:
        remote: the other end.
        python: the interpreter that has DVC.
        env: environment for DVC: `PATH`, `HOME`, and the remote's credentials.
        least_bytes: smaller files are not worth the way.
    """

    remote: Remote
    python: str
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    least_bytes: int = LEAST_BYTES

    def here(self, environment: Mapping[str, str]) -> "Carrier":
        """The same on the machine that this process runs on.

        Args:
            environment: of this process, for `PATH` and `HOME`.
        """
        own = {name: environment[name] for name in ("PATH", "HOME") if name in environment}
        return replace(self, python=sys.executable, env={**own, **self.env})

    def carry(
        self, verb: Literal["push", "fetch"], digests: Sequence[str], *, cache: Path, scratch: Path
    ) -> None:
        """Send objects that the remote lacks, or fetch those that the cache lacks.

        Args:
            verb: which of the two.
            digests: of the objects, well formed.
            cache: folder with `files/md5` in it.
            scratch: folder for DVC's own files, which are removed at the end.

        Raises:
            EnvironmentFault: DVC or the remote refused.
            OSError: the disk refused.
        """
        if not digests:
            return
        with _repository(cache, scratch, self.remote, digests) as folder:
            private = {
                "DVC_NO_ANALYTICS": "1",
                "DVC_SITE_CACHE_DIR": str(folder / "site"),
                "DVC_GLOBAL_CONFIG_DIR": str(folder / "none"),
                "DVC_SYSTEM_CONFIG_DIR": str(folder / "none"),
            }
            command = [self.python, "-m", "dvc", verb, "--remote", "fiat", "artifacts.dvc"]
            try:
                done = subprocess.run(
                    command,
                    cwd=folder,
                    env={**self.env, **private},
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=self.remote.timeout_s,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise self._fault(verb, f"it took longer than {self.remote.timeout_s:g} s") from None
            except OSError as error:
                raise self._fault(verb, str(error)) from error
            if done.returncode:
                raise self._fault(verb, _reason(done.stderr) or f"exit code {done.returncode}")

    def _fault(self, verb: str, reason: str) -> EnvironmentFault:
        return EnvironmentFault(
            f"dvc {verb} with {self.remote.url} failed: {reason}",
            hint="check the remote's URL, its options, and that DVC has its plugin (such as dvc-s3)",
        )


@contextmanager
def _repository(cache: Path, scratch: Path, remote: Remote, digests: Sequence[str]) -> Iterator[Path]:
    """A DVC repository that tracks just these artifacts, whose cache is the given one; removed at the end."""
    folder = scratch / f"{os.getpid()}-dvc-{os.urandom(4).hex()}"
    try:
        (folder / ".dvc").mkdir(parents=True)
        (folder / ".dvc" / "config").write_text(_configuration(cache, remote), encoding="utf-8")
        outs = [{"md5": one, "hash": "md5", "path": f"a{place}"} for place, one in enumerate(digests)]
        (folder / "artifacts.dvc").write_text(json.dumps({"outs": outs}), encoding="ascii")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _configuration(cache: Path, remote: Remote) -> str:
    url = remote.url if "://" in remote.url else str(Path(remote.url).absolute())
    lines = [
        "[core]",
        "no_scm = True",
        "analytics = False",
        "check_update = False",
        "[cache]",
        f"dir = {_quoted(str(cache))}",
        "['remote \"fiat\"']",
        f"url = {_quoted(url)}",
        *(f"{_quoted(name)} = {_quoted(value)}" for name, value in sorted(remote.options.items())),
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    if any(mark in text for mark in '"\n\r\0'):
        raise EnvironmentFault(
            f"a remote's setting can't hold {text!r}", hint="write it without quotes and line ends"
        )
    return f'"{text}"'


def _reason(output: bytes) -> str:
    """What DVC gives as the error; what it says last when it gives none, but for its good wishes."""
    lines = [line.strip() for line in output.decode("utf-8", "replace").splitlines()]
    said = [line for line in lines if line and not line.startswith(_WISHES)]
    faults = [line.removeprefix(_ERROR).strip() for line in said if line.startswith(_ERROR)]
    return (faults or said or [""])[-1]
