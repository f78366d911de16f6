"""Sound as it comes: front ends, networks step by step, commands in it, and the text of it."""
