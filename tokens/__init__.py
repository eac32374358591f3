"""Signed tokens: the auth endpoint, OAuth client credentials, refresh, revocation and JWKS."""
