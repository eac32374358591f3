"""The command `keyportal`."""
