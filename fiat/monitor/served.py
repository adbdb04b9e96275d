"""What clients sent to services of late, described: what new training data are held against for skew."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from fiat.errors import EnvironmentFault
from fiat.monitor.comparison import reference_of
from fiat.monitor.log_columns import as_sent, sent_rows
from fiat.monitor.log_files import LogFile, log_files
from fiat.monitor.log_reading import count_requests, read_file
from fiat.profile.document import read_profile
from fiat.profile.measure import profile_batches
from fiat.profile.model import DataProfile

MOST_ROWS = 50_000
MOST_AGE_S = 30 * 86_400.0
MOST_BYTES = 256 << 20
FEWEST_REQUESTS = 100
NEXT_AFTER = 1000
"""Requests behind those described last, after which it is done again; fewer where fewer were described."""
SPLIT = "serving"


@dataclass(frozen=True)
class Described:
    """What is known of the requests of late.

    Attributes:
        n_requests: that were described.
        until_us: time of the newest of them, microseconds since 1970.
        profile: of their rows; None: they are too few, or hardly others than those described before.
    """

    n_requests: int = 0
    until_us: int = 0
    profile: DataProfile | None = None


@dataclass(frozen=True)
class _Part:
    """Rows of one file of the log, and the folder of packages that is beside it."""

    rows: pa.Table
    releases: Path


def describe_served(services: Sequence[tuple[Path, Path]], before: Described) -> Described:
    """Describe the newest rows that clients sent: at most MOST_ROWS, none MOST_AGE_S older than the newest.

    Rows of versions that took other columns than most of them did are left out.

    Args:
        services: folder of the log and folder of packages of each.
        before: what was described last; without requests: nothing was.

    Returns:
        `before` again, without a profile, while less than NEXT_AFTER requests came since.
    """
    parts = _alike(_newest(services))
    if not parts:
        return before
    times = np.concatenate([part.rows.column("time").cast(pa.int64()).to_numpy() for part in parts])
    firsts = np.concatenate([part.rows.column("row").to_numpy() == 0 for part in parts])
    n_new = int(np.count_nonzero(firsts & (times > before.until_us)))
    if before.n_requests and n_new < min(NEXT_AFTER, before.n_requests):
        return before
    order = np.argsort(-times, kind="stable")[:MOST_ROWS]
    order = order[times[order] >= times.max() - MOST_AGE_S * 1e6]
    n_requests = int(np.count_nonzero(firsts[order]))
    if n_requests < FEWEST_REQUESTS:
        return before
    rows = pa.concat_tables([sent_rows(part.rows) for part in parts], promote_options="permissive")
    sent = _typed(rows.take(pa.array(order)), parts[0])
    profile = profile_batches(sent.to_batches(), split=SPLIT)
    return Described(n_requests, int(times.max()), DataProfile((profile,)))


def _newest(services: Sequence[tuple[Path, Path]]) -> list[_Part]:
    """Whole files, the one that was written last first, until they have enough rows."""
    files: list[tuple[LogFile, Path]] = [
        (file, releases) for predictions, releases in services for file in log_files(predictions)
    ]
    files.sort(key=lambda item: (-item[0].written_at, item[0].path.name))
    parts: list[_Part] = []
    n_rows = n_bytes = 0
    for file, releases in files:
        if n_rows >= MOST_ROWS or n_bytes >= MOST_BYTES:
            break
        rows = read_file(file.path)
        if rows is None or not rows.num_rows:
            continue
        parts.append(_Part(rows, releases))
        n_rows += rows.num_rows
        n_bytes += rows.nbytes
    return parts


def _alike(parts: list[_Part]) -> list[_Part]:
    """The parts whose columns are those of most requests, with types that go together with the newest one's."""
    by_names: dict[frozenset[str], list[_Part]] = {}
    for part in parts:
        names = frozenset(sent_rows(part.rows).schema.names)
        if names:
            by_names.setdefault(names, []).append(part)
    if not by_names:
        return []
    most = max(by_names.values(), key=lambda group: sum(count_requests(part.rows) for part in group))
    kept, schema = [], sent_rows(most[0].rows).schema
    for part in most:
        try:
            schema = pa.unify_schemas([schema, sent_rows(part.rows).schema], promote_options="permissive")
        except pa.ArrowException:
            continue
        kept.append(part)
    return kept


def _typed(rows: pa.Table, part: _Part) -> pa.Table:
    """With values as the data have them that the newest version learned from; as they were sent where that is not known."""
    digest = str(part.rows.column("digest")[-1].as_py())
    try:
        known = reference_of(read_profile(part.releases / digest)).columns
    except EnvironmentFault:
        return rows
    typed, _ = as_sent(rows, known)
    return typed if typed.num_columns else rows
