-- What a provider speaks beside its own format: a JSON list.
ALTER TABLE providers ADD COLUMN also_speaks TEXT;
