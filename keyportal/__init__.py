"""The frame: settings, URLs, WSGI, middleware and the error format. No rule of the domain lives here."""
