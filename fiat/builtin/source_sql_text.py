"""What can be told of a query from its text, in any dialect."""

import re

from fiat.errors import SpecError

_LONGEST = 100_000
_TOKEN = re.compile(
    r"""--[^\n]* | /\*.*?\*/           # comments
    | '(?:[^']|'')*' | "(?:[^"]|"")*" | `[^`]*`   # texts and names
    | \$(\w*)\$.*?\$\1\$             # texts of PostgreSQL
    | ;""",
    re.VERBOSE | re.DOTALL,
)


def checked_query(sql: object) -> str:
    """The one statement in a text, without semicolons at its end.

    Whether it is a query is for the engine to say.

    Raises:
        SpecError: no statement, or more than one.
    """
    if not isinstance(sql, str) or not sql.strip():
        raise SpecError("source.sql: expected a query")
    if len(sql) > _LONGEST or "\0" in sql:
        raise SpecError(f"source.sql: a query has at most {_LONGEST:,} characters, none of them NUL")
    ends = [match.start() for match in _TOKEN.finditer(sql) if match[0] == ";"]
    statement = sql[: ends[0]] if ends else sql
    rest = sql[ends[0] :] if ends else ""
    if _bare(rest):
        raise SpecError("source.sql: expected one query, found more behind `;`")
    if not _bare(statement):
        raise SpecError("source.sql: expected a query")
    return statement.rstrip()


def _bare(sql: str) -> str:
    """The text without comments, white space and semicolons."""
    plain = _TOKEN.sub(lambda match: " " if match[0].startswith(("--", "/*")) else match[0], sql)
    return plain.replace(";", "").strip()
