"""Other services ask here whether a credential is good: introspection (RFC 7662)."""
