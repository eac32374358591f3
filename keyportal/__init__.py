"""The project around the apps: settings, URLs, server, middleware and the error format. It has no domain rules."""
