-- The ledger summed up by hour, kept in the transaction that adds the entries. Hours outlive entries.
CREATE TABLE usage_hours (
    -- The first millisecond of the hour.
    hour BIGINT NOT NULL,
    -- Empty for requests that reached no provider.
    provider_id TEXT COLLATE "C" NOT NULL,
    -- The model that was asked for.
    model TEXT COLLATE "C" NOT NULL,
    requests BIGINT NOT NULL,
    completed BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    cancelled BIGINT NOT NULL,
    -- Completed requests of which no tokens are known.
    unreported BIGINT NOT NULL,
    -- Requests whose tokens the pool has counted by itself.
    estimated BIGINT NOT NULL,
    tokens_input BIGINT NOT NULL,
    tokens_cache_read BIGINT NOT NULL,
    tokens_cache_write_5m BIGINT NOT NULL,
    tokens_cache_write_1h BIGINT NOT NULL,
    tokens_output BIGINT NOT NULL,
    -- How long completed requests took, together.
    completed_ms BIGINT NOT NULL,
    PRIMARY KEY (hour, provider_id, model)
);

INSERT INTO usage_hours
SELECT
    at - at % 3600000,
    COALESCE(provider_id, ''),
    model,
    COUNT(*),
    COUNT(CASE WHEN outcome = 'completed' THEN 1 END),
    COUNT(CASE WHEN outcome = 'failed' THEN 1 END),
    COUNT(CASE WHEN outcome = 'cancelled' THEN 1 END),
    COUNT(CASE WHEN outcome = 'completed' AND tokens_input IS NULL THEN 1 END),
    COUNT(CASE WHEN usage_estimated THEN 1 END),
    COALESCE(SUM(tokens_input), 0),
    COALESCE(SUM(tokens_cache_read), 0),
    COALESCE(SUM(tokens_cache_write_5m), 0),
    COALESCE(SUM(tokens_cache_write_1h), 0),
    COALESCE(SUM(tokens_output), 0),
    COALESCE(SUM(CASE WHEN outcome = 'completed' THEN duration_ms END), 0)
FROM usage_entries
GROUP BY 1, 2, 3;
