"""What every Bearer credential has in common: the header, the verdict, refusals, scopes, the client's address."""
