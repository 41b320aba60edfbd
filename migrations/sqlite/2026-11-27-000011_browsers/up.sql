-- In which browser a session is, as a digest of a name that opens nothing: a browser whose answer was lost, or that got two
-- at once, has its session by that.
ALTER TABLE sessions ADD COLUMN browser TEXT;
CREATE INDEX sessions_browser ON sessions (browser);
