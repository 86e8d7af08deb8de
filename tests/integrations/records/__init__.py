"""The records on SQLite and on PostgreSQL."""
