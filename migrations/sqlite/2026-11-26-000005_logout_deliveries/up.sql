-- A digest of the provider and its own session (`sid`) behind the latest proof, so that a logout that begins
-- there finds ours. Sessions that an older version made have none.
ALTER TABLE sessions ADD COLUMN upstream TEXT;
CREATE INDEX sessions_upstream ON sessions (upstream) WHERE upstream IS NOT NULL;

-- The clients that got a code in a session and want to be told when it ends; sub and sid are person and session
-- as their ID tokens name them. A row goes when that is queued,
-- so whatever ends the session, it is queued once.
CREATE TABLE session_clients (
    session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    client TEXT NOT NULL,
    backchannel_uri TEXT,
    alg TEXT NOT NULL,
    sub TEXT NOT NULL,
    sid TEXT NOT NULL,
    PRIMARY KEY (session, client)
) STRICT, WITHOUT ROWID;
CREATE INDEX session_clients_client ON session_clients (client);

-- Logout tokens to be sent, and what came of them. due_at is also the lease of the node that is sending.
CREATE TABLE logout_deliveries (
    id TEXT NOT NULL PRIMARY KEY,
    session TEXT NOT NULL,
    client TEXT NOT NULL,
    account TEXT NOT NULL,
    uri TEXT NOT NULL,
    alg TEXT NOT NULL,
    sub TEXT NOT NULL,
    sid TEXT NOT NULL,
    queued_at INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'refused', 'given_up')),
    attempts INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    last_at INTEGER,
    answer TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX logout_deliveries_due ON logout_deliveries (due_at, client) WHERE state = 'waiting';
CREATE INDEX logout_deliveries_client ON logout_deliveries (client, queued_at);
CREATE INDEX logout_deliveries_queued ON logout_deliveries (queued_at);
