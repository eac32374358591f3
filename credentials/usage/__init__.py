"""Usage: calls counted in memory, and written to the database every few seconds."""
