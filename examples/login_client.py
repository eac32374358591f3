"""A command-line tool that stays signed in: log in once, refresh when needed, sign out.

    python examples/login_client.py https://keys.example.com login dev@example.com
    python examples/login_client.py https://keys.example.com get /api/v1/me
    python examples/login_client.py https://keys.example.com logout

It reads the password from the terminal (or standard input) and never stores it. It keeps the tokens in a file that only
the user may read. While one process refreshes, others wait for it, because a refresh token can be used only once.
"""

import base64
import fcntl
import getpass
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

STORE = Path(os.environ.get("LOGIN_CLIENT_STORE", Path.home() / ".config" / "keyportal-example.json"))
EARLY = 30  # seconds before expiry at which a token is refreshed


def main() -> None:
    """Run the command."""
    portal, action, *rest = sys.argv[1:]
    portal = portal.rstrip("/")
    with store() as tokens:
        if action == "login":
            tokens.update(log_in(portal, rest[0]))
        elif action == "get":
            print(json.dumps(get(portal, rest[0], tokens), indent=2))
        elif action == "logout":
            log_out(portal, tokens)
        else:
            sys.exit(__doc__)


def log_in(portal: str, email: str) -> dict[str, Any]:
    """Exchange e-mail address and password for a pair of tokens."""
    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    login = base64.b64encode(f"{email}:{password}".encode()).decode()
    return add_expiry(call("POST", f"{portal}/api/v1/tokens", authorization=f"Basic {login}"))


def get(portal: str, path: str, tokens: dict[str, Any]) -> Any:
    """GET a path with a valid token, which is refreshed first if it is about to expire."""
    if not tokens:
        sys.exit("Log in first.")
    if time.time() > tokens["good_until"] - EARLY:
        tokens.update(refresh(portal, tokens))
    return call("GET", portal + path, authorization=f"Bearer {tokens['access_token']}")


def refresh(portal: str, tokens: dict[str, Any]) -> dict[str, Any]:
    """Exchange the refresh token for the next pair. Exits if it is no longer valid, and the user must log in again."""
    try:
        return add_expiry(call("POST", f"{portal}/api/v1/tokens/refresh", {"refresh_token": tokens["refresh_token"]}))
    except HTTPError as error:
        if error.code != 400:  # noqa: PLR2004
            raise
        tokens.clear()
        sys.exit("You were signed out. Log in again.")


def log_out(portal: str, tokens: dict[str, Any]) -> None:
    """End the log-in at the portal, and delete the tokens here whatever the portal answers."""
    access_token = tokens.get("access_token")
    tokens.clear()
    if access_token:
        try:
            call("DELETE", f"{portal}/api/v1/tokens", authorization=f"Bearer {access_token}")
        except HTTPError as error:
            if error.code != 401:  # noqa: PLR2004  # it had already ended
                raise


def add_expiry(tokens: dict[str, Any]) -> dict[str, Any]:
    """Add the time until which the access token is valid, by this machine's own clock."""
    return {**tokens, "good_until": time.time() + tokens["expires_in"]}


def call(method: str, url: str, body: object = None, *, authorization: str = "") -> Any:
    """Send one request and return the JSON of its response."""
    headers = {"Authorization": authorization} if authorization else {}
    if body is not None:
        headers["Content-Type"] = "application/json"
    request = Request(url, json.dumps(body).encode() if body is not None else None, headers, method=method)
    with urlopen(request, timeout=10) as response:
        text = response.read()
        return json.loads(text) if text else None


@contextmanager
def store() -> Iterator[dict[str, Any]]:
    """Lock the token file, yield its content, and write back the changes, even if the block exits early."""
    STORE.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(STORE, os.O_RDWR | os.O_CREAT, 0o600)
    os.fchmod(descriptor, 0o600)  # for a file that existed before, too
    with os.fdopen(descriptor, "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        text = file.read()
        tokens: dict[str, Any] = json.loads(text) if text else {}
        try:
            yield tokens
        finally:
            file.seek(0)
            file.truncate()
            json.dump(tokens, file)


if __name__ == "__main__":
    main()
