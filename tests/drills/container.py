"""The portal's image, run as `docker run --read-only --cap-drop all --security-opt no-new-privileges` runs it.

No engine for containers runs everywhere that tests do, so this makes the container out of what an engine uses itself:
namespaces for mounts and processes, the image's root mounted read-only, its user, no capability and no new privileges.
What it leaves to a real engine is the network (that of the host), cgroups and the filter for system calls.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.processes import ROOT
from tests.waiting import DEADLINE, wait_until

IMAGE: Final = "localhost/keyportal:latest"
VOLUME: Final = "/var/lib/keyportal"
STORAGE: Final = os.environ.get("STORAGE_DRIVER", "vfs")
MAKE: Final = """
set -eu
root="$1" folder="$2" mounts="$3" user="$4"
shift 4
mount --bind "$root" "$folder"
mount -o remount,bind,ro "$folder"
mount -t proc -o nosuid,nodev,noexec proc "$folder/proc"
mount -t tmpfs -o nosuid,noexec,mode=755 tmpfs "$folder/dev"
for device in null zero full random urandom; do
  touch "$folder/dev/$device"
  mount --bind "/dev/$device" "$folder/dev/$device"
done
mkdir "$folder/dev/shm"
mount -t tmpfs -o nosuid,nodev,noexec,mode=1777,size=64m tmpfs "$folder/dev/shm"
for mounted in $mounts; do
  case "$mounted" in
    tmpfs:*) mount -t tmpfs -o mode=777 tmpfs "$folder${mounted#*:}" ;;
    *) mount --bind "${mounted%%:*}" "$folder${mounted#*:}" ;;
  esac
done
exec chroot "$folder" setpriv --reuid "${user%:*}" --regid "${user#*:}" --clear-groups --no-new-privs \
  --bounding-set=-all --inh-caps=-all -- "$@"
"""


def buildah(*arguments: str) -> str:
    """Run buildah; return what it printed. Raises `CalledProcessError`."""
    command = ["buildah", "--storage-driver", STORAGE, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


class Image:
    """The image, unpacked."""

    def __init__(self, root: str, config: Mapping[str, Any]) -> None:
        self.root = root
        self.config = config

    def user_id(self) -> int:
        """Return who runs in it."""
        return int(self.config["User"].partition(":")[0])


@contextmanager
def built_image() -> Iterator[Image]:
    """Build the image by `make image`, and unpack it until the block is left."""
    subprocess.run(["make", "image"], cwd=ROOT, check=True)
    config = json.loads(buildah("inspect", "--type", "image", IMAGE))["Docker"]["config"]
    container = buildah("from", "--pull-never", IMAGE)
    try:
        yield Image(buildah("mount", container), config)
    finally:
        buildah("rm", container)


class Container:
    """One container of the image, with folders of the test as its volumes."""

    def __init__(self, image: Image, folder: Path, volume: Path | str | None, *more: str, **environment: str) -> None:
        self.image = image
        self.mounted_at = folder / "root"
        self.mounted_at.mkdir(exist_ok=True)
        self.mounts = " ".join([*([f"{volume}:{VOLUME}"] if volume else []), *more])
        self.log = folder / "container.log"
        self.environment = dict(entry.split("=", 1) for entry in image.config["Env"]) | environment
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, *arguments: str, entry: bool = True) -> list[str]:
        """Return the command that makes a container and runs this in it."""
        inside = [*(self.image.config["Entrypoint"] if entry else []), *arguments]
        folder = ["env", f"--chdir={self.image.config['WorkingDir']}"]
        make = ["sh", "-c", MAKE, "make", self.image.root, str(self.mounted_at), self.mounts, self.image.config["User"]]
        isolate = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "--ipc"]
        return [*isolate, *make, *folder, *inside]

    def run(self, *arguments: str, entry: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments, entry=entry),
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE,
        )

    def start(self) -> None:
        """Start what the image starts by itself."""
        with self.log.open("ab") as log:
            command = self.command(*self.image.config["Cmd"])
            self.process = subprocess.Popen(command, env=self._environment(), stdout=log, stderr=log)

    def first_process(self) -> int:
        """Return the process id of the container's process 1, as the host counts, once it is the server."""
        assert self.process
        (first,) = children_of(self.process.pid)
        return first

    def processor_seconds(self) -> float:
        """Return how much of a processor it has used, with what has ended in it. A busy machine does not change it."""
        processes = [first := self.first_process(), *children_of(first)]
        stats = [Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split() for process in processes]
        ticks = [sum(map(int, stat[11:15])) for stat in stats]
        return sum(ticks) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> int:
        """End it as an engine does; return the exit status."""
        assert self.process
        os.kill(self.first_process(), signal.SIGTERM)
        return self.ended()

    def kill(self) -> None:
        """End whatever still runs of it."""
        if self.process is not None:
            self.process.kill()  # and with it, all in its namespace of processes
            self.process.wait(timeout=DEADLINE)

    def ended(self) -> int:
        """Wait until it has ended; return the exit status."""
        assert self.process
        return self.process.wait(timeout=DEADLINE)

    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"} | self.environment


def children_of(process: int) -> list[int]:
    """Return the process ids of a process's children."""
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def workers_of(container: Container) -> list[int]:
    """Return the process ids of the workers, as soon as there are all of them."""
    return wait_until(lambda: children_of(container.first_process()))
