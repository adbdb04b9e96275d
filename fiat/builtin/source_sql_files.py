"""Run a query of DuckDB over files in a process of its own, see `source_sql_child.py`.

DuckDB finds relative paths from the process's working folder, which no other thread may change: the child has the
checkout as that folder, and an empty environment.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from fiat.builtin.source_rows import WrittenRows
from fiat.errors import EnvironmentFault, SpecError

_KEY = "source.sql"
_TIMEOUT_S = 6 * 3600
_PROGRAM = (
    "import sys; sys.path[:] = {path}; from fiat.builtin import source_sql_child; source_sql_child.main()"
)


@dataclass(frozen=True)
class FileQuery:
    """What the child is told.

    Attributes:
        sql: the query.
        folders: absolute folders that it may read.
        spill: folder for what does not fit into memory; made by the child, removed by the parent.
        path: the file for the rows.
        max_bytes: most bytes of the rows, and of what is spilled.
    """

    sql: str
    folders: tuple[str, ...]
    spill: str
    path: str
    max_bytes: int


def run_file_query(query: FileQuery, root: Path) -> WrittenRows:
    """Run it in a child process to its end.

    Args:
        query: what to run.
        root: the checkout, which relative paths start from.

    Raises:
        SpecError: no query, more than one, a fault in it, a file that is not there or not granted, too many bytes.
        EnvironmentFault: memory or disk is full, or the child was killed.
    """
    # A relative entry would be looked for in the checkout: a stranger's modules.
    path = [entry for entry in sys.path if Path(entry).is_absolute()]
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _PROGRAM.format(path=json.dumps(path))],
            cwd=root,
            env={"HOME": query.spill, "LANG": "C.UTF-8", "TZ": "UTC"},
            input=json.dumps(asdict(query)).encode(),
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        return _answered(done)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentFault(f"{_KEY}: the query could not be run: {error}") from error
    finally:
        # A child that was killed leaves them.
        shutil.rmtree(query.spill, ignore_errors=True)
        for part in Path(query.path).parent.glob(f"{Path(query.path).name}.*"):
            part.unlink()


def _answered(done: "subprocess.CompletedProcess[bytes]") -> WrittenRows:
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"])[-1]
        raise EnvironmentFault(
            f"{_KEY}: the query's process ended with {done.returncode}: {last[:500]}",
            hint="was it killed for its memory?",
        ) from None
    if answer["error"]:
        kind = SpecError if answer["error"] == "SpecError" else EnvironmentFault
        raise kind(answer["message"], hint=answer["hint"])
    return WrittenRows(answer["n_rows"], answer["digest"])
