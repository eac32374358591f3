"""Endpoints where other services check a credential: forward-auth, verify and introspection (RFC 7662)."""
