-- Flows, jobs, sessions: what the queue and the trace need, and an index for each new listing.
-- A queued job is a run of kind 'job' whose status is 'queued'; `queue` only names where it waits.

ALTER TABLE runs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN result TEXT;

-- What a restarted engine takes up, without the jobs that wait: there may be very many of those.
DROP INDEX runs_active;
CREATE INDEX runs_unfinished ON runs (number)
    WHERE status IN ('running', 'paused') OR (status = 'queued' AND kind <> 'job');
CREATE INDEX runs_queue ON runs (priority DESC, number) WHERE kind = 'job' AND status = 'queued';

-- As in 0001, the status comes before the number.
CREATE INDEX runs_kind ON runs (tenant, kind, status);
CREATE INDEX runs_jobs ON runs (tenant, name, status) WHERE kind = 'job';
CREATE INDEX runs_session_status ON runs (tenant, session, status) WHERE session IS NOT NULL;

-- A run of a session lives as long as its session.
DROP INDEX runs_without_thread;
CREATE INDEX runs_alone ON runs (ended) WHERE thread IS NULL AND session IS NULL AND ended IS NOT NULL;

ALTER TABLE steps ADD COLUMN place INTEGER;
ALTER TABLE steps ADD COLUMN input_bytes INTEGER;
ALTER TABLE steps ADD COLUMN output_bytes INTEGER;
ALTER TABLE steps ADD COLUMN truncated INTEGER NOT NULL DEFAULT 0;
-- There were no loops yet: the index counted model calls, which the step's key does as well.
UPDATE OR REPLACE steps SET idx = -1;

-- `expires` of a tombstone is over; it must not be found again as one that has just expired.
DROP INDEX sessions_expires;
CREATE INDEX sessions_expires ON sessions (expires) WHERE expires IS NOT NULL AND tombstone IS NULL;
CREATE INDEX sessions_updated ON sessions (tenant, updated DESC, id) WHERE tombstone IS NULL;
CREATE INDEX sessions_id ON sessions (id, tenant);
