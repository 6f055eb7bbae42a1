BEGIN TRANSACTION;
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
INSERT INTO "approvals" VALUES(1,'approval-1','acme','ann',1,'call-1',1800000000.0,1800000060.0,'pending','{"name":"add","input":{}}',NULL,NULL,NULL);
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
INSERT INTO "blobs" VALUES(1,'blob-1','acme','ann',2,'attachment','a.txt','text/plain',5,'sha256:00','ready',1.0,NULL,'{}');
CREATE TABLE counters (
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    used INTEGER NOT NULL,
    resets REAL NOT NULL,
    PRIMARY KEY (tenant, owner, name)
) STRICT, WITHOUT ROWID;
INSERT INTO "counters" VALUES('acme','ann','messages',3,1800086400.0);
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
INSERT INTO "events" VALUES(1,1,1,'run.created','s1',1800000000.25,'{"kind":"chat","name":"helper","version":"v1","answer":"answer-1","thread":"thread-1","message":"question-1"}');
INSERT INTO "events" VALUES(1,2,1,'step.started','s1',1800000000.5,'{"kind":"model","name":"scripted"}');
INSERT INTO "events" VALUES(1,3,1,'block.started','s1',1800000000.75,'{"block":"b1","kind":"text"}');
INSERT INTO "events" VALUES(1,6,3,'block.delta','s1',1800000001.0,'{"block":"b1","deltas":["Two and ","three are ","five. ☃"],"times":[1800000001.0,1800000001.25,1800000001.5]}');
INSERT INTO "events" VALUES(1,7,1,'block.ended','s1',1800000001.75,'{"block":"b1"}');
INSERT INTO "events" VALUES(1,8,1,'run.paused','s1',1800000002.0,'{"reason":"approval","calls":["call-1"]}');
INSERT INTO "events" VALUES(1,9,1,'tool.output','s1',1800000002.25,'{"call":"call-1","name":"add","output":{"sum":5}}');
INSERT INTO "events" VALUES(1,10,1,'run.completed','s1',1800000002.5,'{}');
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
INSERT INTO "items" VALUES(2,1,'question-1','message','user','completed',NULL,NULL,0,1800000000.0,'{"parts":[{"type":"text","text":"2 + 3?"}]}','{}');
INSERT INTO "items" VALUES(2,2,'part-1','message','assistant','completed','answer-1','run-1',1,1800000001.0,'{"text":"Two and three are five. ☃"}','{"kai":{"x":1}}');
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
INSERT INTO "keys" VALUES(1,'key-1','0000000000000000000000000000000000000000000000000000000000000000','acme','ann','["use","admin"]','first','["p"]','[5,60.0]',9.5,1800000000.0,9000000000.0,NULL);
CREATE TABLE migrations (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    applied REAL NOT NULL
) STRICT;
INSERT INTO "migrations" VALUES(1,'first_schema',1800000000.0);
INSERT INTO "migrations" VALUES(2,'flows',1800000000.0);
INSERT INTO "migrations" VALUES(3,'files',1800000000.0);
INSERT INTO "migrations" VALUES(4,'knowledge',1800000000.0);
INSERT INTO "migrations" VALUES(5,'console',1800000000.0);
INSERT INTO "migrations" VALUES(6,'meaning',1800000000.0);
CREATE TABLE passages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    source TEXT NOT NULL,
    blob TEXT NOT NULL,
    n INTEGER NOT NULL,
    name TEXT NOT NULL,
    text TEXT NOT NULL,
    vector BLOB,
    metadata TEXT NOT NULL,
    place TEXT NOT NULL GENERATED ALWAYS AS ('x' || hex(tenant) || 'x' || hex(source)) STORED, space TEXT, signature BLOB,
    UNIQUE (tenant, source, blob, n)
) STRICT;
INSERT INTO "passages" VALUES(1,'acme','handbook','blob-1',1,'a.txt','hello',X'0000803F','{}','acme/e 1',X'01');
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
INSERT INTO "repeats" VALUES(1,'acme','ann','once','digest','run-1','{"status":200}',1800000000.0,1800086400.0);
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
, priority INTEGER NOT NULL DEFAULT 0, result TEXT, first_token REAL) STRICT;
INSERT INTO "runs" VALUES(1,'run-1','acme','ann','chat','helper','v1',2,'thread-1','session-1','kai','completed','answer-1',1800000000.0,1800000000.0,1800000003.0,'q','e',1800000009.0,'{"prompt_tokens":10,"completion_tokens":5,"cache_read_tokens":2,"cache_write_tokens":1,"reasoning_tokens":3}',0.125,'{"code":"none","message":"for the record"}','{"max_rounds":16}','{"message":"question-1"}',0,NULL,1800000001.0);
INSERT INTO "runs" VALUES(2,'run-2','acme','bob','job','report','',NULL,NULL,NULL,'own','queued',NULL,1800000000.0,NULL,NULL,NULL,NULL,NULL,'{}',NULL,NULL,'{}','{}',0,NULL,NULL);
INSERT INTO "runs" VALUES(3,'run-3','acme','bob','execute','basics/two-step','',NULL,NULL,'session-2','own','completed',NULL,1800000000.0,NULL,1800000001.0,NULL,NULL,NULL,'{}',NULL,NULL,'{}','{}',5,'{"said":["HI!",null]}',NULL);
CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL,
    created REAL NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "secrets" VALUES('signing',X'000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F',1.0);
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
INSERT INTO "sessions" VALUES('acme','session-1','run-1','run-1',1.0,2.0,3.0,NULL,'{}');
INSERT INTO "sessions" VALUES('acme','session-2','run-3','run-3',1800000000.0,1800000000.0,10800000000.0,NULL,'{"from":"kai"}');
CREATE TABLE settings (
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    PRIMARY KEY (tenant, owner, name)
) STRICT, WITHOUT ROWID;
INSERT INTO "settings" VALUES('acme','ann','instructions','{"text":"Be brief."}',1800000000.0,1800000000.0);
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
, place INTEGER, input_bytes INTEGER, output_bytes INTEGER, truncated INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO "steps" VALUES(1,1,'s1',-1,1,'model','scripted','completed',1800000000.0,1800000001.0,NULL,'{"prompt_tokens":10,"completion_tokens":5}',NULL,NULL,'[1]',NULL,NULL,NULL,NULL,0);
INSERT INTO "steps" VALUES(2,3,'say',2,1,'flow','say','completed',1800000000.0,NULL,NULL,'{}',NULL,NULL,NULL,'"HI!"',1,17,5,1);
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
INSERT INTO "threads" VALUES(2,'acme','ann','thread-1','Sums','public','main','active','{"kai":{}}',1800000000.0,1800000001.0,9000000000.0,2);
CREATE TABLE threads_gone (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    forget_at REAL NOT NULL
) STRICT;
INSERT INTO "threads_gone" VALUES(1,'acme','ann','thread-0',2800000000.0);
CREATE TABLE votes (
    number INTEGER PRIMARY KEY,
    thread INTEGER NOT NULL,
    answer TEXT NOT NULL,
    user_id TEXT NOT NULL,
    up INTEGER NOT NULL,
    created REAL NOT NULL,
    id TEXT NOT NULL
) STRICT;
INSERT INTO "votes" VALUES(1,2,'answer-1','ann',1,1800000000.0,'vote-1');
CREATE INDEX keys_tenant ON keys (tenant);
CREATE UNIQUE INDEX threads_id ON threads (tenant, id, owner);
CREATE INDEX threads_tenant ON threads (tenant);
CREATE INDEX threads_owner ON threads (tenant, owner);
CREATE INDEX threads_expires ON threads (expires) WHERE expires IS NOT NULL;
CREATE UNIQUE INDEX threads_gone_id ON threads_gone (tenant, id, owner);
CREATE INDEX threads_gone_forget ON threads_gone (forget_at);
CREATE UNIQUE INDEX items_id ON items (thread, id);
CREATE INDEX runs_tenant ON runs (tenant, status);
CREATE INDEX runs_owner ON runs (tenant, owner, status);
CREATE INDEX runs_name ON runs (tenant, name, status);
CREATE INDEX runs_thread ON runs (thread, status) WHERE thread IS NOT NULL;
CREATE INDEX runs_session ON runs (tenant, session) WHERE session IS NOT NULL;
CREATE UNIQUE INDEX steps_key ON steps (run, step, idx, attempt);
CREATE INDEX steps_run ON steps (run);
CREATE UNIQUE INDEX approvals_call ON approvals (run, call);
CREATE INDEX approvals_run ON approvals (run);
CREATE INDEX approvals_pending ON approvals (expires) WHERE state = 'pending';
CREATE INDEX sessions_tombstone ON sessions (tombstone) WHERE tombstone IS NOT NULL;
CREATE INDEX blobs_owner ON blobs (tenant, owner);
CREATE INDEX blobs_thread ON blobs (thread) WHERE thread IS NOT NULL;
CREATE INDEX blobs_expires ON blobs (expires) WHERE expires IS NOT NULL;
CREATE UNIQUE INDEX votes_key ON votes (thread, user_id, answer);
CREATE UNIQUE INDEX repeats_key ON repeats (tenant, owner, key);
CREATE INDEX repeats_run ON repeats (run) WHERE run IS NOT NULL;
CREATE INDEX repeats_expires ON repeats (expires);
CREATE INDEX runs_unfinished ON runs (number)
    WHERE status IN ('running', 'paused') OR (status = 'queued' AND kind <> 'job');
