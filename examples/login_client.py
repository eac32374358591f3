"""A command-line tool that keeps somebody signed in: log in once, refresh when needed, sign out.

    python examples/login_client.py https://keys.example.com login dev@example.com
    python examples/login_client.py https://keys.example.com get /api/v1/me
    python examples/login_client.py https://keys.example.com logout

The password is read from the terminal (or standard input) and kept nowhere. The tokens are kept in a file that only the
user may read; while one process refreshes, others wait for it, because a refresh token is good for one use only.
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
EARLY = 30  # seconds before its end at which a token is exchanged


def main() -> None:
    """Do what the command line says."""
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
    """Swap e-mail address and password for a pair of tokens."""
    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    login = base64.b64encode(f"{email}:{password}".encode()).decode()
    return stamped(call("POST", f"{portal}/api/v1/tokens", authorization=f"Basic {login}"))


def get(portal: str, path: str, tokens: dict[str, Any]) -> Any:
    """GET something with a token that is good, exchanging it first if it is about to end."""
    if not tokens:
        sys.exit("Log in first.")
    if time.time() > tokens["good_until"] - EARLY:
        tokens.update(refresh(portal, tokens))
    return call("GET", portal + path, authorization=f"Bearer {tokens['access_token']}")


def refresh(portal: str, tokens: dict[str, Any]) -> dict[str, Any]:
    """Spend the refresh token for the next pair. If it is good no more, somebody has to log in again."""
    try:
        return stamped(call("POST", f"{portal}/api/v1/tokens/refresh", {"refresh_token": tokens["refresh_token"]}))
    except HTTPError as error:
        if error.code != 400:  # noqa: PLR2004
            raise
        tokens.clear()
        sys.exit("You were signed out. Log in again.")


def log_out(portal: str, tokens: dict[str, Any]) -> None:
    """End the log-in at the portal, and forget the tokens here whatever it says."""
    access_token = tokens.get("access_token")
    tokens.clear()
    if access_token:
        try:
            call("DELETE", f"{portal}/api/v1/tokens", authorization=f"Bearer {access_token}")
        except HTTPError as error:
            if error.code != 401:  # noqa: PLR2004  # it had ended already
                raise


def stamped(answer: dict[str, Any]) -> dict[str, Any]:
    """Note until when the access token is good, by this machine's own clock."""
    return {**answer, "good_until": time.time() + answer["expires_in"]}


def call(method: str, url: str, body: object = None, *, authorization: str = "") -> Any:
    """Send one request and give its JSON."""
    headers = {"Authorization": authorization} if authorization else {}
    if body is not None:
        headers["Content-Type"] = "application/json"
    request = Request(url, json.dumps(body).encode() if body is not None else None, headers, method=method)
    with urlopen(request, timeout=10) as answer:
        text = answer.read()
        return json.loads(text) if text else None


@contextmanager
def store() -> Iterator[dict[str, Any]]:
    """Hold the file of tokens alone, give its content, and write back what became of it, also when the block exits."""
    STORE.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(STORE, os.O_RDWR | os.O_CREAT, 0o600)
    os.fchmod(descriptor, 0o600)  # also one that was there before
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
