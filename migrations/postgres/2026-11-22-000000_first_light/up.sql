-- Times are milliseconds since the Unix epoch, UTC. JSON is text.

-- Marks the database as ours.
CREATE TABLE pool_meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

INSERT INTO pool_meta (name, value) VALUES ('application', 'providerpool');

-- What users have set. A catalogue provider has no row until it is changed, and then a row that
-- holds only the changes: hence the many columns that may be absent.
CREATE TABLE providers (
    id TEXT NOT NULL PRIMARY KEY,
    custom BOOLEAN NOT NULL,
    name TEXT,
    location TEXT,
    base_url TEXT,
    chat_path TEXT,
    api_format TEXT,
    priority INTEGER,
    enabled BOOLEAN,
    models TEXT,
    headers_sealed TEXT,
    last_error TEXT,
    last_error_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- No foreign key: the provider may be in the catalogue only.
CREATE TABLE credentials (
    id TEXT NOT NULL PRIMARY KEY,
    provider_id TEXT NOT NULL,
    label TEXT,
    secret_sealed TEXT NOT NULL,
    mask TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    -- Also the index by provider.
    UNIQUE (provider_id, fingerprint)
);

CREATE TABLE access_keys (
    id TEXT NOT NULL PRIMARY KEY,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    allowed_models TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

CREATE TABLE cooldowns (
    scope_key TEXT NOT NULL PRIMARY KEY,
    provider_id TEXT NOT NULL,
    credential_id TEXT,
    model TEXT,
    cause TEXT NOT NULL,
    status INTEGER,
    started_at BIGINT NOT NULL,
    until BIGINT NOT NULL,
    strikes INTEGER NOT NULL
);

-- The ledger. No token column is filled when the upstream reported none.
CREATE TABLE usage_entries (
    request_id TEXT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    client_key_id TEXT NOT NULL,
    model TEXT NOT NULL,
    provider_id TEXT,
    upstream_model TEXT,
    credential_id TEXT,
    outcome TEXT NOT NULL,
    failure TEXT,
    streamed BOOLEAN NOT NULL,
    attempts INTEGER NOT NULL,
    tokens_input BIGINT,
    tokens_cache_read BIGINT,
    tokens_cache_write_5m BIGINT,
    tokens_cache_write_1h BIGINT,
    tokens_output BIGINT,
    first_event_ms BIGINT,
    duration_ms BIGINT NOT NULL
);

CREATE INDEX usage_entries_by_time ON usage_entries (at);
