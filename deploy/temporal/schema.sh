#!/bin/sh
# Bring both databases of the Temporal server to the schema of these tools; a second run changes
# nothing. Where and as whom is in SQL_HOST, SQL_PORT, SQL_USER, SQL_PASSWORD and SQL_PLUGIN.
set -eu
for pair in temporal:temporal temporal_visibility:visibility; do
    temporal-sql-tool --database "${pair%:*}" setup-schema --version 0.0
    temporal-sql-tool --database "${pair%:*}" update-schema \
        --schema-name "postgresql/v12/${pair#*:}"
done
