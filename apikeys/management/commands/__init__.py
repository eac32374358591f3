"""Management commands for keys."""
