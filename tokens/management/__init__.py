"""Management commands of the tokens room."""
