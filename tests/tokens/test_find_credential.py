"""An operator's search: every kind of credential that is issued is recognised, traced, and can be ended."""

import base64
import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from accounts.services import deactivate_user, end_all_tokens, unconfirm_user
from apikeys import services as keys
from apikeys.models import APIKey, KeySecret
from apikeys.verification import verify as verify_key
from audit.models import Event
from audit.origin import Origin
from credentials.kinds import Kind
from credentials.scopes.models import Scope
from tests.conftest import ORIGIN, MakeKey
from tests.rows import rewrite
from tests.typos import with_another_end
from tokens import services
from tokens.models import RefreshToken, RevokedToken, TokenFamily
from tokens.search import NOTHING, search
from tokens.services import TokenResponse
from tokens.traces import Finding
from vault.secret_format import new_id, new_secret
from vault.signing_keys import new_signing_jwk

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H24")]
FIND = "/admin/tokens/tokenfamily/find/"
END = f"{FIND}end/"


@pytest.fixture
def pair(developer: User, scopes: list[Scope]) -> TokenResponse:
    """A log-in's access and refresh token."""
    return services.issue_to_user(user=developer, scopes=None, agent="a tool/1", origin=ORIGIN)


@pytest.fixture
def swap(make_key: MakeKey) -> Callable[..., tuple[APIKey, str, str]]:
    """Make a key, and an access token that it was swapped for."""

    def make(**fields: Any) -> tuple[APIKey, str, str]:
        key, secret = make_key(**fields)
        issued = services.issue_to_key(client=verify_key(secret, address=None), scopes=None, origin=ORIGIN)
        return key, secret, issued.access_token

    return make


@pytest.fixture
def desk(log_in: Callable[..., Client], operator: User) -> Client:
    return log_in(operator)


def found(text: str) -> Finding:
    result = search(text, origin=ORIGIN)
    assert result.sentence == ""
    [finding] = result.findings
    return finding


def words(text: str) -> str:
    result = search(text, origin=ORIGIN)
    assert result.findings == ()
    return result.sentence


def said(finding: Finding) -> str:
    return " | ".join(f"{fact.label}: {fact.text}" for fact in finding.facts)


def claim(token: str, name: str) -> str:
    payload = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=="))[name])


# Which kind, whose, in which state.


@pytest.mark.parametrize("environment", ["live", "test"])
def test_a_secret_is_traced_to_its_key_and_owner(make_key: MakeKey, developer: User, environment: str) -> None:
    key, secret = make_key(name="billing", environment=environment)
    finding = found(secret)
    assert (finding.what, finding.subject, finding.owner) == ("Secret of an API key", f"key:{key.pk}", developer)
    assert finding.state.label == "Accepted"
    for fact in (f"kp_{environment}_…{secret[-4:]}", "billing", key.pk, "dev@example.com", developer.pk, environment):
        assert fact in said(finding)
    assert secret not in said(finding) + repr(finding)


def test_each_end_of_a_key_is_told_with_when_and_why(make_key: MakeKey, developer: User) -> None:
    soon = timezone.now() + timedelta(hours=1)
    key, secret = make_key(networks=["192.0.2.0/24"], expires_at=soon)
    assert found(secret).state.label == "Accepted"  # nobody called: no network is the wrong one
    row = rewrite(KeySecret.objects.get(), retires_at=timezone.now())
    assert found(secret).state.code == "retired"
    assert "Replaced by a newer secret of its key on " in found(secret).state.label
    rewrite(row, retires_at=None)
    rewrite(key, paused_at=timezone.now())
    assert found(secret).state.label.startswith("Paused on ")
    rewrite(key, paused_at=None)
    unconfirm_user(user=developer, origin=ORIGIN)
    assert found(secret).state.code == "account_unconfirmed"
    deactivate_user(user=developer, origin=ORIGIN)
    assert found(secret).state.code == "owner_inactive"
    rewrite(key, expires_at=timezone.now() - timedelta(days=1))
    assert found(secret).state.label.startswith("Expired on ")
    APIKey.objects.update(expires_at=timezone.now() + timedelta(days=1))
    assert found(secret).state.code == "owner_inactive"
    rewrite(User.objects.get(), is_active=True, confirmed_at=timezone.now())
    assert "changed outside the portal" in found(secret).state.label
    assert found(secret).target
    keys.revoke(key=key, reason="leaked in a log", origin=ORIGIN)
    assert found(secret).state.label.startswith("Ended on ")
    assert found(secret).state.label.endswith(" UTC: leaked in a log")
    assert found(secret).target is None


