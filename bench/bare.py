"""SQLite alone: what Fiat's store is measured against."""

import sqlite3
from pathlib import Path


def as_safe(path: Path) -> sqlite3.Connection:
    """Open a file, and write it as durably as the store does with this version of SQLite."""
    wal = sqlite3.sqlite_version_info >= (3, 51, 3)
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(f"PRAGMA journal_mode={'WAL' if wal else 'TRUNCATE'}")
    database.execute(f"PRAGMA synchronous={'FULL' if wal else 'EXTRA'}")
    return database
