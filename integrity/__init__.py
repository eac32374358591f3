"""The database as it could have been changed: the key rings in use, and rows under a seal."""
