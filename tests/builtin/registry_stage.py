"""A registry of Debian's on a free port of this machine, and the programs that read images."""

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest

USER, PASSWORD = "ali", "sesame"
_HTPASSWD = "ali:$2b$04$0dXC7O4GENhi/4V9h7RFm.J9g7oJhBOYx0PF8jcjET67qYJiU34bW\n"
_PATIENCE_S = 20.0
_CONFIG = """version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
_LOGIN = "auth: {{htpasswd: {{realm: tests, path: {path}}}}}\n"


def program(name: str) -> str:
    """Path of a program; without it the test is skipped at a desk and fails in CI."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed: tests/setup_debian.sh")
        pytest.skip(f"{name} is not installed: tests/setup_debian.sh")
    return found


def call(name: str, *arguments: str | Path, env: dict[str, str] | None = None) -> str:
    """What a program says."""
    command = [program(name), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **(env or {})}, timeout=120
    )
    assert done.returncode == 0, f"{name}: {done.stderr}"
    return done.stdout


@contextmanager
def registry(folder: Path, *, login: bool = False) -> Iterator[str]:
    """A registry; gives its `127.0.0.1:PORT`."""
    executable = program("docker-registry")
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    text = _CONFIG.format(folder=folder / "data", port=port)
    if login:
        (folder / "htpasswd").write_text(_HTPASSWD)
        text += _LOGIN.format(path=folder / "htpasswd")
    (folder / "config.yml").write_text(text)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [executable, "serve", str(folder / "config.yml")],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
    try:
        _wait(f"http://127.0.0.1:{port}/v2/", process, folder / "log")
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except HTTPError:
            return
        except (URLError, OSError):
            time.sleep(0.05)
    raise AssertionError(log.read_text())


def need_root() -> None:
    """Mounting containers needs root or a user namespace; without it the test is skipped."""
    if os.geteuid() != 0:
        pytest.skip("buildah mounts as root only")


class Buildah:
    """Buildah with storage of its own.

    Args:
        folder: for it, new.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        (folder / "registries.conf").write_text("unqualified-search-registries = []\n")

    def __call__(self, verb: str, *arguments: str | Path) -> str:
        """What a command says."""
        policy = (
            ["--signature-policy", self._folder / "policy.json"]
            if verb in ("from", "build", "commit")
            else []
        )
        place = [
            "--root",
            self._folder / "root",
            "--runroot",
            self._folder / "run",
            "--storage-driver",
            "vfs",
        ]
        return call(
            "buildah",
            *place,
            verb,
            *policy,
            *arguments,
            env={"CONTAINERS_REGISTRIES_CONF": str(self._folder / "registries.conf")},
        )

    def base(self, files: dict[str, bytes]) -> str:
        """An image with these executables; gives its name."""
        name = self("from", "scratch").strip()
        root = Path(self("mount", name).strip())
        for path, content in files.items():
            (root / path).parent.mkdir(exist_ok=True)
            (root / path).write_bytes(content)
            (root / path).chmod(0o755)
        self("commit", name, "localhost/stand-in")
        return "localhost/stand-in"

    def end(self) -> None:
        """Let go of everything."""
        self("rm", "--all")
