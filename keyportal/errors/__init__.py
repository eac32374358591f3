"""What clients get when something is wrong."""
