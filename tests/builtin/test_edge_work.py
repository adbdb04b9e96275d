"""The process that converts models: what it may see, and that it ends with whoever asked."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fiat.builtin.edge_work import work_in_child
from fiat.errors import EnvironmentFault

_PATIENCE_S = 30.0
_ASK = """
import sys
from pathlib import Path
from fiat.builtin.edge_work import work_in_child
work_in_child({"package": sys.argv[2]}, Path(sys.argv[1]))
"""


def children_of(scratch: Path) -> list[int]:
    """Living processes that have the request of this folder in their command line."""
    found = []
    for name in os.listdir("/proc"):
        try:
            line = Path(f"/proc/{name}/cmdline").read_bytes()
            state = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if b"fiat.builtin.edge_child" in line and str(scratch).encode() in line and state not in "ZX":
            found.append(int(name))
    return found


def wait_for(scratch: Path, *, some: bool) -> list[int]:
    deadline = time.monotonic() + _PATIENCE_S
    while bool(found := children_of(scratch)) != some and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def test_it_ends_with_the_process_that_asked(tmp_path: Path) -> None:
    """It reads the package from a pipe that nobody writes to, so it would wait for ever."""
    (tmp_path / "package").mkdir()
    os.mkfifo(tmp_path / "package" / "signature.json")
    asker = subprocess.Popen([sys.executable, "-c", _ASK, str(tmp_path), str(tmp_path / "package")])
    try:
        assert wait_for(tmp_path, some=True)
    finally:
        asker.kill()
        asker.wait()
    assert wait_for(tmp_path, some=False) == []


def test_a_request_that_breaks_it_is_no_fault_of_the_spec(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="broke: KeyError: 'package'"):
        work_in_child({}, tmp_path)
