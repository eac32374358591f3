"""Management commands of the audit application."""
