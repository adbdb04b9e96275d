"""A repository whose server does not answer holds the reconciler up for some minutes at most."""

import socket
import sys
import time
from pathlib import Path

import pytest

from fiat.errors import Waiting
from fiat.git.remote import Remote
from fiat.wiring.short_mirror import FIRST_TIMEOUT_S, ShortMirror

sys.path.insert(0, str(Path(__file__).parents[1] / "git"))
from git_repository import Repository


class Hasty(ShortMirror):
    """For a test that does not last minutes."""

    _limit_s = 1.0


def test_a_fetch_that_stands_still_is_ended_and_given_longer_the_next_time(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "work")
    repository.commit({"a": "a"})
    here = Remote(f"file://{repository.folder}", protocols=frozenset({"file"}))
    Hasty(tmp_path / "mirror", here).fetch()
    with socket.create_server(("127.0.0.1", 0)) as server:
        remote = Remote(f"http://127.0.0.1:{server.getsockname()[1]}/x.git", protocols=frozenset({"http"}))
        mirror = Hasty(tmp_path / "mirror", remote)
        began_s = time.monotonic()
        for limit_s in (2.0, 4.0):
            with pytest.raises(Waiting):
                mirror.fetch(["refs/heads/main"])
            assert mirror._limit_s == limit_s
        assert time.monotonic() - began_s < 10
    assert FIRST_TIMEOUT_S <= 300
