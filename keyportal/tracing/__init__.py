"""Traces by OpenTelemetry, where its variables name a collector (decision 31).

A worker exports a span for each request that Django answers and for each verdict that reaches a thread, and one for
each of their queries. A span holds a route, a method, a status, an outcome, a request id, and the names of tables;
never a path, a query, a header, an address, a parameter or the text of an error. Where no collector is named, the
portal imports nothing of OpenTelemetry, and no verdict does more work.
"""
