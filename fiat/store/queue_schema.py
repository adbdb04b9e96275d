"""Tables of the runner: what forges told, what there is to do, what is to be reported. One text for both databases.

Names that strangers choose can be long, and PostgreSQL refuses keys of more than some 2,700 bytes: what is looked up by
such a name has a column with a digest of it (`known_as`, `line`, `lane`, `address`).
"""

# `sequence` grows in the order of taking. `outcome` of a call that came again is counted in `tallies` only.
_DELIVERIES = """CREATE TABLE deliveries (
    sequence BIGINT NOT NULL PRIMARY KEY,
    known_as TEXT NOT NULL,
    says TEXT NOT NULL,
    forge TEXT NOT NULL,
    id TEXT NOT NULL,
    body_key TEXT NOT NULL,
    event TEXT NOT NULL,
    repo_id TEXT NOT NULL,
    repo_name TEXT NOT NULL,
    sender_id TEXT NOT NULL,
    sender_name TEXT NOT NULL,
    happenings TEXT NOT NULL,
    state TEXT NOT NULL,
    note TEXT NOT NULL,
    taken_at TEXT NOT NULL
)"""

_TALLIES = """CREATE TABLE tallies (
    forge TEXT NOT NULL,
    event TEXT NOT NULL,
    outcome TEXT NOT NULL,
    total BIGINT NOT NULL,
    PRIMARY KEY (forge, event, outcome)
)"""

# `known_as` is over all that makes a change unique; `line` over what a newer commit takes the place of.
_CHANGES = """CREATE TABLE changes (
    id TEXT NOT NULL PRIMARY KEY,
    known_as TEXT NOT NULL,
    line TEXT NOT NULL,
    repo TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    ref TEXT NOT NULL,
    pull BIGINT NOT NULL,
    fork BIGINT NOT NULL,
    head_repo_id TEXT NOT NULL,
    serial BIGINT NOT NULL,
    specs TEXT NOT NULL,
    overrides TEXT NOT NULL,
    cause TEXT NOT NULL,
    state TEXT NOT NULL,
    verdict TEXT,
    reason TEXT NOT NULL,
    made_at TEXT NOT NULL
)"""

# `lane` is empty for a run without a group. `holds` is 1 while the run keeps its lane to itself: it is running, or it
# waits to go on with a deploy that it has begun.
_QUEUE = """CREATE TABLE queue (
    id TEXT NOT NULL PRIMARY KEY,
    change TEXT NOT NULL,
    repo TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    ref TEXT NOT NULL,
    pull BIGINT NOT NULL,
    fork BIGINT NOT NULL,
    head_repo_id TEXT NOT NULL,
    spec TEXT NOT NULL,
    spec_path TEXT NOT NULL,
    state TEXT NOT NULL,
    phase TEXT NOT NULL,
    group_name TEXT NOT NULL,
    lane TEXT NOT NULL,
    holds BIGINT NOT NULL,
    supersede BIGINT NOT NULL,
    priority BIGINT NOT NULL,
    overrides TEXT NOT NULL,
    cause TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    beat BIGINT NOT NULL,
    worker TEXT NOT NULL,
    cancel TEXT NOT NULL,
    gpu_seconds DOUBLE PRECISION NOT NULL,
    queued_at TEXT NOT NULL,
    started_at TEXT,
    ended_at TEXT,
    verdict TEXT,
    reason TEXT NOT NULL
)"""

# The newest change of each line, the newest run of each spec of a branch, and how many runs ended how: each by its key, so
# that nobody has to look for them in the history.
_HEADS = """CREATE TABLE heads (
    line TEXT NOT NULL PRIMARY KEY,
    repo TEXT NOT NULL,
    purpose TEXT NOT NULL,
    change TEXT NOT NULL
)"""

_TRACKS = """CREATE TABLE tracks (
    track TEXT NOT NULL PRIMARY KEY,
    line TEXT NOT NULL,
    run TEXT NOT NULL
)"""

_ENDS = """CREATE TABLE ends (
    repo TEXT NOT NULL,
    verdict TEXT NOT NULL,
    total BIGINT NOT NULL,
    PRIMARY KEY (repo, verdict)
)"""

# When each repository had its last turn: grows with each claim.
_TURNS = "CREATE TABLE turns (repo TEXT NOT NULL PRIMARY KEY, turn BIGINT NOT NULL)"

