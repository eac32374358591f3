"""The queries of verdicts: prepared, with a timeout."""
