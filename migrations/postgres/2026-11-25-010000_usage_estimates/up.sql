-- Whether the pool has counted the tokens by itself, because the upstream told none.
ALTER TABLE usage_entries ADD COLUMN usage_estimated BOOLEAN NOT NULL DEFAULT FALSE;
