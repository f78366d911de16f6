"""Watching series point by point: what is usual, how far a point is from it, and when to say so."""
