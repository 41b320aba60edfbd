-- Codes that prove addresses: one row for the sign-in that asks, with the latest code as a keyed digest.
CREATE TABLE email_codes (
    sign_in TEXT NOT NULL PRIMARY KEY,
    mac TEXT NOT NULL,
    tries BIGINT NOT NULL,
    sent BIGINT NOT NULL,
    used BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX email_codes_expires ON email_codes (expires_at);

-- What may be done a few times in a while: mails to one address, for one network, for one identity.
CREATE TABLE allowances (
    key TEXT NOT NULL PRIMARY KEY,
    spent BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX allowances_expires ON allowances (expires_at);
