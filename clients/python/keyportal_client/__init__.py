"""A client of keyportal, the developer portal for API keys. The library needs nothing but the standard library."""

__version__ = "0.1.0"
