"""One module per revision of the schema, oldest first; a published one never changes."""
