"""The description of API v1 (OpenAPI 3.1), made by drf-spectacular and written by `make reference`.

Only who works on the portal needs drf-spectacular: a running portal serves the file that was written.
"""
