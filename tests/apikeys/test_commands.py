"""What operators type."""

import io
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from apikeys.models import APIKey
from apikeys.verification import verify
from audit.models import Event
from credentials.scopes.models import Scope
from tests.conftest import MakeKey
from vault.rings import KeyRing
from vault.signing_keys import SigningRing

pytestmark = pytest.mark.django_db


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str, stdin: str = "") -> str:
    monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Any:
    def call(*arguments: str, stdin: str = "") -> str:
        return run(monkeypatch, *arguments, stdin=stdin)

    return call


def test_createdeveloper_makes_an_account(command: Any) -> None:
    made = command(
        "createdeveloper", "Ada@Example.com", "--confirmed", "--password-stdin", stdin="a long enough phrase\n"
    )
    user = User.objects.get(pk=made.strip())
    assert (user.email, user.is_confirmed, user.is_staff) == ("ada@example.com", True, False)
    assert user.check_password("a long enough phrase")
    assert Event.objects.get(verb="user_created").actor == "command:createdeveloper"


@pytest.mark.parametrize("options", [[], ["--operator"]], ids=["developer", "operator"])
def test_createdeveloper_gives_rights_to_an_operator_only(command: Any, options: list[str]) -> None:
    command("createdeveloper", "ada@example.com", "--confirmed", *options)
    user = User.objects.get()
    assert (user.is_staff, user.is_superuser) == (bool(options), bool(options))
    assert user.seal_is_valid()
    assert Event.objects.get(verb="user_created").details["operator"] is bool(options)


def test_createdeveloper_without_a_password_leaves_it_to_a_reset(command: Any) -> None:
    command("createdeveloper", "ada@example.com")
    user = User.objects.get()
    assert not user.has_usable_password()
    assert not user.is_confirmed


@pytest.mark.parametrize(
    ("email", "password", "says"),
    [
        ("not an address", "a long enough phrase", "valid email"),
        ("a:b@example.com", "a long enough phrase", "email|colon"),
        ("ada@example.com", "short", "At least 15"),
        ("DEV@example.com", "a long enough phrase", "already has an account"),
    ],
)
def test_createdeveloper_says_what_is_wrong(
    command: Any, developer: User, email: str, password: str, says: str
) -> None:
    with pytest.raises(CommandError, match=says):
        command("createdeveloper", email, "--password-stdin", stdin=password + "\n")
    assert User.objects.count() == 1


def test_createkey_prints_the_secret_alone(command: Any, developer: User, scopes: list[Scope]) -> None:
    out = command("createkey", "DEV@example.com", "--name", "ci", "--scope", "reports:read", "--expires", "2099-01-31")
    secret = out.strip()
    assert re.fullmatch(r"kp_live_[0-9A-Za-z]{49}\n", out)
    credential = verify(secret, address=None).credential
    assert credential.name == "ci"
    assert credential.scopes == {"reports:read"}
    assert credential.expires_at == datetime(2099, 1, 31, 23, 59, 59, tzinfo=UTC)
    assert Event.objects.get(verb="key_created").actor == "command:createkey"


def test_createkey_grants_restricted_scopes_when_told_to(command: Any, developer: User, scopes: list[Scope]) -> None:
    arguments = ("createkey", "dev@example.com", "--name", "x", "--scope", "secrets:all")
    with pytest.raises(CommandError, match="Only operators"):
        command(*arguments)
    assert verify(command(*arguments, "--restricted").strip(), address=None).credential.scopes == {"secrets:all"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nobody@example.com", "--name", "x"), "No account"),
        (("dev@example.com", "--name", "a\x07b"), "control characters"),
        (("dev@example.com", "--name", "x", "--scope", "nope"), "catalogue"),
        (("dev@example.com", "--name", "x", "--expires", "2020-01-01"), "past"),
        (("dev@example.com", "--name", "x", "--expires", "soon"), "takes 2027"),
        (("dev@example.com", "--name", "x", "--expires", "2027-02-31"), "--expires"),
        (("dev@example.com", "--name", "x", "--expires", "2099-01-01T00:00:00"), "zone"),
    ],
)
def test_createkey_says_what_is_wrong(command: Any, developer: User, arguments: tuple[str, ...], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        command("createkey", *arguments)
    assert not APIKey.objects.exists()


def test_revokekey_ends_a_key(command: Any, make_key: MakeKey) -> None:
    key, _ = make_key()
    assert command("revokekey", key.pk, "--reason", "leaked") == f"{key.pk} is revoked.\n"
    assert command("revokekey", key.pk, "--reason", "again") == f"{key.pk} was already revoked.\n"
    assert APIKey.objects.get().revoked_reason == "leaked"
    with pytest.raises(CommandError, match="no key with this id"):
        command("revokekey", "key_x", "--reason", "x")
    with pytest.raises(CommandError, match="direction of text"):
        command("revokekey", key.pk, "--reason", "a\u202eb")


@pytest.mark.parametrize("ring", ["sealing", "index"])
def test_newkey_prints_an_entry_that_fits_a_ring(command: Any, ring: str) -> None:
    one, other = command("newkey", ring), command("newkey", ring, "--id", "mine")
    assert KeyRing.parse(ring, f"{one.strip()},{other.strip()}")["mine"]


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256", "HS256"])
def test_newkey_prints_a_signing_key(command: Any, algorithm: str) -> None:
    assert SigningRing.parse(command("newkey", "signing", "--alg", algorithm)).primary.algorithm == algorithm
    assert SigningRing.parse(command("newkey", "signing")).primary.algorithm == "ES256"


def test_localsetup_is_for_local_mode(command: Any) -> None:
    with pytest.raises(CommandError, match="local mode"):
        command("localsetup")
    assert not User.objects.exists()
