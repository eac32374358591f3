"""docs/operations.md from its first command to its last, on a fresh Debian machine; then what happens to it there."""

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from tests.drills.figures import write_figures
from tests.drills.machine import Machine, fresh_machine
from tests.drills.page import HOST, blocks, script
from tests.drills.visitor import Visitor, link_in
from tests.mail_server import MailServer, mail_server
from tests.processes import ROOT
from tests.waiting import wait_until

pytestmark = [pytest.mark.drill, pytest.mark.once, pytest.mark.finding("H45")]

QUARTER_OF_AN_HOUR: Final = 15 * 60
MANAGE: Final = "runuser -u keyportal -- /srv/keyportal/.venv/bin/python /srv/keyportal/manage.py"


class Installed(NamedTuple):
    """A machine on which all commands of the page were run."""

    machine: Machine
    mail: MailServer
    certificate: Path
    printed: str
    seconds: float


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    folder = tmp_path_factory.mktemp("machine")
    (source := folder / "source").mkdir()
    commit_working_tree(source)
    # pip's own configuration is this machine's, and does not reach the other.
    subprocess.run(["deploy/container/fetch-wheels", folder / "wheels"], cwd=ROOT, check=True)
    with mail_server() as mail, fresh_machine(folder, source, folder / "wheels") as machine:
        machine.run(f"echo 127.0.0.1 {HOST} >>/etc/hosts; git --version >/dev/null 2>&1 && exit 1 || true")
        begin = time.perf_counter()  # noqa: TID251  # a drill measures
        commands = script("### On one machine", source="file:///mnt/source", mail=f"smtp://127.0.0.1:{mail.port}")
        done = machine.run(commands, DEBIAN_FRONTEND="noninteractive", PIP_NO_INDEX="1", PIP_FIND_LINKS="/mnt/wheels")
        seconds = time.perf_counter() - begin  # noqa: TID251  # likewise
        (certificate := folder / "portal.pem").write_text(machine.says("cat /etc/ssl/certs/portal.pem"))
        yield Installed(machine, mail, certificate, done.stdout + done.stderr, seconds)


def commit_working_tree(to: Path) -> None:
    """Make a repository of what the project has now, committed or not."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, to / name)
    as_nobody = ["-c", "user.name=drill", "-c", "user.email=drill@example.com"]
    for command in (["init", "-q"], ["add", "--all"], [*as_nobody, "commit", "-qm", "drill"]):
        subprocess.run(["git", *command], cwd=to, check=True)


@pytest.fixture
def visitor(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> Visitor:
    """Somebody elsewhere, for whom the name leads to the machine."""
    ask = socket.getaddrinfo

    def resolve(host: Any, *rest: Any, **options: Any) -> Any:
        return ask("127.0.0.1" if host == HOST else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return Visitor(f"https://{HOST}", str(installed.certificate), "visitor@example.com")


def test_the_page_leads_to_a_portal_in_a_quarter_of_an_hour(installed: Installed, visitor: Visitor) -> None:
    assert '"status": "ready"' in installed.printed
    assert '"kind":"api_key"' in installed.printed
    assert "Traceback" not in installed.printed
    visitor.sign_up(lambda: link_in(installed.mail, visitor.email))
    assert visitor.calls(visitor.create_key()) == 200
    assert installed.seconds < QUARTER_OF_AN_HOUR
    version = installed.machine.says("psql --version; valkey-server --version; nginx -v 2>&1; python3 --version")
    write_figures(
        "install",
        {
            "from the first command to the last": f"{installed.seconds / 60:.1f} minutes",
            "on": ", ".join(
                [
                    "Debian 13",
                    *(
                        f"{name} {number}"
                        for name, number in re.findall(r"(PostgreSQL|Valkey|Python|nginx)\D+([\d.]+)", version)
                    ),
                ]
            ),
        },
    )


def test_the_doctor_finds_nothing_wrong_with_it(installed: Installed) -> None:
    """But for what the page leaves to the operator: a second factor, and a certificate that others trust."""
    (command,) = blocks("### Check it")
    define = 'manage() { runuser -u keyportal -- /srv/keyportal/.venv/bin/python /srv/keyportal/manage.py "$@"; }\n'

    def found() -> dict[str, Any]:
        seen = installed.machine.run(define + command.replace("doctor", "doctor --json"), check=False)
        return {finding["code"]: finding for finding in json.loads(seen.stdout)["findings"]}

    wait_until(lambda: "no_workers" not in found())
    worse = {code: finding for code, finding in found().items() if finding["level"] in ("warning", "problem")}
    assert worse.keys() == {"operators_one_factor"}, worse


def test_nothing_is_open_to_other_users_of_the_machine(installed: Installed) -> None:
    for look in ("ls /etc/keyportal/secrets", "cat /srv/keyportal/.env", "ls /srv/keyportal/var"):
        assert installed.machine.says(look) != ""
        assert installed.machine.says(f"runuser -u nobody -- {look} 2>/dev/null") == ""
    assert (
        installed.machine.says("runuser -u keyportal -- sh -c 'touch /srv/keyportal/manage.py && echo written'") == ""
    )


def test_only_the_proxy_reaches_the_portal_and_hides_its_metrics(installed: Installed, visitor: Visitor) -> None:
    assert "127.0.0.1:8000" in installed.machine.says("ss -ltnH 'sport = :8000'")
    assert "keyportal_" in installed.machine.says("curl -s http://127.0.0.1:8000/metrics")
    assert visitor.browser.get(f"{visitor.base}/metrics").status_code == 404


def test_the_units_work_under_their_own_restrictions(installed: Installed) -> None:
    for unit in ("keyportal-purge", "keyportal-remind"):
        installed.machine.run(f"systemctl start {unit}")
        assert installed.machine.says(f"systemctl is-active {unit}.timer") == "active"
    assert installed.machine.says("systemctl show -p NRestarts --value keyportal") == "0"
    status = installed.machine.says("cat /proc/$(systemctl show -p MainPID --value keyportal)/status")
    assert re.search(r"^CapBnd:\s0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s1$", status, re.MULTILINE)
    assert re.search(r"^Seccomp:\s2$", status, re.MULTILINE)
    lines = installed.machine.says("journalctl --no-pager -o cat -u 'keyportal*'")
    assert "Started worker" in lines
    assert "Traceback" not in lines


def main_process(machine: Machine) -> str:
    return machine.says("systemctl show -p MainPID --value keyportal")


def test_what_is_killed_comes_back_and_the_key_goes_on(installed: Installed, visitor: Visitor) -> None:
    secret = installed.machine.says(f"{MANAGE} createkey ops@example.com --name drill")
    for number, target in (("KILL", "main"), ("KILL", "all"), ("TERM", "main")):
        before = main_process(installed.machine)
        installed.machine.run(f"systemctl kill --signal={number} --kill-whom={target} keyportal")
        wait_until(lambda: main_process(installed.machine) not in (before, "0"))  # noqa: B023  # waited for here
        wait_until(lambda: installed.machine.says("systemctl is-active keyportal") == "active")
        assert visitor.calls(secret) == 200
    before = main_process(installed.machine)
    installed.machine.run("systemctl reload keyportal")
    assert {visitor.calls(secret) for _ in range(50)} == {200}
    assert main_process(installed.machine) == before
    installed.machine.run("systemctl restart keyportal")
    assert visitor.calls(secret) == 200  # it is started when it answers
