"""Keys and their secrets: the portal's pages, the API, the authentication class."""
