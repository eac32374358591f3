"""The management API, called by Django's client with a key."""

import json
from typing import Any

from django.test import Client

KEYS = "/api/v1/keys"


class Api:
    """The API as one credential sees it."""

    def __init__(self, credential: str) -> None:
        self._client = Client()
        self._credential = credential

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send a request and return the response. Headers are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._client.generic(
            method,
            path,
            b"" if body is None else json.dumps(body).encode(),
            content_type="application/json",
            secure=True,
            headers={"Authorization": f"Bearer {self._credential}", **named},
        )

    def get(self, path: str, **headers: str) -> Any:
        return self("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self("POST", path, body, **headers)
