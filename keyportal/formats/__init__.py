"""Formats of times that libraries write: the admin's lists show UTC, as every page does."""
