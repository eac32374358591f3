"""A server that calls an API behind keyportal and waits as long as Retry-After says: requests with urllib3's retries.

    API_KEY=kp_live_… python examples/retrying_client.py https://api.example.com/reports/1

429 and 503 are not verdicts about the key: Retry-After says how many seconds to wait before sending the same request
again. 401 and 403 are verdicts: this client does not retry them, and shows them to a person who can act on them.
"""

import os
import sys

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

ATTEMPTS = 5
TIMEOUT = (3.05, 10)  # seconds to connect, and to wait for the response


def make_session(key: str) -> requests.Session:
    """Return a session that sends the key, and repeats requests that may be repeated.

    It waits as long as Retry-After says, else 0.5, 1, 2 … seconds with some jitter, so that a thousand clients that
    were refused together do not come back together.
    """
    retries = Retry(
        total=ATTEMPTS,
        status_forcelist=(429, 503),
        allowed_methods=None,  # keyportal refuses before the API acts, so even a POST may be repeated
        backoff_factor=0.5,
        backoff_jitter=0.3,
        respect_retry_after_header=True,
        raise_on_status=False,
    )
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {key}"
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=retries))
    return session


def main() -> None:
    """GET the URL from the command line and print the response."""
    response = make_session(os.environ["API_KEY"]).get(sys.argv[1], timeout=TIMEOUT, allow_redirects=False)
    if response.status_code in (401, 403):
        challenge = response.headers.get("WWW-Authenticate", "")
        sys.exit(f"The key was refused ({response.status_code}): {challenge}\n{response.text}")
    response.raise_for_status()
    print(response.text)


if __name__ == "__main__":
    main()
