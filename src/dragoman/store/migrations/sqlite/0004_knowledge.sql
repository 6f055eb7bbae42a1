-- Knowledge: passages of documents, and the words in them.
-- `number` is the rowid that the words refer to, so VACUUM must not change it. `place` is one word that stands for
-- tenant and source, so that a search meets nobody else's words.

ALTER TABLE passages RENAME TO passages_before;
DROP INDEX passages_blob;

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
    place TEXT NOT NULL GENERATED ALWAYS AS ('x' || hex(tenant) || 'x' || hex(source)) STORED,
    UNIQUE (tenant, source, blob, n)
) STRICT;
CREATE INDEX passages_blob ON passages (blob);
CREATE INDEX passages_beginnings ON passages (tenant, source, number) WHERE n = 1;

CREATE VIRTUAL TABLE passages_words USING fts5 (
    place, name, text, content = 'passages', content_rowid = 'number', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER passages_put AFTER INSERT ON passages BEGIN
    INSERT INTO passages_words (rowid, place, name, text) VALUES (new.number, new.place, new.name, new.text);
END;
CREATE TRIGGER passages_gone AFTER DELETE ON passages BEGIN
    INSERT INTO passages_words (passages_words, rowid, place, name, text)
        VALUES ('delete', old.number, old.place, old.name, old.text);
END;

-- Runs beside a thread that have not become part of it: they go with it.
CREATE INDEX runs_beside ON runs (tenant, owner, thread_id)
    WHERE thread IS NULL AND thread_id IS NOT NULL AND ended IS NOT NULL;

INSERT INTO passages (tenant, source, blob, n, name, text, vector, metadata)
    SELECT tenant, source, blob, n + 1, blob, text, vector, metadata FROM passages_before;
DROP TABLE passages_before;
