"""Template filters of the accounts application."""
