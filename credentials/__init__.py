"""What all Bearer credentials share: the header, the verdict, refusals, scopes, limits and the client's address."""
