-- What a user can set for a credential. Its way out and its headers are sealed.
ALTER TABLE credentials ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE credentials ADD COLUMN weight INTEGER NOT NULL DEFAULT 1;
ALTER TABLE credentials ADD COLUMN max_in_flight INTEGER;
ALTER TABLE credentials ADD COLUMN egress_sealed TEXT;
ALTER TABLE credentials ADD COLUMN headers_sealed TEXT;

ALTER TABLE providers ADD COLUMN credential_strategy TEXT;
-- JSON.
ALTER TABLE providers ADD COLUMN rules TEXT;
