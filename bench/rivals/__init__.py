"""Rivals: the least that does the same work, to measure ours against."""
