"""A program that reads reports from an API with its key.

    pip install ./clients/python
    REPORTS_URL=https://api.example.com REPORTS_KEY=kp_live_… python consumer.py

It sends the key to that address alone, waits while the API says that it should (429 and 503), up to a minute, and warns
before the key ends.
"""

import os
import sys

import httpx

from keyportal_client.calling import BearerAuth


def main() -> int:
    """Print the reports; return the exit status."""
    address = os.environ["REPORTS_URL"]
    try:
        with httpx.Client(base_url=address, auth=BearerAuth(address, key=os.environ["REPORTS_KEY"])) as client:
            response = client.get("/reports")
    except httpx.TransportError as error:
        print(f"The API at {address} can't be reached ({type(error).__name__}).", file=sys.stderr)
        return 1
    if response.status_code in (401, 403):
        print(f"The key was refused: {response.text}", file=sys.stderr)
    elif response.is_error:
        print(f"The API answers {response.status_code}, and has done so for as long as is waited for.", file=sys.stderr)
    else:
        print(response.text)
    return 0 if response.is_success else 1


if __name__ == "__main__":
    sys.exit(main())
