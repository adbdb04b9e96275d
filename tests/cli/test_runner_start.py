"""`fiat runner` before it serves: what it says of settings that are open, wrong, or in use already."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any


def runner(folder: Path, *options: str, code: int, **listen: Any) -> "subprocess.CompletedProcess[str]":
    settings = {
        "fiat_runner": 1,
        "listen": listen,
        "store": str(folder / "state"),
        "workers": 1,
        "repositories": [
            {"name": "acme/models", "forge": "github", "url": "https://git.invalid/a.git", "webhooks": False}
        ],
    }
    path = folder / "runner.yaml"
    path.write_text(json.dumps(settings))
    done = subprocess.run(
        [sys.executable, "-m", "fiat", "runner", "--config", str(path), *options],
        env={**os.environ, "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


def test_settings_that_are_only_read_are_counted(tmp_path: Path) -> None:
    done = runner(tmp_path, "--check", code=0)
    assert done.stdout.endswith(": 1 repository, 1 worker\n")
    assert done.stderr == ""


def test_a_port_that_is_taken_asks_for_another_runner_and_what_is_open_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = runner(tmp_path, "--insecure-dev", code=3, host="127.0.0.1", port=port)
        assert "does a runner run already?" in done.stderr
        assert done.stderr.count("warning: --insecure-dev") == 1
        assert "listen.host" not in done.stderr
        done = runner(tmp_path, code=3, host="0.0.0.0", port=port)
        assert done.stderr.count("warning: listen.host is 0.0.0.0") == 1


def test_a_host_that_is_not_ours_names_its_setting(tmp_path: Path) -> None:
    done = runner(tmp_path, code=3, host="192.0.2.1", port=0)
    assert "set listen.host" in done.stderr
