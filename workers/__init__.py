"""What runs where, with what in its hands."""
