"""What operators type."""

import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import User
from accounts.times import in_words
from apikeys import services
from apikeys.models import APIKey, KeyPolicy, KeySecret
from apikeys.verification import verify
from audit.models import Event
from credentials.scopes.models import Scope
from tests.apikeys.verifying import outcome_of
from tests.conftest import ORIGIN, MakeKey
from tests.limits import START
from vault.rings import KeyRing
from vault.signing_keys import SigningRing

pytestmark = pytest.mark.django_db


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str, stdin: str = "") -> str:
    monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    return output_of(*arguments)[0]


def output_of(*arguments: str) -> tuple[str, str]:
    """Run a command; return what it wrote to standard output, and to standard error."""
    out, err = io.StringIO(), io.StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


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
    with pytest.raises(CommandError) as caught:
        command(*arguments)
    assert str(caught.value) == "Only operators can grant secrets:all. Add --restricted to grant it."
    assert verify(command(*arguments, "--restricted").strip(), address=None).credential.scopes == {"secrets:all"}


def test_createkey_says_which_scopes_are_unknown_and_where_they_are_added(
    command: Any, developer: User, scopes: list[Scope]
) -> None:
    arguments = ("--scope", "reports:burn", "--scope", "reports:read", "--scope", "kp_live_x", "--restricted")
    with pytest.raises(CommandError) as caught:
        command("createkey", developer.email, "--name", "x", *arguments)
    assert str(caught.value) == (
        "--scope (index 0): This scope isn't in the catalogue. --scope (index 2): This scope isn't in the catalogue. "
        "Add scopes with createscope, or in the operators' site: /admin/, Scopes."
    )


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
        (("dev@example.com", "--name", "x", "--expires", "9999-12-31T23:59:59-12:00"), "zone"),
        (("dev@example.com", "--name", "x", "--expires", "24"), "24h, 30d.*or never"),
        (("dev@example.com", "--name", "x", "--network", "203.0.113.7", "--network", "a"), r"index 1\): This isn't"),
        (("dev@example.com", "--name", "x", "--network", "203.0.113.7", "--network", "203.0.113.7"), "repeats index 0"),
    ],
)
def test_createkey_says_what_is_wrong(command: Any, developer: User, arguments: tuple[str, ...], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        command("createkey", *arguments)
    assert not APIKey.objects.exists()


def test_createkey_binds_a_key_to_networks(command: Any, developer: User) -> None:
    command("createkey", developer.email, "--name", "x", "--network", "203.0.113.0/24", "--network", " 2001:DB8::1 ")
    assert APIKey.objects.get().networks == "203.0.113.0/24 2001:db8::1/128"


@pytest.mark.parametrize(("expires", "days"), [((), 30), (("--expires", "7d"), 7), (("--expires", "90d"), 90)])
def test_createkey_keeps_to_the_policy(
    command: Any, developer: User, time_machine: Any, expires: tuple[str, ...], days: int
) -> None:
    time_machine.move_to(START, tick=False)
    bounds = KeyPolicy(environment="live", max_days=90, allows_never=False, default_days=30)
    services.set_policy(policy=bounds, origin=ORIGIN)
    arguments = ("createkey", developer.email, "--name", "x")
    for refused, sentence in (("never", "Live keys need an expiry."), ("92d", "Live keys can be valid for at most 90")):
        with pytest.raises(CommandError, match=sentence):
            command(*arguments, "--expires", refused)
    command(*arguments, *expires)
    [at] = APIKey.objects.values_list("expires_at", flat=True)
    assert at == timezone.now() + timedelta(days=days)


def test_createkey_makes_a_key_without_an_expiry_where_the_policy_has_a_default(command: Any, developer: User) -> None:
    services.set_policy(policy=KeyPolicy(environment="test", default_days=30), origin=ORIGIN)
    arguments = ("createkey", developer.email, "--name", "x", "--environment", "test")
    command(*arguments, "--expires", "never")
    assert APIKey.objects.get().expires_at is None


def test_pausekey_and_resumekey_act_for_an_operator(command: Any, make_key: MakeKey) -> None:
    key, secret = make_key()
    services.pause(key=key, reason="mine", origin=ORIGIN)
    said = command("pausekey", key.pk, "--reason", "abuse")
    assert said == f"{key.pk} is paused until an operator resumes it.\n"
    paused = APIKey.objects.get()
    assert (paused.paused_by_operator, paused.paused_reason, outcome_of(secret)) == (True, "abuse", "paused")
    assert "already paused" in command("pausekey", key.pk, "--reason", "again")
    assert command("resumekey", key.pk) == f"{key.pk} is resumed.\n"
    assert outcome_of(secret) == "accepted"
    assert command("resumekey", key.pk) == f"{key.pk} was not paused.\n"
    actors = Event.objects.filter(verb__in=["key_paused", "key_resumed"]).order_by("id").values_list("actor", flat=True)
    assert list(actors) == ["test", "command:pausekey", "command:resumekey"]


@pytest.mark.parametrize(
    ("until", "end"), [("24h", "16 Jan 2027, 00:00 UTC"), ("2099-01-31T12:00+02:00", "31 Jan 2099, 10:00 UTC")]
)
def test_pausekey_takes_an_end(command: Any, make_key: MakeKey, time_machine: Any, until: str, end: str) -> None:
    time_machine.move_to(START, tick=False)
    key, _ = make_key()
    said = command("pausekey", key.pk, "--reason", "maintenance", "--until", until)
    assert said == f"{key.pk} is paused until {end}.\n"
    key.refresh_from_db()
    assert key.paused_until is not None
    assert in_words(key.paused_until) == end


def test_pausekey_says_if_the_owner_s_pause_lasts_longer(command: Any, make_key: MakeKey) -> None:
    key, _ = make_key()
    services.pause(key=key, origin=ORIGIN)
    said = command("pausekey", key.pk, "--reason", "maintenance", "--until", "24h")
    assert said == f"{key.pk} is paused until an operator resumes it.\n"


def test_rotatekey_prints_the_secret_alone(make_key: MakeKey) -> None:
    key, former = make_key()
    out, err = output_of("rotatekey", key.pk, "--reason", "a colleague left")
    assert re.fullmatch(r"kp_live_[0-9A-Za-z]{49}\n", out)
    assert re.fullmatch(rf"{key.pk} is rotated\.\nThe former secret, kp_live_…\w{{4}}, works until .* UTC\.\n", err)
    assert outcome_of(former) == outcome_of(out.strip()) == "accepted"
    event = Event.objects.get(verb="key_rotated")
    assert (event.actor, event.details["reason"]) == ("command:rotatekey", "a colleague left")
    with pytest.raises(CommandError, match="under way"):
        output_of("rotatekey", key.pk, "--overlap", "1h")
    assert KeySecret.objects.count() == 2


def test_rotatekey_without_an_overlap_and_endoverlap_retire_the_former_secret(make_key: MakeKey) -> None:
    key, first = make_key()
    assert output_of("endoverlap", key.pk)[0] == f"{key.pk} has no overlap.\n"
    second = output_of("rotatekey", key.pk, "--overlap", "30d")[0].strip()
    assert output_of("endoverlap", key.pk)[0] == f"{key.pk}: the former secret is retired.\n"
    out, err = output_of("rotatekey", key.pk, "--overlap", "0")
    assert "is refused from now on" in err
    assert [outcome_of(text) for text in (first, second, out.strip())] == ["retired", "retired", "accepted"]
    assert Event.objects.get(verb="overlap_ended").actor == "command:endoverlap"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("pausekey", "{key}", "--reason", ""), "reason"),
        (("pausekey", "{key}", "--reason", "x", "--until", "tomorrow"), "--until takes 2027"),
        (("pausekey", "{key}", "--reason", "x", "--until", "2020-01-31"), "in the future"),
        (("pausekey", "key_x", "--reason", "x"), "no key with this id"),
        (("resumekey", "key_x"), "no key with this id"),
        (("rotatekey", "key_x"), "no key with this id"),
        (("rotatekey", "{key}", "--overlap", "91d"), "--overlap takes 0, 90m"),
        (("rotatekey", "{key}", "--overlap", "24"), "--overlap takes 0, 90m"),
        (("endoverlap", "key_x"), "no key with this id"),
    ],
)
def test_a_command_on_a_key_says_what_is_wrong(make_key: MakeKey, arguments: tuple[str, ...], says: str) -> None:
    key, secret = make_key()
    with pytest.raises(CommandError, match=says):
        output_of(*(argument.format(key=key.pk) for argument in arguments))
    assert outcome_of(secret) == "accepted"
    assert KeySecret.objects.count() == 1


