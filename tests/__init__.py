"""The tests: one folder a room, one file an action."""
