-- By what name the provider knows the person of a session, as a digest: for logouts that name no session of the
-- provider's.
ALTER TABLE sessions ADD COLUMN upstream_name TEXT;
CREATE INDEX sessions_upstream_name ON sessions (upstream_name) WHERE upstream_name IS NOT NULL;
