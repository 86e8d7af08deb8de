"""Rollouts under load while workers, server, supervisor, edge and services are killed."""
