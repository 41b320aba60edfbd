-- Ids, digests and JSON are text; moments are milliseconds since the Unix epoch.

-- A deleted account keeps its row, so that its id is never given again.
CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY,
    status TEXT NOT NULL CHECK (status IN ('active', 'suspended', 'deleted')),
    profile TEXT NOT NULL,
    search TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE account_emails (
    account TEXT NOT NULL REFERENCES accounts (id),
    canonical TEXT NOT NULL,
    written TEXT NOT NULL,
    proof TEXT,
    is_primary BOOLEAN NOT NULL,
    PRIMARY KEY (account, canonical)
);
-- No two accounts hold one address as proved at the same time.
CREATE UNIQUE INDEX account_emails_proved ON account_emails (canonical) WHERE proof IS NOT NULL;
CREATE INDEX account_emails_canonical ON account_emails (canonical);

CREATE TABLE identities (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    provider TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    format TEXT NOT NULL,
    label TEXT,
    linked_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    UNIQUE (provider, issuer, subject, format)
);
CREATE INDEX identities_account ON identities (account);

-- source: the provider or the administrator; rule: the provider's mapping rule.
CREATE TABLE assignments (
    account TEXT NOT NULL REFERENCES accounts (id),
    kind TEXT NOT NULL CHECK (kind IN ('group', 'role')),
    name TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('provider', 'configuration', 'admin')),
    source TEXT NOT NULL,
    rule TEXT NOT NULL,
    assigned_at BIGINT NOT NULL,
    PRIMARY KEY (account, kind, name, origin, source, rule)
);

CREATE TABLE groups (
    name TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
);

CREATE TABLE roles (
    name TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
);

CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    secret TEXT NOT NULL UNIQUE,
    account TEXT NOT NULL REFERENCES accounts (id),
    proofs TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX sessions_account ON sessions (account);
CREATE INDEX sessions_expires ON sessions (expires_at);

-- The session may be swept before the grant (offline access), so it is no foreign key; clients can be
-- declared in a file, so they are none either.
CREATE TABLE grants (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    client TEXT NOT NULL,
    session TEXT NOT NULL,
    scope TEXT NOT NULL,
    resources TEXT NOT NULL,
    auth_time BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX grants_account ON grants (account);
CREATE INDEX grants_client ON grants (client);
CREATE INDEX grants_session ON grants (session);
CREATE INDEX grants_created ON grants (created_at);

CREATE TABLE codes (
    digest TEXT NOT NULL PRIMARY KEY,
    grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    client TEXT NOT NULL,
    redirect_uri TEXT,
    challenge TEXT,
    nonce TEXT,
    scope TEXT NOT NULL,
    resources TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX codes_grant ON codes (grant_id);
CREATE INDEX codes_expires ON codes (expires_at);

CREATE TABLE refresh_tokens (
    digest TEXT NOT NULL PRIMARY KEY,
    grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    client TEXT NOT NULL,
    scope TEXT NOT NULL,
    resources TEXT NOT NULL,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    successor TEXT,
    sealed_successor BYTEA
);
CREATE INDEX refresh_tokens_grant ON refresh_tokens (grant_id);
CREATE INDEX refresh_tokens_expires ON refresh_tokens (expires_at);

CREATE TABLE revoked_tokens (
    jti TEXT NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX revoked_tokens_expires ON revoked_tokens (expires_at);

CREATE TABLE consents (
    account TEXT NOT NULL REFERENCES accounts (id),
    client TEXT NOT NULL,
    scope TEXT NOT NULL,
    given_at BIGINT NOT NULL,
    PRIMARY KEY (account, client)
);
CREATE INDEX consents_client ON consents (client);

-- Whatever works once: the key is its purpose, a colon and its digest.
CREATE TABLE used_once (
    key TEXT NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX used_once_expires ON used_once (expires_at);

CREATE TABLE pending (
    digest TEXT NOT NULL PRIMARY KEY,
    sealed BYTEA NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX pending_expires ON pending (expires_at);

CREATE TABLE clients (
    id TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
);

CREATE TABLE resource_servers (
    id TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
);

CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    alg TEXT NOT NULL,
    issuer TEXT NOT NULL,
    state TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    activates_at BIGINT,
    retired_at BIGINT,
    longest_token BIGINT NOT NULL
);
CREATE UNIQUE INDEX signing_keys_active ON signing_keys (alg) WHERE state = 'active';
CREATE UNIQUE INDEX signing_keys_next ON signing_keys (alg) WHERE state = 'next';

CREATE TABLE meta (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE counters (
    name TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('config', 0);

CREATE TABLE invitations (
    digest TEXT NOT NULL PRIMARY KEY,
    provider TEXT,
    email TEXT,
    groups TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX invitations_expires ON invitations (expires_at);

CREATE TABLE audit_events (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    account TEXT,
    client TEXT,
    provider TEXT,
    reason TEXT,
    reference TEXT,
    data TEXT NOT NULL
);
CREATE INDEX audit_events_account ON audit_events (account, seq);
CREATE INDEX audit_events_reference ON audit_events (reference);

-- A ring, bounded in all and for each source; repeats within a minute are counted in one row: alike is a
-- digest of what the row tells.
CREATE TABLE refusals (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reference TEXT NOT NULL UNIQUE,
    at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    times BIGINT NOT NULL,
    source TEXT NOT NULL,
    alike TEXT NOT NULL,
    reason TEXT NOT NULL,
    provider TEXT,
    client TEXT,
    expected TEXT,
    received TEXT,
    steps TEXT NOT NULL,
    note TEXT NOT NULL
);
CREATE INDEX refusals_source ON refusals (source, seq);
CREATE INDEX refusals_alike ON refusals (source, alike, seq);
