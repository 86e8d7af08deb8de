"""How fast and how small slipway is, against rivals that stand beside it."""
