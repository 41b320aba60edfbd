-- Pushed authorization requests (RFC 9126): rows with a short life, counted by client and by source.
CREATE TABLE pushed_requests (
    digest TEXT NOT NULL PRIMARY KEY,
    client TEXT NOT NULL,
    source TEXT NOT NULL,
    sealed BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX pushed_requests_client ON pushed_requests (client, expires_at);
CREATE INDEX pushed_requests_source ON pushed_requests (source, expires_at);
CREATE INDEX pushed_requests_expires ON pushed_requests (expires_at);
