-- Times are milliseconds since the Unix epoch, UTC. Flags are 0 or 1. JSON is text.

-- Marks the database as ours.
CREATE TABLE pool_meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

INSERT INTO pool_meta (name, value) VALUES ('application', 'providerpool');

-- What users have set. A catalogue provider has no row until it is changed, and then a row that
-- holds only the changes: hence the many columns that may be absent.
CREATE TABLE providers (
    id TEXT NOT NULL PRIMARY KEY,
    custom INTEGER NOT NULL,
    name TEXT,
    location TEXT,
    base_url TEXT,
    chat_path TEXT,
    api_format TEXT,
    priority INTEGER,
    enabled INTEGER,
    models TEXT,
    headers_sealed TEXT,
    last_error TEXT,
    last_error_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- No foreign key: the provider may be in the catalogue only.
CREATE TABLE credentials (
    id TEXT NOT NULL PRIMARY KEY,
    provider_id TEXT NOT NULL,
    label TEXT,
    secret_sealed TEXT NOT NULL,
    mask TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    -- Also the index by provider.
    UNIQUE (provider_id, fingerprint)
) STRICT;

CREATE TABLE access_keys (
    id TEXT NOT NULL PRIMARY KEY,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    allowed_models TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

CREATE TABLE cooldowns (
    scope_key TEXT NOT NULL PRIMARY KEY,
    provider_id TEXT NOT NULL,
    credential_id TEXT,
    model TEXT,
    cause TEXT NOT NULL,
    status INTEGER,
    started_at INTEGER NOT NULL,
    until INTEGER NOT NULL,
    strikes INTEGER NOT NULL
) STRICT;

-- The ledger. No token column is filled when the upstream reported none.
CREATE TABLE usage_entries (
    request_id TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    client_key_id TEXT NOT NULL,
    model TEXT NOT NULL,
    provider_id TEXT,
    upstream_model TEXT,
    credential_id TEXT,
    outcome TEXT NOT NULL,
    failure TEXT,
    streamed INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    tokens_input INTEGER,
    tokens_cache_read INTEGER,
    tokens_cache_write_5m INTEGER,
    tokens_cache_write_1h INTEGER,
    tokens_output INTEGER,
    first_event_ms INTEGER,
    duration_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX usage_entries_by_time ON usage_entries (at);
