-- Run by psql as the owner of the ledger: a role that sees what the dashboard asks for, and
-- neither keys nor sessions nor raw intervals. May be run again.
\set ON_ERROR_STOP on
\getenv password CARBON_PG_READER_PASSWORD

SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'carbon_reader') AS is_new \gset
\if :is_new
CREATE ROLE carbon_reader LOGIN;
\endif
ALTER ROLE carbon_reader PASSWORD :'password';
GRANT SELECT ON team, workload, workload_hour TO carbon_reader;
