-- Who proved an address while its word counted for the domain, where nobody's proof of it counts now.
ALTER TABLE account_emails ADD COLUMN lapsed TEXT;
