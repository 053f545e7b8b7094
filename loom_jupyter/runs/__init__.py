"""Runs: the event schema, the JSON Lines log, control, and the background runner."""
