"""The pages of a developer's keys."""
