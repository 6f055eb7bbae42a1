-- What an overview reads: runs by when they were made, and when a model's first word came.

ALTER TABLE runs ADD COLUMN first_token REAL;
-- A model says something soon or not at all: no run is read to its end for this.
UPDATE runs SET first_token = (
    SELECT min(time) FROM events
    WHERE run = runs.number AND seq <= 512
        AND (type IN ('block.delta', 'tool.input_delta')
            OR (type = 'tool.started' AND runs.kind IN ('chat', 'completion', 'command')))
);
CREATE INDEX runs_created ON runs (tenant, created);
