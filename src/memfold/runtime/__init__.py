"""Models that answer without torch."""
