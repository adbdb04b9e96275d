"""Tables of the store and how an older store becomes a current one: one text for SQLite and PostgreSQL.

Types are the ones that both read alike: `TEXT`, `BIGINT`, `DOUBLE PRECISION`. Times are ISO-8601 in UTC with
microseconds, so that text order is time order; booleans are 0 and 1; JSON is text in ASCII.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fiat.store.queue_schema import QUEUE_TABLES


@dataclass(frozen=True)
class Schema:
    """What a database of one version holds.

    Attributes:
        version: 1 or more; grows with every change of the tables.
        tables: statements that make an empty database one of this version.
        migrations: version to the statements that lead from it to the next one.
    """

    version: int
    tables: tuple[str, ...]
    migrations: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


_META = "CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)"

# Large JSON that many rows share (a run's config, the digests of a thousand code files), kept once by its
# SHA-256.
_DOCUMENTS = "CREATE TABLE documents (digest TEXT NOT NULL PRIMARY KEY, body TEXT NOT NULL)"

_RUNS = """CREATE TABLE runs (
    id TEXT NOT NULL PRIMARY KEY,
    spec TEXT NOT NULL,
    spec_path TEXT NOT NULL,
    spec_digest TEXT NOT NULL,
    plan_digest TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    branch TEXT NOT NULL,
    dirty BIGINT NOT NULL,
    overrides TEXT NOT NULL,
    config TEXT NOT NULL,
    state TEXT NOT NULL,
    verdict TEXT,
    reason TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    pid BIGINT NOT NULL,
    host TEXT NOT NULL,
    model_digest TEXT NOT NULL
)"""

_STEPS = """CREATE TABLE steps (
    run TEXT NOT NULL,
    name TEXT NOT NULL,
    position BIGINT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    seconds DOUBLE PRECISION NOT NULL,
    attempt BIGINT NOT NULL,
    fingerprint TEXT NOT NULL,
    outputs TEXT NOT NULL,
    started_at TEXT,
    ended_at TEXT,
    resources TEXT NOT NULL,
    PRIMARY KEY (run, name)
)"""

_GATES = """CREATE TABLE gates (
    run TEXT NOT NULL,
    position BIGINT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    value DOUBLE PRECISION,
    value_limit DOUBLE PRECISION,
    key TEXT NOT NULL,
    PRIMARY KEY (run, position)
)"""

# `step` is the step's name, empty for the metrics of the whole run; `x` is the metric's own step. SQLite has
# no NaN: it is NULL in `value`.
_METRICS = """CREATE TABLE metrics (
    run TEXT NOT NULL,
    step TEXT NOT NULL,
    position BIGINT NOT NULL,
    name TEXT NOT NULL,
    value DOUBLE PRECISION,
    x BIGINT,
    slice TEXT NOT NULL,
    low DOUBLE PRECISION,
    high DOUBLE PRECISION,
    n_rows BIGINT NOT NULL,
    PRIMARY KEY (run, step, position)
)"""

# `seal` is a digest over the columns before it: SQLite itself does not notice a bit that flips within a text.
# `retired_at` is set when no kept run needs the result: it is not found any more, and goes a day later.
_RESULTS = """CREATE TABLE results (
    fingerprint TEXT NOT NULL PRIMARY KEY,
    spec TEXT NOT NULL,
    step TEXT NOT NULL,
    run TEXT NOT NULL,
    made_at TEXT NOT NULL,
    body TEXT NOT NULL,
    seal TEXT NOT NULL,
    retired_at TEXT
)"""

_RELEASES = """CREATE TABLE releases (
    sequence BIGINT NOT NULL PRIMARY KEY,
    model TEXT NOT NULL,
    alias TEXT NOT NULL,
    branch TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    run TEXT NOT NULL,
    digest TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    released_at TEXT NOT NULL
)"""

# The name `alias` of a model means the package of its newest move; an empty digest takes it away. `released` is the
# sequence of the release that is meant, 0 when it is taken away.
_ALIAS_MOVES = """CREATE TABLE alias_moves (
    sequence BIGINT NOT NULL PRIMARY KEY,
    model TEXT NOT NULL,
    alias TEXT NOT NULL,
    digest TEXT NOT NULL,
    released BIGINT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL,
    moved_at TEXT NOT NULL
)"""

# Releases of older stores moved their alias too.
_EARLIER_MOVES = """INSERT INTO alias_moves (sequence, model, alias, digest, released, who, reason, moved_at)
    SELECT sequence, model, alias, digest, sequence, '', 'released by run ' || run, released_at
    FROM releases WHERE alias <> ''"""

# What people said of a package: `kind` is `tag` (name and value; the newest of a name counts, an empty value takes it away)
# or `note` (all of them count).
_MODEL_MARKS = """CREATE TABLE model_marks (
    sequence BIGINT NOT NULL PRIMARY KEY,
    model TEXT NOT NULL,
    digest TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    who TEXT NOT NULL,
    marked_at TEXT NOT NULL
)"""

# What was put on targets. `place` is the target with its repository and spec; the newest row of a place that is not refused
# is its desired state. `state` is deploying, deployed, refused or failed.
_DEPLOYMENTS = """CREATE TABLE deployments (
    sequence BIGINT NOT NULL PRIMARY KEY,
    place TEXT NOT NULL,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    spec TEXT NOT NULL,
    model TEXT NOT NULL,
    digest TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    run TEXT NOT NULL,
    generation BIGINT NOT NULL,
    cause TEXT NOT NULL,
    approver TEXT NOT NULL,
    settings TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    began_at TEXT NOT NULL,
    ended_at TEXT
)"""

# What is not put on a place: a package of one commit (its rollout failed, or it was gone back from), or anything when
# `digest` is empty (a person said so).
_HOLDS = """CREATE TABLE holds (
    place TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL,
    held_at TEXT NOT NULL,
    PRIMARY KEY (place, commit_id, digest)
)"""

_REGISTRY_TABLES = (
    _ALIAS_MOVES,
    "CREATE INDEX alias_moves_by_model ON alias_moves (model, alias, sequence)",
    _MODEL_MARKS,
    "CREATE INDEX model_marks_by_model ON model_marks (model, digest, sequence)",
    _DEPLOYMENTS,
    "CREATE INDEX deployments_by_place ON deployments (place, sequence)",
    _HOLDS,
)

SCHEMA = Schema(
    version=3,
    tables=(
        _META,
        _DOCUMENTS,
        _RUNS,
        "CREATE INDEX runs_by_time ON runs (started_at, id)",
        "CREATE INDEX runs_by_spec ON runs (spec, started_at, id)",
        "CREATE INDEX runs_by_state ON runs (state, started_at, id)",
        _STEPS,
        _GATES,
        _METRICS,
        _RESULTS,
        "CREATE INDEX results_by_step ON results (spec, step, made_at)",
        _RELEASES,
        "CREATE INDEX releases_by_model ON releases (model, sequence)",
        *QUEUE_TABLES,
        *_REGISTRY_TABLES,
    ),
    # Version 2 brought the runner's tables, and results that go while others use the store; version 3 what people say of
    # models, and what stands on targets.
    migrations={
        1: ("ALTER TABLE results ADD COLUMN retired_at TEXT", *QUEUE_TABLES),
        2: (*_REGISTRY_TABLES, _EARLIER_MOVES),
    },
)
