"""Numbers that no driver counts, read per instance: Prometheus, HTTP endpoints, commands."""
