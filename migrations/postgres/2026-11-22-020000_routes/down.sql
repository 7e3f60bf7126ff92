DROP TABLE model_aliases;
DROP TABLE routes;