def test_tokens_of_a_log_in_are_traced_to_it(pair: TokenResponse, developer: User) -> None:
    family = TokenFamily.objects.get()
    for text, what in ((pair.access_token, "Access token"), (pair.refresh_token or "", "Refresh token")):
        finding = found(text)
        assert (finding.what, finding.subject, finding.state.code) == (what, f"user:{developer.pk}", "good")
        for fact in ("Issued", family.pk, "192.0.2.1", "a tool/1", "dev@example.com"):
            assert fact in said(finding)
        assert text not in said(finding) + repr(finding)


def test_tokens_of_a_key_are_traced_to_it(swap: Callable[..., tuple[APIKey, str, str]]) -> None:
    key, secret, token = swap(name="billing")
    finding = found(token)
    assert (finding.what, finding.subject, finding.state.code) == ("Access token", f"key:{key.pk}", "good")
    for fact in (key.pk, "billing", "exchanged", claim(token, "jti"), "dev@example.com"):
        assert fact in said(finding)
    keys.revoke(key=key, reason="leaked", origin=ORIGIN)
    assert found(token).state.label.endswith("UTC: its key, leaked")
    assert found(token).target is None
    assert secret not in repr(found(token))


def test_a_spent_and_an_old_refresh_token_are_told(pair: TokenResponse, settings: Settings) -> None:
    first = pair.refresh_token or ""
    second = services.refresh(secret=first, scopes=None, client_id=None, origin=ORIGIN).refresh_token or ""
    assert found(first).state.label.startswith("Used: a newer token has replaced it on ")
    assert found(second).state.code == "good"
    RefreshToken.objects.filter(used_at=None).update(expires_at=timezone.now())
    assert found(second).state.code == "invalid_token"
    settings.KEYPORTAL_REFRESH_IDLE = 0
    assert found(first).state.code == "spent"
    TokenFamily.objects.update(scopes="everything")
    assert found(TokenFamily.objects.get().pk).state.code == "invalid_token"


def test_each_end_of_a_log_in_is_told(pair: TokenResponse, developer: User, settings: Settings) -> None:
    texts = (pair.access_token, pair.refresh_token or "", TokenFamily.objects.get().pk)
    settings.KEYPORTAL_REFRESH_IDLE = 0
    assert [found(text).state.code for text in texts[1:]] == ["expired", "expired"]
    settings.KEYPORTAL_REFRESH_IDLE = 3600
    for change, code in ((unconfirm_user, "account_unconfirmed"), (deactivate_user, "owner_inactive")):
        change(user=developer, origin=ORIGIN)
        rewrite(developer, auth_epoch=0)
        assert {found(text).state.code for text in texts} == {code}
    rewrite(developer, is_active=True, confirmed_at=timezone.now())
    end_all_tokens(user=developer, origin=ORIGIN)
    assert {found(text).state.label for text in texts} == {"Ended: all tokens of the account were ended"}
    services.end_family(family=TokenFamily.objects.get(), reason="lost laptop", origin=ORIGIN)
    assert {found(text).state.why for text in texts} == {"lost laptop"}
    assert {found(text).target for text in texts} == {None}


def test_expired_and_revoked_tokens_are_recognised(
    swap: Callable[..., tuple[APIKey, str, str]], pair: TokenResponse, settings: Settings
) -> None:
    _, _, token = swap()
    for later in (timedelta(minutes=11), timedelta(days=3650)):
        with time_machine.travel(timezone.now() + later):
            for text in (token, pair.access_token):
                assert found(text).state.label.startswith("Expired on ")
            assert found(token).target is None
            assert found(pair.access_token).target  # of its log-in nobody has said that it is over
    RevokedToken.objects.create(
        issuer=settings.KEYPORTAL_URL, token_id=claim(token, "jti"), expires_at=timezone.now() + timedelta(hours=1)
    )
    assert found(token).state.label.startswith("Ended on ")


