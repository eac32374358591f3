"""The image is built, started without privileges on a read-only root, used through pages, and killed."""

import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

import pytest
import requests
from limits import parse
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter
from redis import AuthenticationError, Redis

from keyportal.options.addresses import database, redis
from tests.drills.container import IMAGE, VOLUME, Container, Image, buildah, built_image, workers_of
from tests.drills.figures import write_figures
from tests.drills.visitor import Visitor, link_in
from tests.gateways import CERTIFICATE, portal_behind_caddy, started
from tests.mail_server import mail_server
from tests.ports import free_port
from tests.processes import ROOT
from tests.waiting import DEADLINE, wait_until

pytestmark = [pytest.mark.drill, pytest.mark.once, pytest.mark.caddy, pytest.mark.finding("H45")]
FIVE_SECONDS: Final = 5.0
"""Of one processor, which a machine with nothing else to do has for it."""
REFUSED: Final = 78


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with built_image() as built:
        yield built


@pytest.fixture
def volume(tmp_path: Path, image: Image) -> Path:
    """A volume that belongs to the container's user, as one that an engine makes does."""
    folder = tmp_path / "volume"
    folder.mkdir(mode=0o700)
    os.chown(folder, image.user_id(), image.user_id())
    return folder


class Start(NamedTuple):
    """What it took from the start to the first answer."""

    seconds: float
    of_a_processor: float


def start(container: Container, port: int) -> Start:
    """Start the container, wait for its first answer, and return what that took."""
    begin = time.perf_counter()  # noqa: TID251  # a figure for the page; no assertion is about it
    container.start()

    def answers() -> bool:
        assert container.process
        assert container.process.poll() is None, container.log.read_text()
        try:
            return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=DEADLINE).status_code == 200
        except requests.RequestException:
            return False

    wait_until(answers, otherwise=container.log.read_text)
    return Start(time.perf_counter() - begin, container.processor_seconds())  # noqa: TID251  # likewise


def test_a_developer_signs_up_and_calls_with_a_key_and_the_container_survives_what_is_killed(
    image: Image, volume: Path, tmp_path: Path
) -> None:
    port, front, plain = free_port(), free_port(), free_port()
    (proxy := tmp_path / "proxy").mkdir()
    with ExitStack() as stack:
        mail = stack.enter_context(mail_server())
        stack.enter_context(portal_behind_caddy(proxy, front, plain, port))
        container = Container(
            image,
            tmp_path,
            volume,
            KEYPORTAL_URL=f"https://127.0.0.1:{front}",
            KEYPORTAL_BIND=f"127.0.0.1:{port}",
            KEYPORTAL_TRUSTED_PROXIES="127.0.0.1",
            KEYPORTAL_WORKERS="2",
            EMAIL_URL=f"smtp://127.0.0.1:{mail.port}",
        )
        stack.callback(container.kill)
        migrated = container.run("migrate", "--verbosity=0")
        assert (migrated.returncode, migrated.stdout) == (0, ""), migrated.stderr
        assert "made new secrets" in migrated.stderr
        starts = [start(container, port)]
        visitor = Visitor(f"https://127.0.0.1:{front}", str(proxy / CERTIFICATE), "drill@example.com")
        visitor.sign_up(lambda: link_in(mail, visitor.email))
        secret = visitor.create_key()
        assert visitor.calls(secret) == 200
        assert (
            container.run("python", "/srv/keyportal/deploy/health-check", f"127.0.0.1:{port}", entry=False).returncode
            == 0
        )

        killed = workers_of(container)[0]
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: killed not in workers_of(container) and len(workers_of(container)) == 2)
        assert visitor.calls(secret) == 200

        workers = workers_of(container)
        os.kill(container.first_process(), signal.SIGKILL)
        assert container.ended() != 0  # an engine starts it again: restart: unless-stopped
        wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
        starts.append(start(container, port))
        assert visitor.calls(secret) == 200
        assert "Revoke" in visitor.get("/keys/")  # the session, too

        assert container.stop() == 0
        starts.append(start(container, port))
        assert visitor.calls(secret) == 200
        assert container.stop() == 0
        assert (
            container.run("python", "/srv/keyportal/deploy/health-check", f"127.0.0.1:{port}", entry=False).returncode
            == 1
        )
    assert max(taken.of_a_processor for taken in starts) < FIVE_SECONDS
    write_figures(
        "container",
        {
            "size, compressed": f"{compressed_size() / 1e6:.0f} MB",
            "from the start to the first answer": f"{min(taken.seconds for taken in starts):.1f} s, the quickest of "
            f"{len(starts)} starts, in {max(taken.of_a_processor for taken in starts):.1f} s of a processor at most",
        },
    )


def compressed_size() -> int:
    return sum(file.stat().st_size for file in (ROOT / "var/image/layers").iterdir())


