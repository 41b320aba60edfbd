-- What else is known of a grant, and the single claims that a person agreed to, as JSON. The defaults are what
-- earlier versions write.
ALTER TABLE grants ADD COLUMN details TEXT NOT NULL DEFAULT '{}';
ALTER TABLE consents ADD COLUMN claims TEXT NOT NULL DEFAULT '[]';
