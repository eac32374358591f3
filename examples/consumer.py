"""A program that reads reports from an API with its key.

    pip install ./clients/python
    REPORTS_URL=https://api.example.com REPORTS_KEY=kp_live_… python consumer.py

It sends the key to that address alone, waits where the API says that it should (429 and 503), and warns before the key
ends.
"""

import os
import sys

import httpx

from keyportal_client.calling import BearerAuth


def main() -> int:
    """Print the reports; return the exit status."""
    address = os.environ["REPORTS_URL"]
    with httpx.Client(base_url=address, auth=BearerAuth(address, key=os.environ["REPORTS_KEY"])) as client:
        response = client.get("/reports")
    if response.status_code in (401, 403):
        print(f"The key was refused: {response.json()['detail']}", file=sys.stderr)
        return 1
    response.raise_for_status()
    print(*response.json()["reports"], sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
