-- Files: those whose bytes are to be deleted are found in an index.

CREATE INDEX blobs_gone ON blobs (number) WHERE state = 'gone';
