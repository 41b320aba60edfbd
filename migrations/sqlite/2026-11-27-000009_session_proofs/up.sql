-- What a provider knows behind each proof of a session, as digests: its own session (`sid`, SessionIndex) and its name for
-- the person (NameID). A logout there ends the session whichever of its proofs came last; the columns knew of that one
-- alone.
CREATE TABLE session_proofs (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    PRIMARY KEY (kind, key, session)
) STRICT, WITHOUT ROWID;
CREATE INDEX session_proofs_session ON session_proofs (session);
INSERT INTO session_proofs (kind, key, session)
    SELECT 'session', upstream, id FROM sessions WHERE upstream IS NOT NULL
    UNION ALL SELECT 'name', upstream_name, id FROM sessions WHERE upstream_name IS NOT NULL;

DROP INDEX sessions_upstream;
DROP INDEX sessions_upstream_name;
ALTER TABLE sessions DROP COLUMN upstream;
ALTER TABLE sessions DROP COLUMN upstream_name;
