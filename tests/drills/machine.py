"""A fresh Debian machine: made by debootstrap, booted by its own systemd, in namespaces of this one.

Its processes, mounts and host name are its own; the network is that of this machine, for apt. What a kernel of its own
would add is not a part of it.
"""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.processes import ROOT
from tests.waiting import DEADLINE, wait_until

SUITE: Final = "trixie"
BASE: Final = ROOT / f"var/drill/{SUITE}.tar"
"""Debian as it is installed, made once. An archive, because a portal in local mode takes modes away under var."""
PORTS: Final = (80, 443, 5432, 6379, 8000)
UMASK: Final = 0o022
"""That of a log-in of root's."""
BOOT: Final = """
set -eu
base="$1" folder="$2"
shift 2
root="$folder/root"
mkdir "$root"
tar -C "$root" -xf "$base"
mount --bind "$root" "$root"
for mounted; do
  mkdir -p "$root/mnt/$(basename "$mounted")"
  mount --bind "$mounted" "$root/mnt/$(basename "$mounted")"
done
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
  IFS=: read -r name major minor <<NUMBERS
$device
NUMBERS
  mknod -m 666 "$root/dev/$name" c "$major" "$minor"
done
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
mkdir "$root/former"
cd "$root"
pivot_root . former
umount -l /former
exec env -i container=drill PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --show-status=no
"""


class Machine:
    """A machine that runs."""

    def __init__(self, first: int) -> None:
        self._first = first

    def run(self, script: str, *, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a script of bash as root, in one shell that ends at the first error; return what it printed."""
        enter = ["nsenter", f"--target={self._first}", "--mount", "--pid", "--ipc", "--uts", "--cgroup"]
        variables = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", **environment}
        given = [f"{name}={value}" for name, value in variables.items()]
        done = subprocess.run(
            [*enter, "env", "--chdir=/root", "-i", *given, "bash", "-euo", "pipefail", "-s"],
            input=script,
            capture_output=True,
            text=True,
            check=False,
            umask=UMASK,
        )
        assert not check or done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done

    def says(self, command: str) -> str:
        """Return what a command prints, whether or not it fails."""
        return self.run(command, check=False).stdout.strip()


@contextmanager
def fresh_machine(folder: Path, *mounted: Path) -> Iterator[Machine]:
    """Boot a machine that nobody has touched, with these folders under /mnt; nothing runs of it afterwards."""
    taken = [port for port in PORTS if _has_listener(port)]
    assert not taken, f"the machine's services need the ports {PORTS} of this one, and {taken} are in use"
    _make_base()
    isolate = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--cgroup", "--ipc", "--uts"]
    command = [
        *isolate,
        "--propagation",
        "private",
        "sh",
        "-c",
        BOOT,
        "boot",
        str(BASE),
        str(folder),
        *map(str, mounted),
    ]
    with (folder / "boot.log").open("wb") as log:
        booting = subprocess.Popen(command, stdout=log, stderr=log, umask=UMASK)
    try:
        machine = Machine(_first_of(booting))
        wait_until(
            lambda: machine.says("systemctl is-system-running") in ("running", "degraded"),
            otherwise=(folder / "boot.log").read_text,
        )
        yield machine
    finally:
        booting.kill()
        booting.wait(timeout=DEADLINE)
        shutil.rmtree(folder / "root")  # a gigabyte, which pytest would keep


def _has_listener(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _first_of(booting: "subprocess.Popen[bytes]") -> int:
    """Return the process id of the machine's process 1, once that is systemd."""

    def found() -> int:
        assert booting.poll() is None, "the machine did not boot"
        children = Path(f"/proc/{booting.pid}/task/{booting.pid}/children").read_text().split()
        is_systemd = [child for child in children if Path(f"/proc/{child}/comm").read_text() == "systemd\n"]
        return int(is_systemd[0]) if is_systemd else 0

    return wait_until(found)


def _make_base() -> None:
    if BASE.exists():
        return
    BASE.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        command = ["debootstrap", "--include=systemd-sysv,dbus", SUITE, str(root)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, umask=UMASK)
        subprocess.run(["tar", "-C", root, "-cf", f"{BASE}.new", "."], check=True)
    Path(f"{BASE}.new").rename(BASE)
