-- The first schema: every table of the design, also those whose features come later.
-- Times are seconds since the epoch (REAL), JSON is TEXT. A column named `number` is the
-- rowid, so an index on (a, b) is in truth one on (a, b, number): listings page over that.

CREATE TABLE migrations (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    applied REAL NOT NULL
) STRICT;

CREATE TABLE keys (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL,
    tenant TEXT NOT NULL,
    user_id TEXT NOT NULL,
    scopes TEXT NOT NULL,
    name TEXT NOT NULL,
    projects TEXT,
    rate_limit TEXT,
    budget REAL,
    created REAL NOT NULL,
    expires REAL,
    revoked REAL
) STRICT;
CREATE INDEX keys_tenant ON keys (tenant);

-- AUTOINCREMENT: a number is a place in listings and must never be given again.
-- `last_pos` is the highest place ever given to an item; places of removed items stay empty.
CREATE TABLE threads (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    title TEXT NOT NULL,
    visibility TEXT NOT NULL,
    branch TEXT,
    status TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    expires REAL,
    last_pos INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX threads_id ON threads (tenant, id, owner);
CREATE INDEX threads_tenant ON threads (tenant);
CREATE INDEX threads_owner ON threads (tenant, owner);
CREATE INDEX threads_expires ON threads (expires) WHERE expires IS NOT NULL;

-- Marks of deleted threads, so that a cursor on one still has a place.
CREATE TABLE threads_gone (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    forget_at REAL NOT NULL
) STRICT;
CREATE UNIQUE INDEX threads_gone_id ON threads_gone (tenant, id, owner);
CREATE INDEX threads_gone_forget ON threads_gone (forget_at);

CREATE TABLE items (
    thread INTEGER NOT NULL,
    pos INTEGER NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    role TEXT NOT NULL,
    status TEXT NOT NULL,
    answer TEXT,
    run TEXT,
    step INTEGER NOT NULL,
    created REAL NOT NULL,
    body TEXT NOT NULL,
    extra TEXT NOT NULL,
    PRIMARY KEY (thread, pos)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX items_id ON items (thread, id);

-- The highest seq of a run is read from `events`: an append must not rewrite this wide row.
CREATE TABLE runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    thread INTEGER,
    thread_id TEXT,
    session TEXT,
    face TEXT NOT NULL,
    status TEXT NOT NULL,
    answer TEXT,
    created REAL NOT NULL,
    started REAL,
    ended REAL,
    queue TEXT,
    executor TEXT,
    lease REAL,
    usage TEXT NOT NULL,
    cost REAL,
    error TEXT,
    options TEXT NOT NULL,
    input TEXT NOT NULL
) STRICT;
-- Each listing index has the status before the number: a listing of several states is a merge
-- of one ordered stretch per state, whatever the states.
CREATE INDEX runs_tenant ON runs (tenant, status);
CREATE INDEX runs_owner ON runs (tenant, owner, status);
CREATE INDEX runs_name ON runs (tenant, name, status);
CREATE INDEX runs_thread ON runs (thread, status) WHERE thread IS NOT NULL;
CREATE INDEX runs_session ON runs (tenant, session) WHERE session IS NOT NULL;
CREATE INDEX runs_active ON runs (number) WHERE status IN ('queued', 'running', 'paused');
CREATE INDEX runs_without_thread ON runs (ended) WHERE thread IS NULL AND ended IS NOT NULL;

-- One row holds the events seq - count + 1 … seq; count > 1 for deltas committed together.
CREATE TABLE events (
    run INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    count INTEGER NOT NULL,
    type TEXT NOT NULL,
    step TEXT,
    time REAL NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE steps (
    number INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    step TEXT NOT NULL,
    idx INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    started REAL NOT NULL,
    ended REAL,
    model TEXT,
    usage TEXT NOT NULL,
    cost REAL,
    error TEXT,
    input TEXT,
    output TEXT
) STRICT;
CREATE UNIQUE INDEX steps_key ON steps (run, step, idx, attempt);
CREATE INDEX steps_run ON steps (run);

CREATE TABLE approvals (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    run INTEGER NOT NULL,
    call TEXT NOT NULL,
    created REAL NOT NULL,
    expires REAL NOT NULL,
    state TEXT NOT NULL,
    request TEXT NOT NULL,
    decision TEXT,
    decided REAL,
    decided_by TEXT
) STRICT;
CREATE UNIQUE INDEX approvals_call ON approvals (run, call);
CREATE INDEX approvals_run ON approvals (run);
CREATE INDEX approvals_pending ON approvals (expires) WHERE state = 'pending';

CREATE TABLE sessions (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    first_run TEXT,
    last_run TEXT,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    expires REAL,
    tombstone REAL,
    metadata TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_expires ON sessions (expires) WHERE expires IS NOT NULL;
CREATE INDEX sessions_tombstone ON sessions (tombstone) WHERE tombstone IS NOT NULL;

CREATE TABLE blobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    thread INTEGER,
    purpose TEXT NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    size INTEGER,
    digest TEXT,
    state TEXT NOT NULL,
    created REAL NOT NULL,
    expires REAL,
    metadata TEXT NOT NULL
) STRICT;
CREATE INDEX blobs_owner ON blobs (tenant, owner);
CREATE INDEX blobs_thread ON blobs (thread) WHERE thread IS NOT NULL;
CREATE INDEX blobs_expires ON blobs (expires) WHERE expires IS NOT NULL;

CREATE TABLE passages (
    tenant TEXT NOT NULL,
    source TEXT NOT NULL,
    blob TEXT NOT NULL,
    n INTEGER NOT NULL,
    text TEXT NOT NULL,
    vector BLOB,
    metadata TEXT NOT NULL,
    UNIQUE (tenant, source, blob, n)
) STRICT;
CREATE INDEX passages_blob ON passages (blob);

CREATE TABLE votes (
    number INTEGER PRIMARY KEY,
    thread INTEGER NOT NULL,
    answer TEXT NOT NULL,
    user_id TEXT NOT NULL,
    up INTEGER NOT NULL,
    created REAL NOT NULL,
    id TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX votes_key ON votes (thread, user_id, answer);

CREATE TABLE settings (
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    PRIMARY KEY (tenant, owner, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE counters (
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    used INTEGER NOT NULL,
    resets REAL NOT NULL,
    PRIMARY KEY (tenant, owner, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE repeats (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    digest TEXT NOT NULL,
    run TEXT,
    answer TEXT NOT NULL,
    created REAL NOT NULL,
    expires REAL NOT NULL
) STRICT;
CREATE UNIQUE INDEX repeats_key ON repeats (tenant, owner, key);
CREATE INDEX repeats_run ON repeats (run) WHERE run IS NOT NULL;
CREATE INDEX repeats_expires ON repeats (expires);

CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL,
    created REAL NOT NULL
) STRICT, WITHOUT ROWID;
