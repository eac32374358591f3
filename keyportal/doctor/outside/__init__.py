"""What a client sees of the portal at its public address."""
