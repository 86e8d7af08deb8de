"""What happens, in which order, and what do we wait for."""
