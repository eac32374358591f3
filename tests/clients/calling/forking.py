"""A program for tests: forks while a token is fetched, and has the child fetch its own. Its arguments: portal, key."""

import os
import sys
import threading

from keyportal_client.calling import ClientCredentials
from keyportal_client.calling.renewing import AccessToken


class Held(ClientCredentials):
    """A credential whose parent's fetch never ends."""

    def __init__(self, portal: str, key: str) -> None:
        super().__init__(portal, key)
        self.begun = threading.Event()
        self._parent = os.getpid()

    def fetch(self) -> AccessToken:
        """Return the next token, in the child."""
        if os.getpid() == self._parent:
            self.begun.set()
            threading.Event().wait()
        return super().fetch()


def main(portal: str, key: str) -> None:
    """Fork, and end as the child does."""
    credential = Held(portal, key)
    threading.Thread(target=credential.current, daemon=True).start()
    credential.begun.wait()
    child = os.fork()
    if not child:
        sys.stdout.write(f"child {credential.current().partition('-')[0]}\n")
        sys.stdout.flush()
        os._exit(0)
    sys.exit(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    main(*sys.argv[1:])
