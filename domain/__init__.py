"""What is true, and what follows: frozen records and pure functions."""
