-- Clients that registered themselves. Without a body it is a stone that tells other nodes that the client is gone.
-- access: the digest of the token that manages it; revision: the number of its latest change, by which nodes find
-- what they have not seen.
CREATE TABLE registered_clients (
    id TEXT NOT NULL PRIMARY KEY,
    body TEXT,
    access TEXT NOT NULL,
    source TEXT NOT NULL,
    token TEXT,
    created_at BIGINT NOT NULL,
    used_at BIGINT,
    removed_at BIGINT,
    revision BIGINT NOT NULL
);
CREATE INDEX registered_clients_revision ON registered_clients (revision);
CREATE INDEX registered_clients_source ON registered_clients (source, created_at);
CREATE INDEX registered_clients_unused ON registered_clients (created_at)
    WHERE used_at IS NULL AND removed_at IS NULL;
CREATE INDEX registered_clients_living ON registered_clients (id) WHERE removed_at IS NULL;
CREATE INDEX registered_clients_removed ON registered_clients (removed_at) WHERE removed_at IS NOT NULL;
INSERT INTO counters (name, value) VALUES ('registered', 0);

-- What allows a program to register itself.
CREATE TABLE registration_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    note TEXT NOT NULL,
    narrowing TEXT NOT NULL,
    uses_left BIGINT,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX registration_tokens_expires ON registration_tokens (expires_at);
