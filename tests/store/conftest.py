"""A store on SQLite and the same on a real PostgreSQL server that the tests start and stop."""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from fiat.store.store import Store, open_store

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass(frozen=True)
class PostgresCluster:
    """A server of our own on a socket in a temporary folder; nothing listens on the network."""

    folder: Path
    programs: Path
    user: tuple[str, ...]
    _free: list[str] = field(default_factory=list)

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        if self.user:
            owner = pwd.getpwnam("postgres")
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        self._call(
            "initdb",
            "--pgdata",
            str(self.data),
            "--encoding=UTF8",
            "--locale=C",
            "--auth=trust",
            "-U",
            "fiat",
        )
        options = f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c fsync=off"
        self._call(
            "pg_ctl", "start", "-w", "-D", str(self.data), "-l", str(self.folder / "log"), "-o", options
        )

    def stop(self) -> None:
        self._call("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self.data))

    def restart(self) -> None:
        self._call(
            "pg_ctl", "restart", "-w", "-m", "fast", "-D", str(self.data), "-l", str(self.folder / "log")
        )

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def new_database(self, encoding: str = "UTF8") -> str:
        """URL of an empty database."""
        name = f"d{secrets.token_hex(6)}"
        sql = f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 STRATEGY file_copy"
        self._call("psql", "-h", str(self.folder), "-U", "fiat", "-d", "postgres", "-q", "-c", sql)
        return f"postgresql:///{name}?host={self.folder}&user=fiat"

    @contextmanager
    def database(self) -> Iterator[str]:
        """URL of an empty database that is lent: making one for each test costs seconds and gigabytes."""
        url = self._free.pop() if self._free else self.new_database()
        yield url
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS fiat CASCADE")
        self._free.append(url)

    def _call(self, program: str, *arguments: str) -> None:
        command = [*self.user, str(self.programs / program), *arguments]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresCluster]:
    """The server, started once for all tests; without PostgreSQL a reason to skip on a desk and to fail in CI."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    programs = found[-1].parent if found else Path(on_path).parent if on_path else None
    if programs is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed; CI must test the store on it")
        pytest.skip("PostgreSQL is not installed")
    # Not below pytest's own folder: the server's user can't enter that.
    folder = Path(tempfile.mkdtemp(prefix="fiat-pg-"))
    user = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
    cluster = PostgresCluster(folder, programs, user)
    try:
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def a_database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """A database on the server for the parameter `postgres`, None for `sqlite`."""
    if request.param == "sqlite":
        yield None
        return
    cluster: PostgresCluster = request.getfixturevalue("postgres")
    with cluster.database() as url:
        yield url


class Clock:
    """A clock that each reading moves on by a second."""

    def __init__(self) -> None:
        self.moment = START

    def __call__(self) -> datetime:
        self.moment += timedelta(seconds=1)
        return self.moment


OpenStore = Callable[[], Store]


@pytest.fixture(params=["sqlite", "postgres"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Opens the one store of the test again and again, each time as another process would."""
    opened: list[Store] = []
    clock = Clock()
    (tmp_path / "repo").mkdir()
    with a_database(request) as url:

        def open_it() -> Store:
            opened.append(open_store(tmp_path / "repo" / ".fiat", url=url, now=clock))
            return opened[-1]

        yield open_it
        for store in opened:
            store.close()


@pytest.fixture
def store(reopen: OpenStore) -> Store:
    """The store, open; on SQLite and on PostgreSQL."""
    return reopen()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Store]:
    """A store on SQLite with the real clock, for what does not depend on the database."""
    (tmp_path / "repo").mkdir()
    with open_store(tmp_path / "repo" / ".fiat", now=lambda: datetime.now(UTC)) as opened:
        yield opened
