import errno
import sqlite3
from pathlib import Path

import pytest

from fiat.errors import EnvironmentFault
from fiat.store.faults import disk_faults, fault_of_sqlite


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full: /x"),
        (errno.EDQUOT, "the disk is full: /x"),
        (errno.EROFS, "the disk is read-only: /x"),
        (errno.EACCES, "no permission: /x"),
        (errno.EIO, "/x: Input/output error"),
    ],
)
def test_what_the_disk_says_becomes_a_sentence_with_a_next_step(number: int, words: str) -> None:
    with pytest.raises(EnvironmentFault, match=words) as fault, disk_faults(Path("/x")):
        raise OSError(number, {errno.EIO: "Input/output error"}.get(number, "as the system says it"))
    assert fault.value.hint
    assert fault.value.exit_code == 3


def test_the_path_that_failed_is_named_when_the_system_knows_it(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="nothing/here"), disk_faults(tmp_path):
        (tmp_path / "nothing" / "here").write_text("x")


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), disk_faults(tmp_path):
        raise ZeroDivisionError


def test_every_error_of_sqlite_becomes_a_sentence() -> None:
    connection = sqlite3.connect(":memory:")
    with pytest.raises(sqlite3.Error) as raised:
        connection.execute("SELECT nonsense")
    connection.close()
    fault = fault_of_sqlite(raised.value, Path("store.db"))
    assert "store.db" in fault.message
    assert "nonsense" in fault.message
    assert fault.hint
