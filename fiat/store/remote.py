"""Sending artifacts to a DVC remote and fetching them, by the `dvc` command in a private repository of our own.

Every kind of URL that DVC knows works: a folder, `s3://`, `gs://`, `azure://`, `ssh://` and so on. DVC is given a
configuration that only the operator wrote, a private site cache (the one that is shared by all users of a machine
holds pickles), and nothing of the checkout: there are no stages in its repository whose commands it could run.
"""

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fiat.errors import EnvironmentFault
from fiat.store.artifacts import Artifacts
from fiat.store.faults import disk_faults
from fiat.store.trees import is_digest
from fiat.store.work import remove_tree


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


class RemoteCache:
    """Carries artifacts between a cache and a remote.

    Args:
        root: the `.fiat` folder.
        artifacts: its cache.
        remote: the other end.
        python: the interpreter that has DVC.
        env: environment for DVC: `PATH`, `HOME`, and the remote's credentials.
    """

    def __init__(
        self, root: Path, artifacts: Artifacts, remote: Remote, *, python: str, env: Mapping[str, str]
    ) -> None:
        self._root = root.absolute()
        self._artifacts = artifacts
        self._remote = remote
        self._python = python
        self._env = env

    def push(self, digests: Iterable[str]) -> None:
        """Send artifacts that the remote does not have yet.

        Raises:
            EnvironmentFault: one of them is gone here, or DVC or the remote refused.
        """
        wanted = sorted(set(digests))
        lost = [digest for digest in wanted if not self._artifacts.check(digest)]
        if lost:
            raise EnvironmentFault(
                f"artifact {lost[0][:12]} is gone from the cache or damaged", hint="run its spec again"
            )
        self._transfer("push", wanted)

    def pull(self, digests: Iterable[str]) -> None:
        """Fetch artifacts that are not here yet; afterwards each is here and whole.

        Raises:
            EnvironmentFault: the remote does not have one of them, or DVC or the remote refused.
        """
        wanted = [digest for digest in sorted(set(digests)) if not self._artifacts.check(digest)]
        self._transfer("fetch", wanted)
        for digest in wanted:
            if not self._artifacts.check(digest):
                raise EnvironmentFault(
                    f"the remote {self._remote.url} does not have artifact {digest[:12]}",
                    hint="push it from where it was made, or run its spec again",
                )

    def _transfer(self, verb: str, digests: list[str]) -> None:
        if not digests:
            return
        with _repository(self._root, self._remote, digests) as folder:
            private = {
                "DVC_NO_ANALYTICS": "1",
                "DVC_SITE_CACHE_DIR": str(folder / "site"),
                "DVC_GLOBAL_CONFIG_DIR": str(folder / "none"),
                "DVC_SYSTEM_CONFIG_DIR": str(folder / "none"),
            }
            command = [self._python, "-m", "dvc", verb, "--quiet", "--remote", "fiat", "artifacts.dvc"]
            try:
                done = subprocess.run(
                    command,
                    cwd=folder,
                    env={**self._env, **private},
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=self._remote.timeout_s,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise self._fault(verb, f"it took longer than {self._remote.timeout_s:g} s") from None
            except OSError as error:
                raise self._fault(verb, str(error)) from error
            if done.returncode:
                raise self._fault(verb, _last_line(done.stderr) or f"exit code {done.returncode}")

    def _fault(self, verb: str, reason: str) -> EnvironmentFault:
        return EnvironmentFault(
            f"dvc {verb} with {self._remote.url} failed: {reason}",
            hint="check the remote's URL, its options, and that DVC has its plugin (such as dvc-s3)",
        )


@contextmanager
def _repository(root: Path, remote: Remote, digests: list[str]) -> Iterator[Path]:
    """A DVC repository that tracks just these artifacts, whose cache is ours; removed at the end."""
    folder = root / "tmp" / f"{os.getpid()}-dvc-{os.urandom(4).hex()}"
    try:
        with disk_faults(folder):
            (folder / ".dvc").mkdir(parents=True)
            (folder / ".dvc" / "config").write_text(_configuration(root, remote), encoding="utf-8")
            outs = [
                {"md5": _checked(one), "hash": "md5", "path": f"a{place}"}
                for place, one in enumerate(digests)
            ]
            (folder / "artifacts.dvc").write_text(json.dumps({"outs": outs}), encoding="ascii")
        yield folder
    finally:
        remove_tree(folder)


def _configuration(root: Path, remote: Remote) -> str:
    url = remote.url if "://" in remote.url else str(Path(remote.url).absolute())
    lines = [
        "[core]",
        "no_scm = True",
        "analytics = False",
        "check_update = False",
        "[cache]",
        f"dir = {_quoted(str(root / 'cache'))}",
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


def _checked(digest: str) -> str:
    if not is_digest(digest):
        raise EnvironmentFault(f"{digest!r} is no digest of an artifact", hint="the store was edited by hand")
    return digest


def _last_line(output: bytes) -> str:
    lines = [line for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
