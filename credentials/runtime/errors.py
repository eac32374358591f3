"""Errors that several packages raise."""


class WouldBlockError(Exception):
    """The answer needs a query, which would block: not for the event loop."""
