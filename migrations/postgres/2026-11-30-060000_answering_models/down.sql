-- Hours sum up under the model that was asked for.
INSERT INTO usage_hours (
    hour, provider_id, model, requests, completed, failed, cancelled, unreported, estimated,
    tokens_input, tokens_cache_read, tokens_cache_write_5m, tokens_cache_write_1h, tokens_output, completed_ms
)
SELECT
    at - at % 3600000,
    COALESCE(provider_id, ''),
    name,
    SUM(sign * 1),
    SUM(sign * (CASE WHEN outcome = 'completed' THEN 1 ELSE 0 END)),
    SUM(sign * (CASE WHEN outcome = 'failed' THEN 1 ELSE 0 END)),
    SUM(sign * (CASE WHEN outcome = 'cancelled' THEN 1 ELSE 0 END)),
    SUM(sign * (CASE WHEN outcome = 'completed' AND tokens_input IS NULL THEN 1 ELSE 0 END)),
    SUM(sign * (CASE WHEN usage_estimated THEN 1 ELSE 0 END)),
    SUM(sign * COALESCE(tokens_input, 0)),
    SUM(sign * COALESCE(tokens_cache_read, 0)),
    SUM(sign * COALESCE(tokens_cache_write_5m, 0)),
    SUM(sign * COALESCE(tokens_cache_write_1h, 0)),
    SUM(sign * COALESCE(tokens_output, 0)),
    SUM(sign * (CASE WHEN outcome = 'completed' THEN duration_ms ELSE 0 END))
FROM (
    SELECT usage_entries.*, model AS name, 1 AS sign FROM usage_entries
    UNION ALL
    SELECT usage_entries.*, upstream_model AS name, -1 AS sign FROM usage_entries
) AS moved
WHERE upstream_model IS NOT NULL AND upstream_model <> model
GROUP BY 1, 2, 3
ON CONFLICT (hour, provider_id, model) DO UPDATE SET
    requests = usage_hours.requests + excluded.requests,
    completed = usage_hours.completed + excluded.completed,
    failed = usage_hours.failed + excluded.failed,
    cancelled = usage_hours.cancelled + excluded.cancelled,
    unreported = usage_hours.unreported + excluded.unreported,
    estimated = usage_hours.estimated + excluded.estimated,
    tokens_input = usage_hours.tokens_input + excluded.tokens_input,
    tokens_cache_read = usage_hours.tokens_cache_read + excluded.tokens_cache_read,
    tokens_cache_write_5m = usage_hours.tokens_cache_write_5m + excluded.tokens_cache_write_5m,
    tokens_cache_write_1h = usage_hours.tokens_cache_write_1h + excluded.tokens_cache_write_1h,
    tokens_output = usage_hours.tokens_output + excluded.tokens_output,
    completed_ms = usage_hours.completed_ms + excluded.completed_ms;

DELETE FROM usage_hours WHERE requests = 0;
