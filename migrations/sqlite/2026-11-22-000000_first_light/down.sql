DROP TABLE usage_entries;
DROP TABLE cooldowns;
DROP TABLE access_keys;
DROP TABLE credentials;
DROP TABLE providers;
DROP TABLE pool_meta;