def test_secrets_are_made_once_and_in_a_volume_only(image: Image, volume: Path, tmp_path: Path) -> None:
    first = Container(image, tmp_path, volume, KEYPORTAL_URL="https://portal.example.com")
    assert first.run("manage", "check").returncode == 0
    made = {file.name: file.read_bytes() for file in (volume / "secrets").iterdir()}
    assert len(made) == 4
    assert {stat.S_IMODE(file.stat().st_mode) for file in (volume / "secrets").iterdir()} == {0o600}
    again = first.run("manage", "check")
    assert (again.returncode, "made new" in again.stderr) == (0, False)
    assert {file.name: file.read_bytes() for file in (volume / "secrets").iterdir()} == made


@pytest.mark.redis
def test_the_secrets_of_the_compose_file_open_the_services_that_they_are_for(
    image: Image, volume: Path, tmp_path: Path
) -> None:
    passwords = {name: tmp_path / name for name in ("database", "valkey")}
    for folder in passwords.values():
        folder.mkdir(mode=0o700)
        os.chown(folder, image.user_id(), image.user_id())
    more = [f"{folder}:/var/lib/passwords/{name}" for name, folder in passwords.items()]
    maker = Container(image, tmp_path, volume, *more)
    assert maker.run("secrets").returncode == 0
    files = [*(volume / "secrets").iterdir(), *passwords["database"].iterdir(), *passwords["valkey"].iterdir()]
    made = {file: file.read_bytes() for file in files}
    assert {file.name for file in made} >= {"DATABASE_URL", "CACHE_URL", "password", "superuser", "users.acl"}
    assert maker.run("secrets").returncode == 0
    assert {file: file.read_bytes() for file in made} == made  # nothing is made anew

    entry = database((volume / "secrets/DATABASE_URL").read_text().strip())
    assert (entry["USER"], entry["HOST"], entry["NAME"]) == ("keyportal", "database", "keyportal")
    assert entry["PASSWORD"] == (passwords["database"] / "password").read_text().strip()
    port = free_port()
    server = ["redis-server", "--port", str(port), "--aclfile", str(passwords["valkey"] / "users.acl"), "--save", ""]
    with started(server, [port], tmp_path):
        address = redis((volume / "secrets/CACHE_URL").read_text().strip()).replace("valkey:6379", f"127.0.0.1:{port}")
        limiter = MovingWindowRateLimiter(storage_from_string(address.replace("valkey://", "redis://")))
        assert [limiter.hit(parse("2/minute"), "key") for _ in range(3)] == [True, True, False]
        with pytest.raises(AuthenticationError):
            Redis(port=port).ping()


@pytest.mark.parametrize(
    ("mounted", "given", "sentence"),
    [
        (lambda _: None, {}, f"there are no secrets: mount a volume at {VOLUME}"),
        (lambda _: "tmpfs", {}, "is in memory"),
        (lambda folder: folder, {}, f"can't write to the volume at {VOLUME}"),
        (lambda _: None, {"SECRET_KEY": "x" * 50}, "some secrets are given, and these are missing: KEYPORTAL_SEALING"),
    ],
    ids=["no volume", "in memory", "not its own", "some given"],
)
@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_without_a_place_for_secrets_it_refuses_in_a_sentence(
    image: Image,
    tmp_path: Path,
    mounted: Callable[[Path], Path | str | None],
    given: dict[str, str],
    sentence: str,
    command: str,
) -> None:
    (tmp_path / "others").mkdir()
    refused = Container(
        image, tmp_path, mounted(tmp_path / "others"), KEYPORTAL_URL="https://portal.example.com", **given
    )
    ended = refused.run(command)
    assert (ended.returncode, ended.stdout) == (REFUSED, "")
    assert ended.stderr.startswith("keyportal: ")
    assert sentence in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_the_root_is_read_only_and_nothing_in_it_is_the_user_s(image: Image, tmp_path: Path) -> None:
    look = "touch /srv/keyportal/x || touch /tmp/x || id -u; grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status"
    seen = Container(image, tmp_path, None).run("sh", "-c", look, entry=False).stdout.split()
    assert seen == [str(image.user_id()), "CapEff:", "0" * 16, "CapBnd:", "0" * 16, "NoNewPrivs:", "1"]


def test_nothing_is_in_the_image_that_a_running_portal_does_not_need(image: Image) -> None:
    home = Path(image.root) / "srv/keyportal"
    there = {path.name for path in home.iterdir()}
    assert not there & {"tests", "docs", "benchmarks", "examples", "clients", ".git", ".env", "var", "Makefile"}
    assert not (home / ".venv/bin/pip").exists()
    assert not list(home.glob("**/secrets/*_KEYS"))
    assert (home / "collected/staticfiles.json").exists()
    assert not [
        path
        for path in home.rglob("*")
        if path.lstat().st_uid or (path.lstat().st_mode & 0o022 and not path.is_symlink())
    ]
    assert buildah("inspect", "--type", "image", "--format", "{{.Docker.Config.User}}", IMAGE) == image.config["User"]
