"""A Redis of the test's own, which it may stop, freeze and start again."""

import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.certificates import new_certificate
from tests.ports import free_port
from tests.waiting import DEADLINE, wait_until


class RedisServer:
    """One redis-server process on a free port, keeping nothing on disk."""

    def __init__(self, folder: Path, *, tls: bool = False) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._ports = ["--port", str(self.port)]
        if tls:
            for name, text in zip(("certificate", "key"), new_certificate("127.0.0.1"), strict=True):
                (folder / name).write_bytes(text)
            self.url = f"rediss://127.0.0.1:{self.port}/0?ssl_ca_certs={folder}/certificate"
            self._ports = ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
            self._ports += ["--tls-cert-file", f"{folder}/certificate", "--tls-key-file", f"{folder}/key"]
            self._ports += ["--tls-ca-cert-file", f"{folder}/certificate"]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = ["redis-server", *self._ports, "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until(self._listens)

    def freeze(self) -> None:
        """Make it listen and never answer."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it at once, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=DEADLINE)
            self.process = None

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def redis_server(*, tls: bool = False) -> Iterator[RedisServer]:
    """Start a Redis; afterwards nothing is left of it. With `tls` it speaks nothing else."""
    folder = Path(tempfile.mkdtemp(prefix="keyportal-redis-"))
    server = RedisServer(folder, tls=tls)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