def test_a_token_of_a_former_signing_key_is_recognised_while_that_is_in_the_ring(
    swap: Callable[..., tuple[APIKey, str, str]], settings: Settings
) -> None:
    key, _, token = swap()
    former, fresh = json.loads(settings.KEYPORTAL_SIGNING_KEYS), new_signing_jwk("EdDSA")
    settings.KEYPORTAL_SIGNING_KEYS = json.dumps({"keys": [fresh, former]})
    assert found(token).subject == f"key:{key.pk}"
    settings.KEYPORTAL_SIGNING_KEYS = json.dumps({"keys": [fresh]})
    assert "no signing key in this portal's ring signed it" in words(token)


def test_a_token_for_another_audience_or_of_a_former_address_is_recognised(
    swap: Callable[..., tuple[APIKey, str, str]], settings: Settings
) -> None:
    key, _, token = swap()
    settings.KEYPORTAL_AUDIENCE, settings.KEYPORTAL_URL = "https://api.example", "https://new.example"
    assert found(token).subject == f"key:{key.pk}"
    assert "https://portal.test" in said(found(token))


def test_every_public_id_is_traced(
    pair: TokenResponse, swap: Callable[..., tuple[APIKey, str, str]], developer: User
) -> None:
    key, _, token = swap()
    family, refresh = TokenFamily.objects.get(), RefreshToken.objects.get()
    expected = {
        key.pk: f"key:{key.pk}",
        key.secrets.get().pk: f"key:{key.pk}",
        developer.pk: f"user:{developer.pk}",
        family.pk: f"user:{developer.pk}",
        refresh.pk: f"user:{developer.pk}",
        claim(token, "jti"): f"key:{key.pk}",
        claim(pair.access_token, "jti"): f"user:{developer.pk}",
    }
    assert {text: found(text).subject for text in expected} == expected
    assert {found(text).state.code for text in expected} == {"good"}
    renewed = services.refresh(secret=pair.refresh_token or "", scopes=None, client_id=None, origin=ORIGIN)
    assert family.pk in said(found(claim(renewed.access_token, "jti")))
    end_all_tokens(user=developer, origin=ORIGIN)
    for token_id in (claim(token, "jti"), claim(pair.access_token, "jti")):
        assert found(token_id).state.label == "Ended: all tokens of the account were ended"
    for kind in ("key", "sec", "usr", "fam", "ref", "tok"):
        assert words(new_id(kind)) == "It has the form of a public id, but nothing here has it, or it no longer exists."


def test_a_hint_leads_to_every_key_that_has_it_and_ends_one_alone(make_key: MakeKey) -> None:
    key, secret = make_key()
    hint = f"kp_live_…{secret[-4:]}"
    for text in (hint, f"kp_live_...{secret[-4:]}", secret[-4:]):
        assert found(text).subject == f"key:{key.pk}"
    other, _ = make_key()
    KeySecret.objects.update(hint=hint)
    assert {finding.subject for finding in search(hint, origin=ORIGIN).findings} == {f"key:{key.pk}", f"key:{other.pk}"}
    swapped = hint[:-4] + hint[-4:].swapcase()
    if swapped != hint:  # SQLite compares without regard to capitals
        assert "nothing here has it" in words(swapped)


def test_what_resembles_ours_is_told_in_which_way_it_falls_short(make_key: MakeKey, pair: TokenResponse) -> None:
    key, secret = make_key()
    assert (
        words(secret[:-1]) == "It begins like a secret of a key and is cut off: 48 of 49 characters follow the prefix."
    )
    assert "cut off: 0 of 49" in words("kp_live_")
    wrong = secret[:20] + ("a" if secret[20] != "a" else "b") + secret[21:]
    mistyped = search(wrong, origin=ORIGIN)
    assert mistyped.sentence == "It begins like a secret of a key and was mistyped: its checksum is wrong."
    assert [finding.subject for finding in mistyped.findings] == [f"key:{key.pk}"]  # by its last characters
    assert "mistyped: 50 characters follow the prefix instead of 49" in words(wrong + "a")
    assert "refresh token and is cut off" in words((pair.refresh_token or "")[:-5])
    assert "well formed but unknown" in words(new_secret("kp", "live"))
    assert "well formed but unknown" in words(new_secret("kp", "refresh"))
    token = pair.access_token
    assert words(token.rpartition(".")[0]).startswith("It begins like a signed token of this portal, and is cut off")
    assert words(token[:-4] + "AAAA").startswith("It names a signing key of this portal, and its signature is wrong")
    assert words("eyJhbGciOiJub25lIn0.e30.AAAA").startswith("It has the form of a signed token, but no signing key")
    assert "wrong length" in words(key.pk[:-1])
    assert words("hello") == words("") == words("Basic YTpi") == NOTHING


