"""API keys and their secrets: the portal's pages, the API and the authentication class."""
