-- Knowledge by meaning: vectors of passages.
-- `space` names the model that made the vector, and its length: only vectors of one space can be compared. `signature`
-- has a bit for each number of the vector, and lies in the index, so that a search reads no passage that is far away.

ALTER TABLE passages ADD COLUMN space TEXT;
ALTER TABLE passages ADD COLUMN signature BLOB;
CREATE INDEX passages_signatures ON passages (tenant, source, space, number, signature) WHERE signature IS NOT NULL;
