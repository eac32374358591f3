"""Requests and responses as Django sees them: middleware, policies, static files."""
