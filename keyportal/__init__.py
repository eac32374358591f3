"""The project around the apps: settings, URLs, server, middleware and the error format. It has no domain rules."""

from typing import Final

VERSION: Final = "0.1.0"
"""The portal's, as pyproject.toml has it."""
