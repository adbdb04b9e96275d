"""Source `sql`: the rows of a query, over files of the checkout or of a database."""

import hashlib

from fiat.builtin.source_sql_database import Database, open_database
from fiat.builtin.source_sql_files import FileQuery, run_file_query
from fiat.builtin.source_sql_text import checked_query
from fiat.errors import SpecError
from fiat.ports.source import Fetched, SourceRequest

_ROWS = "rows.arrow"


class SqlSource:
    """`sql`: one query; its rows become one Arrow file.

    Without `connection` DuckDB reads files: paths are relative to the checkout, and what `path` may read it may read. With
    `connection`, the name of a secret that holds a SQLAlchemy URL, the database is asked in a transaction that only reads
    where it knows such.
    """

    name = "sql"
    version = "1"

    def fetch(self, request: SourceRequest) -> Fetched:
        """Run the query and write its rows.

        Raises:
            SpecError: no query or more than one, a fault in it, no rows, two columns of one name, what Arrow has no type
                for, more bytes than allowed, a file or database that is not granted.
            EnvironmentFault: a missing secret or driver, a database that can't be reached, memory or disk.
        """
        sql = checked_query(request.settings.get("sql"))
        path = request.folder / _ROWS
        database = _database(request)
        if database is not None:
            written = database.write(sql, path, request.max_bytes)
        else:
            written = run_file_query(_file_query(request, sql), request.root)
        return Fetched((path,), written.digest)

    def probe(self, request: SourceRequest) -> str:
        """How many rows a database gives now, and a digest of the first of them; empty for files of the checkout.

        The database counts, so that only a few rows travel: a row that is changed in its middle is not seen.
        """
        sql = checked_query(request.settings.get("sql"))
        database = _database(request)
        if database is None:
            return ""
        return hashlib.sha256(database.look(sql).encode()).hexdigest()


def _database(request: SourceRequest) -> Database | None:
    name = request.settings.get("connection")
    if not name:
        return None
    if not isinstance(name, str):
        raise SpecError("source.connection: expected the name of a secret")
    return open_database(name, request)


def _file_query(request: SourceRequest, sql: str) -> FileQuery:
    policy = request.confinement
    folders = (str(request.root.resolve()), *policy.data_folders) if policy.confined else ("/",)
    spill = request.folder / ".spill"
    return FileQuery(sql, folders, str(spill), str(request.folder / _ROWS), request.max_bytes)
