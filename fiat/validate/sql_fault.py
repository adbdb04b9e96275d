"""What DuckDB says of a faulty query, as one sentence with the place and the next step."""

import re

import duckdb

from fiat.data.split import SPLITS


class Refused(Exception):
    """The query is at fault: what is wrong, and what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def said(error: duckdb.Error, place: str) -> Refused:
    """DuckDB's words on one line with the place in the query, and the nearest spelling as the next step."""
    message = str(error).splitlines()[0]
    near = re.search(r"^(?:Did you mean|Candidate bindings:) (.*?)\??$", str(error), re.MULTILINE)
    if isinstance(error, duckdb.PermissionException):
        return Refused(message[:500], f"a check sees the tables {', '.join(SPLITS)} and nothing else")
    hint = f"tables are {', '.join(SPLITS)}"
    if near and not near[1].startswith('"pg_'):
        hint = f"did you mean {near[1]}?"
    return Refused(f"{message[:500]}{place}", hint)


def while_reading(error: Exception) -> Exception:
    """What DuckDB says while rows are taken from it, which Arrow passes on as text alone."""
    message = (str(error).splitlines() or [type(error).__name__])[0]
    if "INTERRUPT Error" in message:
        return duckdb.InterruptException(message)
    if "Out of Memory" in message:
        return duckdb.OutOfMemoryException(message)
    return Refused(message[:500], "try the query in DuckDB; does it help to cast a column to text?")


def explained(database: duckdb.DuckDBPyConnection, query: str) -> str:
    """The place of a fault, which DuckDB tells only of statements that it runs directly."""
    try:
        database.execute(f"explain\n{query}")
    except duckdb.Error as error:
        return place_of(str(error), query, 1)
    return ""


def place_of(message: str, query: str, lines_before: int) -> str:
    """Line and column, from 1: DuckDB shows a piece of the line and below it a caret."""
    shown = re.search(r"^LINE (\d+): (.*)\n( *)\^", message, re.MULTILINE)
    if shown is None:
        return ""
    number = int(shown[1]) - lines_before
    column = len(shown[3]) - len(f"LINE {shown[1]}: ") + 1
    if shown[2].startswith("..."):
        line = (query.splitlines() or [""])[min(number, query.count("\n") + 1) - 1]
        column += line.find(shown[2][3:].removesuffix("...")) - 3
    return f" at line {number}, column {column} of the query"
