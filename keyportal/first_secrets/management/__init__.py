"""Commands of the first secrets."""