_APPROVALS = """CREATE TABLE approvals (
    repo TEXT NOT NULL,
    pull BIGINT NOT NULL,
    commit_id TEXT NOT NULL,
    who TEXT NOT NULL,
    given_at TEXT NOT NULL,
    PRIMARY KEY (repo, pull, commit_id)
)"""

# `address` is over repository and channel. Of a channel one row is `waiting` at most; older ones are `replaced`.
# `set_at` and `not_before` belong together: a clock before `set_at` was put back, and the wait does not count.
_OUTBOX = """CREATE TABLE outbox (
    id BIGINT NOT NULL PRIMARY KEY,
    address TEXT NOT NULL,
    repo TEXT NOT NULL,
    channel TEXT NOT NULL,
    state TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    reason TEXT NOT NULL,
    report TEXT NOT NULL,
    digest TEXT NOT NULL,
    written_at TEXT NOT NULL,
    set_at TEXT NOT NULL,
    not_before TEXT NOT NULL
)"""

_CHANNELS = """CREATE TABLE channels (
    address TEXT NOT NULL PRIMARY KEY,
    repo TEXT NOT NULL,
    channel TEXT NOT NULL,
    memory TEXT NOT NULL,
    sent BIGINT NOT NULL,
    digest TEXT NOT NULL,
    sent_at TEXT NOT NULL
)"""

_SEATS = """CREATE TABLE seats (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    fence BIGINT NOT NULL,
    beat BIGINT NOT NULL
)"""

_MARKS = "CREATE TABLE marks (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)"

QUEUE_TABLES = (
    _DELIVERIES,
    "CREATE UNIQUE INDEX deliveries_by_id ON deliveries (known_as)",
    "CREATE INDEX deliveries_by_body ON deliveries (says)",
    "CREATE INDEX deliveries_to_do ON deliveries (sequence) WHERE state = 'received'",
    "CREATE INDEX deliveries_by_time ON deliveries (taken_at)",
    _TALLIES,
    _CHANGES,
    "CREATE UNIQUE INDEX changes_by_key ON changes (known_as)",
    "CREATE INDEX changes_by_line ON changes (line, made_at, id)",
    "CREATE INDEX changes_by_commit ON changes (repo, commit_id, made_at, id)",
    "CREATE INDEX changes_by_time ON changes (made_at, id)",
    "CREATE INDEX changes_by_repo ON changes (repo, made_at, id)",
    "CREATE INDEX changes_new ON changes (made_at, id) WHERE state = 'new'",
    _QUEUE,
    "CREATE INDEX queue_by_time ON queue (queued_at, id)",
    "CREATE INDEX queue_by_repo ON queue (repo, queued_at, id)",
    "CREATE INDEX queue_by_spec ON queue (spec, queued_at, id)",
    "CREATE INDEX queue_by_both ON queue (repo, spec, queued_at, id)",
    "CREATE INDEX queue_by_change ON queue (change)",
    "CREATE INDEX queue_by_pull ON queue (repo, pull, queued_at, id) WHERE pull <> 0",
    "CREATE INDEX queue_open ON queue (state, queued_at, id) WHERE state <> 'done'",
    "CREATE INDEX queue_open_by_repo ON queue (repo, state) WHERE state <> 'done'",
    "CREATE INDEX queue_open_by_lane ON queue (lane) WHERE state <> 'done' AND lane <> ''",
    "CREATE UNIQUE INDEX queue_held_lanes ON queue (lane) WHERE holds = 1 AND lane <> ''",
    "CREATE INDEX queue_claims ON queue (repo, priority DESC, queued_at, id, lane) WHERE state = 'waiting'",
    _HEADS,
    "CREATE INDEX heads_by_repo ON heads (repo, purpose)",
    _TRACKS,
    "CREATE INDEX tracks_by_line ON tracks (line)",
    _ENDS,
    _TURNS,
    _APPROVALS,
    _OUTBOX,
    "CREATE UNIQUE INDEX outbox_heads ON outbox (address) WHERE state = 'waiting'",
    "CREATE INDEX outbox_waiting ON outbox (id) WHERE state = 'waiting'",
    "CREATE INDEX outbox_dead ON outbox (id) WHERE state = 'dead'",
    "CREATE INDEX outbox_dead_heads ON outbox (address, id) WHERE state = 'dead'",
    "CREATE INDEX outbox_by_time ON outbox (written_at)",
    _CHANNELS,
    "CREATE INDEX channels_by_time ON channels (sent_at)",
    _SEATS,
    _MARKS,
)
