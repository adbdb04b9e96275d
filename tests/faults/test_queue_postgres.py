"""What a server, a network and other processes do to the queue on PostgreSQL."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "store"))
from queue_kit import Words, check, put, queued, taking, texts, utc_now

from fiat.errors import EnvironmentFault
from fiat.store.database import Database
from fiat.store.postgres import PostgresServer
from fiat.store.schema import SCHEMA
from fiat.store.store import Store, open_store
from tests.store.conftest import PostgresCluster, postgres

__all__ = ["postgres"]  # the fixture

HOLDER = """
import sys
from fiat.store.database import Database
from fiat.store.postgres import PostgresServer
from fiat.store.schema import SCHEMA
database = Database(PostgresServer(sys.argv[1], SCHEMA, busy_timeout_s=1.0))
with database.write() as transaction:
    transaction.execute("INSERT INTO marks VALUES ('held', 'x')")
    print("held", flush=True)
    sys.stdin.readline()
    transaction.execute(sys.argv[2])
"""


@contextmanager
def holder(url: str, last_word: str) -> Iterator["subprocess.Popen[str]"]:
    """Another process in the middle of a transaction."""
    command = [sys.executable, "-c", HOLDER, url, last_word]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def received(end: socket.socket) -> bytes:
    """What comes next; nothing once either side is closed."""
    try:
        return end.recv(1 << 16)
    except OSError:
        return b""


class Wire:
    """Stands between a process and the server, and may lose the answer to a word.

    Args:
        server: path of the server's socket.
        folder: for our own socket.
    """

    def __init__(self, server: Path, folder: Path) -> None:
        self.lose = b""
        self.lost = 0
        self._server = server
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / server.name))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        """One word and its answer at a time, as the client speaks."""
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(self._server))
        asked = threading.Event()

        def answers() -> None:
            while data := received(server):
                if asked.is_set():
                    self.lost += 1
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(data)

        threading.Thread(target=answers, daemon=True).start()
        with client, server:
            while data := client.recv(1 << 16):
                if self.lose and self.lose in data:
                    asked.set()
                    self.lose = b""
                server.sendall(data)
            if asked.is_set():
                time.sleep(0.2)  # the server does what it was asked before it sees that nobody listens


@pytest.fixture
def wire(postgres: PostgresCluster, tmp_path: Path) -> Iterator[tuple[Wire, str]]:
    """The wire, and the URL of a database at its end."""
    url = postgres.new_database()
    folder = tmp_path / "wire"
    folder.mkdir()
    line = Wire(postgres.folder / ".s.PGSQL.5432", folder)
    yield line, url.replace(str(postgres.folder), str(folder))
    line.close()


def test_a_commit_whose_answer_is_lost_was_done_and_may_be_said_again(
    wire: tuple[Wire, str], tmp_path: Path
) -> None:
    line, url = wire
    with open_store(tmp_path / ".fiat", url=url, now=utc_now) as store:

        def twice(work: Callable[[], object]) -> object:
            # Said in words each time, so that the wire can understand it.
            store.database._backend._connection.prepare_threshold = None  # type: ignore[attr-defined]
            line.lose = b"COMMIT\0"
            with pytest.raises(EnvironmentFault, match="does not answer"):
                work()
            return work()

        assert twice(lambda: store.deliveries.take([taking(1)])) == ["again"]
        run = queued(1)
        reports = [check(run, "pending", "queued")]
        assert twice(lambda: store.changes.split(run.change, [run], reports, Words())) == []
        assert len(store.queue.of_change(run.change)) == 1
        assert twice(lambda: store.queue.claim("w")) is None, (
            "somebody has it: it is taken over when it does not beat"
        )
        (lease,) = store.queue.leases()
        assert twice(lambda: store.queue.expire(lease, "it does not beat", 5, Words())) == "gone"
        claimed = store.queue.claim("w")
        assert claimed is not None
        twice(lambda: store.queue.begin_deploy(claimed.id, claimed.fence))
        twice(lambda: store.queue.progressed(claimed.id, claimed.fence))
        words = Words()
        final = [check(run, "success", "good")]
        change = twice(lambda: store.queue.finish(claimed.id, claimed.fence, "pass", "good", final, words))
        assert change == store.changes.find(run.change)
        assert texts(store) == [("success", "good"), ("success", "digits: good")]
        for item in store.outbox.due():
            twice(lambda: store.outbox.sent(item.id, "m"))  # noqa: B023
        assert store.outbox.due() == []
        assert line.lost == 9


def test_a_process_that_is_frozen_in_a_transaction_does_not_hold_up_the_others_for_long(
    postgres: PostgresCluster, tmp_path: Path
) -> None:
    url = postgres.new_database()
    with open_store(tmp_path / ".fiat", url=url, now=utc_now) as store, holder(url, "SELECT 1") as frozen:
        os.kill(frozen.pid, signal.SIGSTOP)
        started = time.monotonic()
        assert store.deliveries.take([taking(1)]) == ["new"]
        assert time.monotonic() - started < 10
        os.kill(frozen.pid, signal.SIGCONT)
        _, said = frozen.communicate("go on\n", timeout=30)
        assert frozen.returncode != 0
        assert "EnvironmentFault" in said
        assert store.marks.get("held") is None


def test_a_transaction_that_takes_long_is_waited_for_and_then_named(
    postgres: PostgresCluster, tmp_path: Path
) -> None:
    url = postgres.new_database()
    with (
        closing(Database(PostgresServer(url, SCHEMA, busy_timeout_s=0.5))) as database,
        holder(url, "SELECT pg_sleep(3)") as busy,
    ):
        assert busy.stdin is not None
        busy.stdin.write("go on\n")
        busy.stdin.flush()
        time.sleep(0.3)
        with (
            pytest.raises(EnvironmentFault, match="another process keeps the store .* locked"),
            database.write() as transaction,
        ):
            transaction.execute("INSERT INTO marks VALUES ('mine', 'x')")
        assert database.read("SELECT COUNT(*) FROM marks") == [(0,)], (
            "reading goes on, and with the same connection"
        )
        busy.wait(timeout=30)
        with database.write() as transaction:
            transaction.execute("INSERT INTO marks VALUES ('mine', 'x')")
        assert database.read("SELECT key FROM marks ORDER BY key") == [("held",), ("mine",)]


def claim_all(stores: list[Store]) -> Counter[str]:
    claimed: list[str] = []
    ready = threading.Barrier(len(stores))

    def work(number: int) -> None:
        ready.wait()
        while run := stores[number].queue.claim(f"host:{number}"):
            claimed.append(run.id)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(claimed)


@pytest.mark.parametrize("level", ["read committed", "repeatable read", "serializable"])
def test_no_run_has_two_owners_whatever_the_server_s_settings_say(
    level: str, postgres: PostgresCluster, tmp_path: Path
) -> None:
    url = postgres.new_database()
    with psycopg.connect(url, autocommit=True) as admin:
        name = admin.info.dbname
        admin.execute(f"ALTER DATABASE {name} SET default_transaction_isolation TO '{level}'")
        admin.execute(f"ALTER DATABASE {name} SET synchronous_commit TO off")
    stores = [open_store(tmp_path / ".fiat", url=url, now=utc_now) for _ in range(4)]
    for number in range(60):
        put(stores[0], number)
    assert claim_all(stores) == Counter({queued(number).id: 1 for number in range(60)})
    assert stores[0].database.read("SHOW synchronous_commit") == [("on",)]
    for store in stores:
        store.close()


def test_a_server_that_is_restarted_under_the_queue_is_found_again(
    postgres: PostgresCluster, tmp_path: Path
) -> None:
    with open_store(tmp_path / ".fiat", url=postgres.new_database(), now=utc_now) as store:
        put(store, 1)
        postgres.restart()
        run = store.queue.claim("w")
        assert run is not None
        postgres.restart()
        assert store.queue.beat(run.id, run.fence) == ""
        postgres.restart()
        assert [lease.run for lease in store.queue.leases()] == [run.id]
        postgres.stop()
        with pytest.raises(EnvironmentFault, match="no connection to the store"):
            store.queue.finish(run.id, run.fence, "pass", "good", [], Words())
        with pytest.raises(EnvironmentFault, match="no connection to the store"):
            store.queue.leases()
        postgres.restart()
        assert store.queue.finish(run.id, run.fence, "pass", "good", [], Words()) is not None


def test_a_network_that_falls_silent_is_given_up(postgres: PostgresCluster) -> None:
    """The kernel asks a silent server for a sign of life; without these options that takes two hours."""
    url = postgres.new_database()
    listener = socket.create_server(("127.0.0.1", 0))
    inner = socket.socket(socket.AF_UNIX)

    def carry(source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(1 << 16):
            target.sendall(data)

    def accept() -> None:
        client = listener.accept()[0]
        inner.connect(str(postgres.folder / ".s.PGSQL.5432"))
        threading.Thread(target=carry, args=(inner, client), daemon=True).start()
        carry(client, inner)

    threading.Thread(target=accept, daemon=True).start()
    port = listener.getsockname()[1]
    name = url.partition("///")[2].partition("?")[0]
    with closing(
        PostgresServer(f"postgresql://fiat@127.0.0.1:{port}/{name}?sslmode=disable", SCHEMA)
    ) as server:
        ours = socket.socket(fileno=os.dup(server._connection.fileno()))
        options = [
            ours.getsockopt(level, option)
            for level, option in (
                (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
                (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
                (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
            )
        ]
        ours.close()
    listener.close()
    assert options == [1, 10, 5, 3, 30_000]
