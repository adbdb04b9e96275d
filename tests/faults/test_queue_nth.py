"""The N-th word to the database fails, or its answer gets lost: no wrong state at any N, and all comes to its end."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from queue_story import Disturbed, Story, refused, unheard

from fiat.store.database import Backend
from fiat.store.postgres import PostgresServer
from fiat.store.schema import SCHEMA
from fiat.store.sqlite_file import SqliteFile
from tests.store.conftest import PostgresCluster, postgres

__all__ = ["postgres"]  # the fixture

SEED = int(os.environ.get("FIAT_TEST_SEED", "20261121"))
LIVES_SQLITE, LIVES_POSTGRES = 150, 15
# Hundreds of lives are lived here; what the disk does is tried elsewhere.
MEMORY = Path("/dev/shm")
Connect = Callable[[], Backend]
Disturb = Callable[[Callable[[], object], str], object]


class Lives:
    """Stories whose N-th word to the database goes wrong, each in a store of its own."""

    def __init__(self, folder: Path, connect: Callable[[Path], AbstractContextManager[Connect]]) -> None:
        self._folder = folder
        self._connect = connect
        self._count = 0

    def live(self, at: int, disturb: Disturb) -> tuple[Story, int]:
        """Live one; gives it and how many words were said."""
        self._count += 1
        root = self._folder / f"{self._count}"
        root.mkdir()
        backends: list[Disturbed] = []
        with self._connect(root) as connect:

            def connect_once() -> Backend:
                backends.append(Disturbed(connect(), at, disturb))
                return backends[-1]

            story = Story(connect_once, root)
            try:
                story.live()
                words = backends[0].calls
                backends[0].calm()
                story.verify()
            finally:
                story.close()
        return story, words

    def live_many(self, disturb: Disturb, lives: int) -> tuple[int, int]:
        """Let the word go wrong at so many places or more, spread over the story.

        Returns:
            (how many lives, how many faults they had).
        """
        words = self.live(-1, disturb)[1]
        assert words > 150
        every = max(words // lives, 1)
        print(f"{words} words; FIAT_TEST_SEED={SEED} chooses the places")
        faults = [self.live(at, disturb)[0].faults for at in range(SEED % every, words, every)]
        return len(faults), sum(faults)


@pytest.fixture
def memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


def test_the_story_ends_well_when_nothing_goes_wrong(tmp_path: Path) -> None:
    story, _ = Lives(tmp_path, lambda root: nullcontext(lambda: SqliteFile(root / "store.db", SCHEMA))).live(
        -1, refused
    )
    assert story.faults == 0
    assert set(story.committed.values()) == {1}
    assert len(story.claims) == 4


@pytest.mark.slow
@pytest.mark.parametrize("disturb", [refused, unheard])
def test_a_word_to_sqlite_that_fails_or_whose_answer_is_lost_does_no_harm(
    memory: Path, disturb: Disturb
) -> None:
    lives = Lives(memory, lambda root: nullcontext(lambda: SqliteFile(root / "store.db", SCHEMA)))
    lived, faults = lives.live_many(disturb, LIVES_SQLITE)
    assert lived == faults >= LIVES_SQLITE


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["refused", "unheard", "backend killed before", "backend killed after"])
def test_a_word_to_postgresql_that_fails_or_whose_answer_is_lost_does_no_harm(
    tmp_path: Path,
    postgres: PostgresCluster,
    kind: str,
) -> None:
    servers: list[PostgresServer] = []
    urls: list[str] = []

    @contextmanager
    def connect(root: Path) -> Iterator[Connect]:
        with postgres.database() as url:

            def once() -> Backend:
                servers.append(PostgresServer(url, SCHEMA))
                return servers[-1]

            urls.append(url)
            yield once

    def kill() -> None:
        pid = servers[-1]._connection.info.backend_pid
        with psycopg.connect(urls[-1], autocommit=True) as other:
            assert other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,)).fetchall() == [(True,)]

    def killed_before(call: Callable[[], object], name: str) -> object:
        kill()
        return call()

    def killed_after(call: Callable[[], object], name: str) -> object:
        answer = call()
        kill()
        return answer

    disturbs: dict[str, Disturb] = {
        "refused": refused,
        "unheard": unheard,
        "backend killed before": killed_before,
        "backend killed after": killed_after,
    }
    lived, faults = Lives(tmp_path, connect).live_many(disturbs[kind], LIVES_POSTGRES)
    # With a new connection a query and the first word of a transaction are said again without anybody noticing.
    assert lived >= LIVES_POSTGRES
    assert faults == lived if "killed" not in kind else 0 < faults < lived