def test_of_a_line_with_an_id_and_a_damaged_secret_both_are_told(make_key: MakeKey) -> None:
    key, secret = make_key()
    result = search(f"curl -u {key.pk}:{secret[:-3]} https://portal", origin=ORIGIN)
    assert [finding.subject for finding in result.findings] == [f"key:{key.pk}"]
    assert result.sentence == "The credential next to it is mistyped or cut off."
    assert search(f"{secret} {new_secret('kp', 'live')}", origin=ORIGIN).others is True


def test_a_token_of_somebody_who_is_gone_is_told_as_ours(pair: TokenResponse, developer: User) -> None:
    developer.delete()
    assert (
        words(pair.access_token) == "This portal signed it, but the account or the key that it names no longer exists."
    )


# The end.


def every_credential(make: Callable[..., tuple[APIKey, str, str]], pair: TokenResponse) -> dict[str, str]:
    key, secret, token = make()
    return {
        "secret": secret,
        "key id": key.pk,
        "secret's id": key.secrets.get().pk,
        "token of a key": token,
        "id of a token of a key": claim(token, "jti"),
        "access token": pair.access_token,
        "refresh token": pair.refresh_token or "",
        "log-in": TokenFamily.objects.get().pk,
        "id of an access token": claim(pair.access_token, "jti"),
        "hint": f"kp_live_…{secret[-4:]}",
    }


KINDS = ["secret", "key id", "secret's id", "token of a key", "id of a token of a key", "access token", "refresh token"]
KINDS += ["log-in", "id of an access token", "hint"]


def target_on(page: str) -> str:
    return page.partition('name="target" value="')[2].partition('"')[0]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_ended_from_the_page_by_one_confirmed_post(
    desk: Client,
    swap: Callable[..., tuple[APIKey, str, str]],
    pair: TokenResponse,
    kind: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    text = every_credential(swap, pair)[kind]
    page = desk.post(FIND, {"credential": f"Authorization: Bearer {text},\n"}, secure=True).content.decode()
    assert "Accepted" in page
    is_credential = kind in ("secret", "token of a key", "access token", "refresh token")
    assert (text in page) is not is_credential
    ended = desk.post(END, {"target": target_on(page), "reason": "found in a log"}, secure=True, follow=True)
    assert "Ended. The next call is refused." in ended.content.decode()
    assert all(text not in address for address, _ in ended.redirect_chain) or not is_credential
    finding = found(text)
    assert finding.state.code == "revoked"
    assert finding.target is None
    verb = {"key": "key_revoked", "fam": "tokens_revoked", "tok": "token_revoked"}
    event = Event.objects.get(verb__in=verb.values())
    assert event.details["reason"] == "found in a log"
    assert not is_credential or text not in caplog.text
    assert not is_credential or text not in str(list(Event.objects.values()))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_ended_at_the_command_line(
    swap: Callable[..., tuple[APIKey, str, str]], pair: TokenResponse, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = every_credential(swap, pair)[kind]
    told = run(monkeypatch, "findkey", stdin=f"`{text}`,\n")
    assert "Accepted" in told
    assert "dev@example.com" in told
    assert found(text).state.code == "good"
    told = run(monkeypatch, "findkey", "--end", "--reason", "leaked", stdin=text)
    assert "Ended: " in told
    assert found(text).state.code == "revoked"
    with pytest.raises(CommandError, match="there is nothing to end"):
        run(monkeypatch, "findkey", "--end", "--reason", "leaked", stdin=text)
    assert Event.objects.filter(actor="command:findkey", details__reason="leaked").count() == 1


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str, stdin: str) -> str:
    monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=io.StringIO())
    if "_live_" in stdin or "eyJ" in stdin:
        assert stdin.strip("`,\n") not in out.getvalue() or "…" in stdin
    return out.getvalue()


