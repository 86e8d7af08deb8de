"""What keeps running and carries traffic while slipway restarts: edge proxy and supervisor."""
