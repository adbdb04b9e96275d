"""The store of a runner, what has come to it and what is still to be told, as `fiat doctor --runner-config` sees it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from fiat.errors import EnvironmentFault
from fiat.run.report import Letter
from fiat.store.store import Store
from fiat.wiring.doctor import Check
from fiat.wiring.runner_parts import Parts

LOW_DISK_BYTES = 10 << 30
MOST_LETTERS = 3
_MOST_READ = 1000


def check_store(parts: Parts) -> Iterator[Check]:
    """Look at the store; one that is not there is not made.

    Args:
        parts: of the runner.

    Raises:
        FiatError: the store or the database can't be used.
    """
    settings = parts.settings
    there = _nearest(settings.store)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        what = "is not a folder" if not there.is_dir() else "can't be written by this account"
        mend = "set `store` to a folder that this account may write, or give it to the account with chown"
        yield Check("store", "bad", f"{there} {what}", mend)
        return
    if settings.database_url is None and not (settings.store / "store.db").exists():
        yield Check("store", "good", f"{settings.store} is made at the first start, with SQLite")
    else:
        yield from _opened(parts)
    free = shutil.disk_usage(there).free
    low = free < LOW_DISK_BYTES
    mend = "give it more room, or keep less: `keep` in the settings" if low else ""
    yield Check("disk", "note" if low else "good", f"{free / 2**30:.1f} GiB free at {there}", mend)


def _nearest(folder: Path) -> Path:
    """The folder, or of those above it the first that is there."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def _opened(parts: Parts) -> Iterator[Check]:
    settings = parts.settings
    try:
        store = parts.open_store()
    except EnvironmentFault as error:
        # The store's own hint speaks of variables that a runner does not read.
        mend = error.hint.replace("FIAT_STORE", "`store`").replace("FIAT_DATABASE_URL", "`database`")
        yield Check("store", "bad", error.message, mend or "see `store` and `database` in the settings")
        return
    with store:
        kind = "PostgreSQL" if settings.database_url else "SQLite"
        yield Check("store", "good", f"{settings.store}, with {kind}")
        yield from _deliveries(parts, store)
        yield from _reports(parts, store)


def _deliveries(parts: Parts, store: Store) -> Iterator[Check]:
    counts = store.deliveries.counts()
    failed = sum(number for (_, _, state), number in counts.items() if state == "failed")
    if counts:
        said = f"{sum(counts.values())} came, {failed} of them failed"
        yield Check("deliveries", "note" if failed else "good", said, "see the log" if failed else "")
    elif any(repository.webhooks for repository in parts.settings.repositories):
        mend = "push something, or let the forge send a test delivery"
        yield Check("deliveries", "note", "no webhook has come yet", mend)


def _reports(parts: Parts, store: Store) -> Iterator[Check]:
    dead, waiting = store.outbox.letters("dead", _MOST_READ), store.outbox.letters("waiting", _MOST_READ)
    gone = [letter for letter in (*dead, *waiting) if letter.repo not in parts.repos]
    dead = [letter for letter in dead if letter.repo in parts.repos]
    for letter in dead[:MOST_LETTERS]:
        mend = "mend the link below, then run the commit again: `/fiat run`, or `fiat trigger`"
        yield Check("reports", "bad", _given_up(letter), mend)
    if len(dead) > MOST_LETTERS:
        mend = "a start of the runner tries them once more"
        yield Check("reports", "bad", f"{len(dead) - MOST_LETTERS} more are given up", mend)
    if gone:
        names = ", ".join(sorted({letter.repo for letter in gone})[:MOST_LETTERS])
        said = f"{len(gone)} undelivered, of repositories that are no longer watched: {names}"
        yield Check("reports", "note", said, "nothing is to be done, unless one should still be watched")
    late = [letter for letter in waiting if letter.attempt and letter.repo in parts.repos]
    if late:
        said = f"{len(late)} {'is' if len(late) == 1 else 'are'} late; the newest: {late[0].reason}"
        yield Check("reports", "note", said, "they are tried again by themselves")
    if not dead and not late and not gone:
        yield Check("reports", "good", "nothing is undelivered")


def _given_up(letter: Letter) -> str:
    tries = "1 try" if letter.attempt == 1 else f"{letter.attempt} tries"
    return f"{letter.repo}, {letter.channel}: given up after {tries}: {letter.reason}"
