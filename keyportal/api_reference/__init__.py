"""The reference of API v1: its description (OpenAPI), and pages that are drawn from it."""
