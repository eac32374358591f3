"""Management commands of the accounts application."""
