#!/bin/sh
# Make the users and databases of Temporal and of slipway. The postgres image runs this once, when
# its volume is empty; passwords are those of docker-compose.yml.
set -eu
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" \
    --dbname=postgres --set=temporal="$TEMPORAL_DB_PASSWORD" --set=slipway="$SLIPWAY_DB_PASSWORD" <<'SQL'
CREATE ROLE temporal LOGIN PASSWORD :'temporal';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
CREATE ROLE slipway LOGIN PASSWORD :'slipway';
CREATE DATABASE slipway OWNER slipway;
REVOKE CONNECT ON DATABASE slipway, temporal, temporal_visibility FROM PUBLIC;
SQL