CREATE INDEX runs_queue ON runs (priority DESC, number) WHERE kind = 'job' AND status = 'queued';
CREATE INDEX runs_kind ON runs (tenant, kind, status);
CREATE INDEX runs_jobs ON runs (tenant, name, status) WHERE kind = 'job';
CREATE INDEX runs_session_status ON runs (tenant, session, status) WHERE session IS NOT NULL;
CREATE INDEX runs_alone ON runs (ended) WHERE thread IS NULL AND session IS NULL AND ended IS NOT NULL;
CREATE INDEX sessions_expires ON sessions (expires) WHERE expires IS NOT NULL AND tombstone IS NULL;
CREATE INDEX sessions_updated ON sessions (tenant, updated DESC, id) WHERE tombstone IS NULL;
CREATE INDEX sessions_id ON sessions (id, tenant);
CREATE INDEX blobs_gone ON blobs (number) WHERE state = 'gone';
CREATE INDEX passages_blob ON passages (blob);
CREATE INDEX passages_beginnings ON passages (tenant, source, number) WHERE n = 1;
CREATE TRIGGER passages_put AFTER INSERT ON passages BEGIN
    INSERT INTO passages_words (rowid, place, name, text) VALUES (new.number, new.place, new.name, new.text);
END;
CREATE TRIGGER passages_gone AFTER DELETE ON passages BEGIN
    INSERT INTO passages_words (passages_words, rowid, place, name, text)
        VALUES ('delete', old.number, old.place, old.name, old.text);
END;
CREATE INDEX runs_beside ON runs (tenant, owner, thread_id)
    WHERE thread IS NULL AND thread_id IS NOT NULL AND ended IS NOT NULL;
CREATE INDEX runs_created ON runs (tenant, created);
CREATE INDEX passages_signatures ON passages (tenant, source, space, number, signature) WHERE signature IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('passages',1);
INSERT INTO "sqlite_sequence" VALUES('threads',2);
INSERT INTO "sqlite_sequence" VALUES('runs',3);
INSERT INTO "sqlite_sequence" VALUES('blobs',1);
CREATE VIRTUAL TABLE passages_words USING fts5 (
    place, name, text, content = 'passages', content_rowid = 'number', tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO passages_words (passages_words) VALUES ('rebuild');
COMMIT;
