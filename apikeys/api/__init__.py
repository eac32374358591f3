"""The API of keys."""
