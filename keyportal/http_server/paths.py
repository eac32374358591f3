"""Which threads answer a path: what waits for the database must not hold up verdicts."""

from typing import Final

VERDICT_PATHS: Final = ("/gateway/", "/api/v1/verify", "/api/v1/changes", "/api/v1/me", "/oauth/introspect")
"""Paths on which production traffic of other services depends."""
MONITORING_PATHS: Final = ("/healthz", "/readyz", "/metrics")
"""Paths that monitoring requests. They must not wait for pages either, least of all when something is wrong."""
STORING_PATHS: Final = ("/api/v1/usage",)
"""Paths where services wait until something is stored. No request of a client depends on them."""
HEALTH: Final = "/healthz"
SAFE_METHODS: Final = ("GET", "HEAD")
"""The methods in which the event loop answers it."""
