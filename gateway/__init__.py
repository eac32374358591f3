"""Other services ask here whether a credential is good: forward-auth, verify, introspection (RFC 7662)."""
