"""English formats, the only ones."""
