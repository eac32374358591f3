"""A process with a wrong configuration does not start: it names what is wrong and shows no key."""

import base64
import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import portal_database
from tests.portal import Portal
from tests.waiting import DEADLINE
from vault.rings import new_entry
from vault.signing_keys import base64url, new_signing_jwk


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Portal]:
    """A configured portal with a migrated database that is not started yet."""
    with portal_database(tmp_path) as database_url:
        portal = Portal(tmp_path, database_url)
        yield portal
        portal.stop()


def refusal(site: Portal, **environment: str) -> str:
    """Try to start under a changed environment; return what the process printed before it gave up."""
    before = dict(site.environment)
    site.environment |= environment
    process = site.spawn(workers=1)
    assert process.wait(timeout=DEADLINE) != 0
    site.environment = before
    printed = site.log.read_text()
    for name in ("KEYPORTAL_SEALING_KEYS", "KEYPORTAL_INDEX_KEYS", "SECRET_KEY"):
        for value in (before[name], environment.get(name, before[name])):
            for part in re.split(r"[:,]", value):
                assert len(part) < 8 or part not in printed
    return printed


@pytest.mark.once
@pytest.mark.security("R-25")
@pytest.mark.security("K-07")
def test_without_a_ring_it_does_not_start(site: Portal) -> None:
    assert "keyportal.E001" in refusal(site, KEYPORTAL_SEALING_KEYS="")
    assert "the index ring is empty" in refusal(site, KEYPORTAL_INDEX_KEYS="")


@pytest.mark.once
@pytest.mark.security("R-25")
@pytest.mark.security("K-08")
def test_with_a_short_a_doubled_or_a_shared_key_it_does_not_start(site: Portal) -> None:
    short = base64.b64encode(secrets.token_bytes(31)).decode()
    assert "entry 1 of the sealing ring has 31 bytes" in refusal(site, KEYPORTAL_SEALING_KEYS=f"s9:{short}")
    doubled = f"{new_entry('s1')},{new_entry('s1')}"
    assert "has the id 's1' twice" in refusal(site, KEYPORTAL_SEALING_KEYS=doubled)
    shared = site.environment["KEYPORTAL_INDEX_KEYS"].replace("i1:", "s1:")
    assert "index:i1 and sealing:s1 are the same secret" in refusal(site, KEYPORTAL_SEALING_KEYS=shared)


@pytest.mark.security("R-26")
def test_with_another_key_under_the_same_id_it_does_not_start(site: Portal) -> None:
    site.make_developer("planted@example.com")
    site.make_key("planted@example.com")
    printed = refusal(site, KEYPORTAL_INDEX_KEYS=new_entry("i1"))
    assert "keyportal.E008" in printed
    assert "key 'i1' of the index ring is not the one" in printed
    assert "lacks the key 's1'" in refusal(site, KEYPORTAL_SEALING_KEYS=new_entry("s2"))


def test_with_a_new_key_in_front_it_starts_and_the_old_secrets_work(site: Portal) -> None:
    site.make_developer("rings@example.com")
    _, secret = site.make_key("rings@example.com")
    for name, key_id in (("KEYPORTAL_SEALING_KEYS", "s2"), ("KEYPORTAL_INDEX_KEYS", "i2")):
        site.environment[name] = f"{new_entry(key_id)},{site.environment[name]}"
    site.start(workers=1)
    assert site.get("/api/v1/me", Authorization=f"Bearer {secret}").status == 200
    _, newer = site.make_key("rings@example.com")
    assert site.get("/api/v1/me", Authorization=f"Bearer {newer}").status == 200


@pytest.mark.once
@pytest.mark.security("K-08")
def test_another_secret_key_ends_no_key(site: Portal) -> None:
    site.make_developer("separate@example.com")
    _, secret = site.make_key("separate@example.com")
    site.stop()  # the shell
    site.environment["SECRET_KEY"] = secrets.token_urlsafe(50)
    site.start(workers=1)
    assert site.get("/api/v1/me", Authorization=f"Bearer {secret}").status == 200
    revealed = site.shell(
        "from apikeys.services import reveal; from audit.origin import Origin; "
        "print(reveal(secret=KeySecret.objects.get(), origin=Origin.of_command('test')))"
    )
    assert revealed == secret


@pytest.mark.once
@pytest.mark.conformance("JW-24")
def test_with_a_weak_signing_key_it_does_not_start(site: Portal) -> None:
    short = {"kty": "oct", "alg": "HS256", "kid": "shortkey", "k": base64url(secrets.token_bytes(31))}
    assert "31 bytes; it needs 32" in refusal(site, KEYPORTAL_SIGNING_KEYS=json.dumps(short))
    weak = json.dumps({**new_signing_jwk("ES256"), "alg": "RS256"})
    assert "not of the kind that its alg RS256 needs" in refusal(site, KEYPORTAL_SIGNING_KEYS=weak)


@pytest.mark.once
@pytest.mark.security("A-12")
def test_a_sample_secret_key_plain_http_or_local_mode_for_others_do_not_start(site: Portal) -> None:
    assert "keyportal.E003" in refusal(site, SECRET_KEY="django-insecure-" + "x" * 60)
    assert "keyportal.E005" in refusal(site, KEYPORTAL_LOCAL="false")
    assert "keyportal.E006" in refusal(site, KEYPORTAL_URL="http://portal.example.com")


@pytest.mark.once
@pytest.mark.security("A-12")
def test_production_starts_with_no_account(site: Portal) -> None:
    site.environment |= {"KEYPORTAL_LOCAL": "false", "KEYPORTAL_URL": "https://portal.example.com"}
    counted = site.shell("print(User.objects.count())")
    assert counted == "0"
    assert "Only for local mode" in site.command("localsetup", check=False).stderr


@pytest.mark.once
def test_a_database_of_another_version_is_not_touched(site: Portal) -> None:
    site.shell("""
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('tokens', '0009_later', '2030-01-01')")
""")
    said = "keyportal.E043 The database was made by another version of keyportal: it has tokens.0009_later"
    assert said in refusal(site)
    for command in ("localsetup", "migrate"):
        ended = site.command(command, check=False)
        assert ended.returncode != 0
        assert "tokens.0009_later" in ended.stderr
        assert "start with an empty database" in ended.stderr


@pytest.mark.once
def test_a_secret_can_be_a_file(site: Portal) -> None:
    names = ("SECRET_KEY", "KEYPORTAL_SEALING_KEYS", "KEYPORTAL_INDEX_KEYS", "KEYPORTAL_SIGNING_KEYS", "DATABASE_URL")
    for name in names:
        file = site.folder / name
        file.write_text(site.environment.pop(name) + "\n")
        site.environment[f"{name}_FILE"] = str(file)
    site.start(workers=1)
    assert site.get("/readyz").status == 200


@pytest.mark.once
def test_no_secret_of_the_server_is_in_a_request(site: Portal) -> None:
    site.environment["HTTP_AUTHORIZATION"] = "Bearer everyones"
    site.start(workers=1)
    assert b"missing_credential" in site.get("/api/v1/me").body
