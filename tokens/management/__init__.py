"""Management commands for signed tokens."""
