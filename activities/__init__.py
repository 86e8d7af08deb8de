"""What we can do to the world: one class per capability."""
