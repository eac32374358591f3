"""nginx with the module, while a real portal stops, starts, hangs, and is behind TLS."""

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.behind import OWNER, Gateways
from tests.certificates import new_certificate
from tests.edges import TRUSTED, Edge, running_edge
from tests.oauth_client import ClientKey
from tests.ports import free_port
from tests.waiting import wait_until
from tests.wire import Reply

pytestmark = [pytest.mark.once, pytest.mark.edge]

PATH = "/reports/1"


@pytest.mark.parametrize("is_silent", [False, True], ids=["gone", "silent"])
@pytest.mark.conformance("FA-04")
def test_without_keyportal_a_key_is_good_for_as_long_as_that_is_certain(gateways: Gateways, is_silent: bool) -> None:
    behind = gateways.behind("edge")
    client = ClientKey(*behind.portal.make_key(OWNER, "--scope", "reports:read"))
    answers: list[Reply] = []

    def is_refused() -> bool:
        answers.append(behind.request(PATH, client.secret))
        return answers[-1].status != 200

    assert not is_refused()
    with gateways.with_silent_portal() if is_silent else gateways.without_portal():
        wait_until(is_refused)
        answers += [behind.request(PATH, client.secret) for _ in range(3)]
        assert {(answer.status, answer.header("retry-after")) for answer in answers} == {(200, ""), (503, "2")}
        assert answers[-1].json["code"] == "unavailable"
    wait_until(lambda: behind.request(PATH, client.secret).status == 200)
    behind.portal.revoke_key(client.id)
    wait_until(lambda: behind.request(PATH, client.secret).status == 401)


def _start(gateways: Gateways, folder: Path, certified: str, trusted: str) -> AbstractContextManager[Edge]:
    """Start an nginx that asks over TLS, at a server that is certified for this name."""
    behind, port = gateways.behind("edge"), free_port()
    for file, content in zip((folder / "front.pem", folder / "front.key"), new_certificate(certified), strict=True):
        file.write_bytes(content)
    _, service_key = behind.portal.make_key(OWNER, "--scope", "credentials:verify", "--restricted")
    (folder / "keyportal.key").write_text(service_key)
    tls = f"ssl_certificate {folder}/front.pem; ssl_certificate_key {folder}/front.key;"
    passed = f"proxy_set_header Host portal.test; proxy_pass http://127.0.0.1:{behind.portal.port};"
    front = f"server {{ listen 127.0.0.1:{port} ssl; {tls} location / {{ {passed} }} }}"
    address = f'address = "https://127.0.0.1:{port}",'
    file = folder / trusted
    return running_edge(folder, free_port(), "https://portal.test", 9, more=address, beside=front, trusted=file)


def test_the_portal_may_be_at_a_unix_socket(gateways: Gateways, tmp_path: Path) -> None:
    behind, socket = gateways.behind("edge"), f"unix:{tmp_path}/portal.sock"
    _, service_key = behind.portal.make_key(OWNER, "--scope", "credentials:verify", "--restricted")
    (tmp_path / "keyportal.key").write_text(service_key)
    passed = f"proxy_set_header Host portal.test; proxy_pass http://127.0.0.1:{behind.portal.port};"
    front = f"server {{ listen {socket}; location / {{ {passed} }} }}"
    address = f'address = "{socket}",'
    with running_edge(tmp_path, free_port(), "https://portal.test", 9, more=address, beside=front) as edge:
        assert edge.status(PATH, behind.reader.secret) == 502  # there is no API
        assert edge.status(PATH) == 401


@pytest.mark.parametrize(
    ("certified", "trusted", "status"),
    [
        ("portal.test", "front.pem", 502),  # there is no API
        ("elsewhere.test", "front.pem", 503),
        ("portal.test", str(TRUSTED), 503),
    ],
)
def test_the_portal_s_certificate_is_checked(
    gateways: Gateways, tmp_path: Path, certified: str, trusted: str, status: int
) -> None:
    with _start(gateways, tmp_path, certified, trusted) as edge:
        secret = gateways.behind("edge").reader.secret
        assert edge.status(PATH, secret) == status, edge.log()
        assert ("Its certificate must be good for its name" in edge.log()) == (status == 503)
