"""KServe's own client against a server process: in an environment of its own, since its pins are older than ours."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fiat.testing.sample_packages import make_package
from tests.serving.client_stage import table_package
from tests.serving.server_stage import RunningServer, started

PEERS = Path(sys.prefix) / "peers"
ASKING = Path(__file__).with_name("kserve_asking.py")


@pytest.fixture(scope="module")
def python() -> Path:
    """An interpreter that has kserve."""
    found = Path(os.environ.get("FIAT_KSERVE_PYTHON") or PEERS / "kserve" / "bin" / "python")
    if not found.is_file():
        words = (
            f"kserve is not there: run tests/setup_peers.sh, or set FIAT_KSERVE_PYTHON (looked at {found})"
        )
        if os.environ.get("CI"):
            pytest.fail(words)
        pytest.skip(words)
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("packages")
    arguments = []
    for name, package in (("tiny", make_package(folder, 2)), ("table", table_package(folder))):
        arguments += ["--model", name, "1", package.digest, str(package.folder)]
    with started(*arguments) as found:
        yield found


@pytest.mark.slow
def test_kserve_s_client_is_answered_in_both_modes(python: Path, server: RunningServer) -> None:
    asked = subprocess.run(
        [python, "-I", ASKING, server.url], capture_output=True, text=True, timeout=120, check=False
    )
    assert asked.returncode == 0, asked.stderr
    found = json.loads(asked.stdout.splitlines()[-1])
    assert found["live"] is found["ready"] is found["model_ready"] is True
    for mode in ("json", "binary"):
        assert found[mode] == {
            "id": "mine",
            "model": "tiny",
            "y": [[2.0, 4.0, 6.0]],
            "label": ["c"],
        }, mode
        assert found[f"{mode}_table"] == {"label": ["old", "young"], "place": [["Köln"] * 2, [""] * 2]}, mode
    assert found["refused"].startswith("the model has no input 'z'; it takes 'x'")
    assert "400" in found["refused"]