@pytest.mark.parametrize("command_line", [("pausekey", "--reason", "x"), ("resumekey",), ("rotatekey",)])
def test_a_key_that_has_ended_is_left_as_it_is(make_key: MakeKey, command_line: tuple[str, ...]) -> None:
    key, _ = make_key()
    services.revoke(key=key, reason="", origin=ORIGIN)
    KeySecret.objects.all().delete()  # as the purge does, long after
    with pytest.raises(CommandError, match="This key is revoked"):
        output_of(command_line[0], key.pk, *command_line[1:])


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


@pytest.mark.parametrize("restricted", [True, False])
def test_createscope_adds_a_scope_that_keys_can_have_at_once(command: Any, developer: User, restricted: bool) -> None:
    options = ["--operators-only"] if restricted else []
    assert command("createscope", "reports:read", "--description", " Read  reports ", *options) == "reports:read\n"
    scope = Scope.objects.get(pk="reports:read")
    assert (scope.description, scope.restricted, scope.seal_is_valid()) == ("Read reports", restricted, True)
    assert Event.objects.get(verb="scope_added").actor == "command:createscope"
    grants = ["--restricted"] if restricted else []
    assert command("createkey", developer.email, "--name=made", "--scope=reports:read", *grants)


@pytest.mark.parametrize(
    ("name", "description", "message"),
    [
        ("Reports", "Read reports", "Lower-case words"),
        ("a" * 65, "Read reports", "at most 64 characters"),
        ("", "Read reports", "blank"),
        ("reports:write", "", "needs at least one visible character"),
        ("reports:write", "x" * 201, "up to 200 characters"),
        ("keys:read", "Taken", "has a scope of this name"),
    ],
)
def test_createscope_refuses_what_the_admin_site_refuses(
    command: Any, name: str, description: str, message: str
) -> None:
    before = Scope.objects.count()
    with pytest.raises(CommandError, match=message):
        command("createscope", name, "--description", description)
    assert Scope.objects.count() == before


def test_createscope_refuses_a_secret_in_a_description(command: Any, make_key: MakeKey) -> None:
    with pytest.raises(CommandError, match="contains a secret"):
        command("createscope", "reports:write", "--description", f"See {make_key()[1]}")


def test_localsetup_is_for_local_mode(command: Any) -> None:
    with pytest.raises(CommandError, match="local mode"):
        command("localsetup")
    assert not User.objects.exists()
