"""Run a query of the spec over a dataset's splits, in a process of its own that reaches nothing else.

DuckDB sees the Arrow files as tables `train`, `eval` and `test`, mapped from disk. The query comes from a spec, which is not
trusted: its process has no environment, files, network or extensions, and is ended at a limit of time and of memory that
also holds where DuckDB's own do not (a single text of gigabytes).
"""

import json
import resource
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fiat.errors import EnvironmentFault, SpecError
from fiat.validate.model import Anomaly, Example, SqlRule

_PROGRAM = "import sys; sys.path[:] = {path}; from fiat.validate import sql_child; sql_child.main()"
_GRACE_S = 5.0
_SLACK_BYTES = 1024**3
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True)
class SqlLimits:
    """What a query may use.

    Attributes:
        timeout_s: wall clock.
        memory_bytes: of DuckDB; its process gets as much again and 1 GiB.
        threads: of DuckDB.
    """

    timeout_s: float = 600.0
    memory_bytes: int = 1024**3
    threads: int = 2


DEFAULT_LIMITS = SqlLimits()


def run_sql_rule(folder: Path, rule: SqlRule, limits: SqlLimits = DEFAULT_LIMITS) -> tuple[Anomaly, ...]:
    """The anomaly that a query finds, if it finds one: kind `sql`.

    A query that always gives one row with one number (`select count(*) from train where age < 0`) is a count, and
    an anomaly when it is above 0. The rows of any other query are anomalies. Tables have a column `_row` (1-based) that `*`
    leaves out; rows of `select * from train where ...` know their numbers without it.

    Args:
        folder: of the dataset format.
        rule: the query.
        limits: what it may use.

    Raises:
        SpecError: no query or more than one, a fault in it with its place, something that it may not do, a limit that it
            went over.
        EnvironmentFault: the dataset can't be read, the process was killed from outside.
    """
    found = _ask(folder, rule, limits)
    if found["count"] is not None:
        return _count_anomaly(rule, found["count"])
    if not found["n_rows"]:
        return ()
    examples = tuple(Example(row["split"], row["row"], row["value"]) for row in found["rows"])
    n_rows = found["n_rows"]
    splits = {example.split for example in examples}
    return (
        Anomaly(
            "sql",
            "",
            f"{n_rows:,} {'row' if n_rows == 1 else 'rows'} found by the query {_shown(rule.query)!r}, expected none",
            n_rows=n_rows,
            examples=examples,
            severity=rule.severity,
            split=splits.pop() if len(splits) == 1 else "",
            key=f"{rule.key}.sql",
            value=float(n_rows),
            limit=0.0,
        ),
    )


def _count_anomaly(rule: SqlRule, count: float) -> tuple[Anomaly, ...]:
    if not count > 0:
        return ()
    told = f"{count:,.0f}" if float(count).is_integer() else f"{count:,.6g}"
    return (
        Anomaly(
            "sql",
            "",
            f"the query {_shown(rule.query)!r} gives {told}, expected 0",
            n_rows=int(count),
            severity=rule.severity,
            key=f"{rule.key}.sql",
            value=float(count),
            limit=0.0,
        ),
    )


def _ask(folder: Path, rule: SqlRule, limits: SqlLimits) -> dict[str, Any]:
    told = {"folder": str(folder.absolute()), "query": rule.query, **asdict(limits)}
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _PROGRAM.format(path=json.dumps(sys.path))],
            cwd="/",
            env={"LANG": "C.UTF-8", "TZ": "UTC"},
            input=json.dumps(told).encode(),
            capture_output=True,
            # DuckDB is asked to stop at the limit; a process that does not obey is ended.
            timeout=limits.timeout_s + _GRACE_S,
            check=False,
            preexec_fn=partial(_limit, 2 * limits.memory_bytes + _SLACK_BYTES),
        )
    except subprocess.TimeoutExpired as error:
        raise over_time(rule, limits) from error
    except OSError as error:
        raise EnvironmentFault(f"the query could not be run: {error}") from error
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise _ended(rule, limits, done.returncode) from None
    if answer.get("error"):
        raise _refused(rule, limits, answer)
    return answer


def _limit(data_bytes: int) -> None:
    """In the new process: private memory only, so that files mapped from disk don't count."""
    resource.setrlimit(resource.RLIMIT_DATA, (data_bytes, data_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _refused(rule: SqlRule, limits: SqlLimits, answer: Mapping[str, Any]) -> Exception:
    if answer["error"] == "time":
        return over_time(rule, limits)
    if answer["error"] == "memory":
        return _over_memory(rule, limits)
    if answer["error"] == "environment":
        return EnvironmentFault(answer["message"])
    return SpecError(f"{_key(rule)}{answer['message']}", hint=answer["hint"])


def over_time(rule: SqlRule, limits: SqlLimits) -> SpecError:
    """The query ran too long."""
    message = f"{_key(rule)}the query was stopped after {limits.timeout_s:g} s"
    return SpecError(message, hint="let it look at fewer rows; does it join rows without a condition?")


def _over_memory(rule: SqlRule, limits: SqlLimits) -> SpecError:
    message = f"{_key(rule)}the query needs more than {limits.memory_bytes / 2**20:,.0f} MiB of memory"
    return SpecError(message, hint="let it look at fewer columns or rows at once")


def _ended(rule: SqlRule, limits: SqlLimits, code: int) -> Exception:
    if code in (-6, -11, 134, 139):  # aborted by its limit of memory: C++ has no other way at some places
        return _over_memory(rule, limits)
    return EnvironmentFault(f"{_key(rule)}the query's process ended with {code}", hint="was it killed?")


def _key(rule: SqlRule) -> str:
    return f"{rule.key}.sql: " if rule.key else ""


def _shown(query: str) -> str:
    text = " ".join(query.split())
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
