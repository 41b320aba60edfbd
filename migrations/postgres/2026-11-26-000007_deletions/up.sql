-- What of an account's profile each identity stands behind, as a list of field names; so that it can go with the
-- identity. Of identities that an older version linked nothing is known.
ALTER TABLE identities ADD COLUMN said TEXT NOT NULL DEFAULT '[]';

-- Receipts of deletions that people asked for at a provider, by the digest of the confirmation code. A receipt
-- leads to nobody.
CREATE TABLE deletions (
    digest TEXT NOT NULL PRIMARY KEY,
    provider TEXT NOT NULL,
    outcome TEXT NOT NULL,
    done_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX deletions_expires ON deletions (expires_at);
