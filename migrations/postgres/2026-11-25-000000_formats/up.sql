-- What a provider speaks beside its own format: a JSON list.
ALTER TABLE providers ADD COLUMN also_speaks TEXT;
-- What detection has found it to speak, the surest first: a JSON list.
ALTER TABLE providers ADD COLUMN detected_formats TEXT;
