-- What clients may ask for besides the names that providers list. Times are milliseconds since the
-- Unix epoch, UTC. JSON is text.

CREATE TABLE routes (
    name TEXT NOT NULL PRIMARY KEY,
    targets TEXT NOT NULL,
    strategy TEXT,
    fallbacks TEXT NOT NULL,
    hedge BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE model_aliases (
    name TEXT NOT NULL PRIMARY KEY,
    model TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