def test_findkey_takes_a_credential_from_standard_input_only_and_ends_with_a_reason_only(
    monkeypatch: pytest.MonkeyPatch, make_key: MakeKey
) -> None:
    key, secret = make_key(name="billing")
    for arguments in ((secret,), ("--end",), ("--reason", "x"), ("--end", "--reason", " ")):
        with pytest.raises(CommandError) as refused:
            run(monkeypatch, "findkey", *arguments, stdin=secret)
        assert secret not in str(refused.value) or arguments == (secret,)
    with pytest.raises(CommandError, match="This portal issues nothing like this"):
        run(monkeypatch, "findkey", stdin="nonsense")
    with pytest.raises(CommandError, match="its checksum is wrong"):
        run(monkeypatch, "findkey", stdin=with_another_end(secret))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe")))
    with pytest.raises(CommandError, match="UTF-8"):
        call_command("findkey")
    assert APIKey.objects.get(pk=key.pk).revoked_at is None


def test_findkey_ends_nothing_of_several(monkeypatch: pytest.MonkeyPatch, make_key: MakeKey) -> None:
    (_, one), (_, other) = make_key(), make_key()
    KeySecret.objects.update(hint="kp_live_…same")
    for text in ("kp_live_…same", f"{one} {other}"):
        with pytest.raises(CommandError, match="give exactly one credential"):
            run(monkeypatch, "findkey", "--end", "--reason", "x", stdin=text)
    assert not APIKey.objects.exclude(revoked_at=None).exists()


def test_a_reason_that_can_not_be_taken_is_asked_for_again_without_the_credential(
    desk: Client, make_key: MakeKey
) -> None:
    key, secret = make_key()
    page = desk.post(FIND, {"credential": secret}, secure=True).content.decode()
    answer = desk.post(END, {"target": target_on(page), "reason": "a\u202eb"}, secure=True)
    assert answer.status_code == 400
    again = answer.content.decode()
    assert "change the direction of text" in again
    assert key.pk in again
    assert APIKey.objects.get().revoked_at is None
    desk.post(END, {"target": target_on(again), "reason": ""}, secure=True)
    assert APIKey.objects.get().revoked_reason == "ended by an operator"


def test_a_form_that_was_left_lying_ends_nothing(
    desk: Client, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, secret = make_key()
    page = desk.post(FIND, {"credential": secret}, secure=True).content.decode()
    monkeypatch.setattr("tokens.ending.MAX_AGE", -1)
    answer = desk.post(END, {"target": target_on(page)}, secure=True, follow=True)
    assert "form has expired" in answer.content.decode()
    assert APIKey.objects.get().revoked_at is None


@pytest.mark.finding("H31")
def test_each_search_is_on_the_record_with_kind_and_subject_and_never_the_text(
    desk: Client, operator: User, make_key: MakeKey, pair: TokenResponse, developer: User
) -> None:
    key, secret = make_key()
    texts = {secret: f"key:{key.pk}", pair.access_token: f"user:{developer.pk}", "hello there": "credential:none"}
    texts |= {new_secret("kp", "live"): "credential:none", secret[:-2]: "credential:none"}
    for text in texts:
        desk.post(FIND, {"credential": text}, secure=True)
    events = list(Event.objects.filter(verb="credential_looked_up").order_by("id"))
    assert [f"{event.subject_type}:{event.subject_id}" for event in events] == list(texts.values())
    assert {event.actor for event in events} == {f"user:{operator.pk}"}
    assert [event.details["kind"] for event in events] == [Kind.API_KEY, Kind.ACCESS_TOKEN, "none", *[Kind.API_KEY] * 2]
    assert [event.details["found"] for event in events] == [1, 1, 0, 0, 0]
    recorded = str([event.__dict__ for event in events])
    assert not any(text in recorded for text in texts)
    search(secret, origin=Origin.of_command("findkey"))
    assert Event.objects.filter(actor="command:findkey", subject_id=key.pk).count() == 1
