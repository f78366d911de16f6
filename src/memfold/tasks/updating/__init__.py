"""Going on from a model with new data: what it keeps of the old, what grows, and what is forgotten."""
