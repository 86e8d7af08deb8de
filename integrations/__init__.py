"""How each vendor is spoken to: one file per vendor."""
