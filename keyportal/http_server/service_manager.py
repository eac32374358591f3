"""Tell the service manager that the portal answers: systemd's Type=notify (sd_notify(3)).

gunicorn would say so before it has workers, and what starts after the portal would find nobody there.
"""

import logging
import socket
from collections.abc import MutableMapping
from typing import Final

logger = logging.getLogger(__name__)


class ServiceManager:
    """What has started the server, if it wants to know when the server is ready."""

    def __init__(self) -> None:
        self._address = ""

    def take_address(self, environ: MutableMapping[str, str]) -> None:
        """Take the address out of the environment, where gunicorn would look for it."""
        self._address = environ.pop("NOTIFY_SOCKET", "")

    def notify_ready(self) -> None:
        """Say that a worker listens. Said again by every worker, which changes nothing."""
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
                connection.sendto(b"READY=1", address)
        except OSError as error:
            logger.warning("the service manager does not hear that the portal is ready: %s", error.strerror)


service_manager: Final = ServiceManager()
"""That of this process. Workers inherit it."""
