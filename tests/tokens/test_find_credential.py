"""An operator's search: every kind of credential that is issued is recognised and traced, on the record."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from accounts.services import deactivate_user, end_all_tokens, unconfirm_user
from apikeys import services as keys
from apikeys.models import APIKey, KeySecret
from audit.models import Event
from audit.origin import Origin
from credentials.kinds import Kind
from tests.conftest import ORIGIN, LogIn, MakeKey
from tests.rows import rewrite
from tests.tokens.searches import claim, explain, facts_of, find_one, pair, swap
from tokens import services
from tokens.models import RefreshToken, RevokedToken, TokenFamily
from tokens.search import search
from tokens.services import TokenResponse
from vault.secret_format import new_id, new_secret
from vault.signing_keys import new_signing_jwk

__all__ = ["pair", "swap"]

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H24")]
FIND = "/admin/tokens/tokenfamily/find/"


@pytest.fixture
def desk(log_in: LogIn, operator: User) -> Client:
    return log_in(operator)


@pytest.mark.parametrize("environment", ["live", "test"])
def test_a_secret_is_traced_to_its_key_and_owner(make_key: MakeKey, developer: User, environment: str) -> None:
    key, secret = make_key(name="billing", environment=environment)
    finding = find_one(secret)
    assert (finding.what, finding.subject, finding.owner) == ("Secret of an API key", f"key:{key.pk}", developer)
    assert finding.state.label == "Accepted"
    for fact in (f"kp_{environment}_…{secret[-4:]}", "billing", key.pk, "dev@example.com", developer.pk, environment):
        assert fact in facts_of(finding)
    assert secret not in facts_of(finding) + repr(finding)


def test_each_end_of_a_key_is_told_with_when_and_why(make_key: MakeKey, developer: User) -> None:
    soon = timezone.now() + timedelta(hours=1)
    key, secret = make_key(networks=["192.0.2.0/24"], expires_at=soon)
    assert find_one(secret).state.label == "Accepted"  # nobody called: no network is the wrong one
    row = rewrite(KeySecret.objects.get(), retires_at=timezone.now())
    assert find_one(secret).state.code == "retired"
    assert "Replaced by a newer secret of its key on " in find_one(secret).state.label
    rewrite(row, retires_at=None)
    rewrite(key, paused_at=timezone.now())
    assert find_one(secret).state.label.startswith("Paused on ")
    rewrite(key, paused_at=None)
    unconfirm_user(user=developer, origin=ORIGIN)
    assert find_one(secret).state.code == "account_unconfirmed"
    deactivate_user(user=developer, origin=ORIGIN)
    assert find_one(secret).state.code == "owner_inactive"
    rewrite(key, expires_at=timezone.now() - timedelta(days=1))
    assert find_one(secret).state.label.startswith("Expired on ")
    APIKey.objects.update(expires_at=timezone.now() + timedelta(days=1))
    assert find_one(secret).state.code == "owner_inactive"
    rewrite(User.objects.get(), is_active=True, confirmed_at=timezone.now())
    assert "changed outside the portal" in find_one(secret).state.label
    assert find_one(secret).target
    keys.revoke(key=key, reason="leaked in a log", origin=ORIGIN)
    assert find_one(secret).state.label.startswith("Ended on ")
    assert find_one(secret).state.label.endswith(" UTC: leaked in a log")
    assert find_one(secret).target is None


def test_tokens_of_a_log_in_are_traced_to_it(pair: TokenResponse, developer: User) -> None:
    family = TokenFamily.objects.get()
    for text, what in ((pair.access_token, "Access token"), (pair.refresh_token or "", "Refresh token")):
        finding = find_one(text)
        assert (finding.what, finding.subject, finding.state.code) == (what, f"user:{developer.pk}", "good")
        for fact in ("Issued", family.pk, "192.0.2.1", "a tool/1", "dev@example.com"):
            assert fact in facts_of(finding)
        assert text not in facts_of(finding) + repr(finding)


def test_tokens_of_a_key_are_traced_to_it(swap: Callable[..., tuple[APIKey, str, str]]) -> None:
    key, secret, token = swap(name="billing")
    finding = find_one(token)
    assert (finding.what, finding.subject, finding.state.code) == ("Access token", f"key:{key.pk}", "good")
    for fact in (key.pk, "billing", "exchanged", claim(token, "jti"), "dev@example.com"):
        assert fact in facts_of(finding)
    keys.revoke(key=key, reason="leaked", origin=ORIGIN)
    assert find_one(token).state.label.endswith("UTC: its key, leaked")
    assert find_one(token).target is None
    assert secret not in repr(find_one(token))


def test_a_spent_and_an_old_refresh_token_are_told(pair: TokenResponse, settings: Settings) -> None:
    first = pair.refresh_token or ""
    second = services.refresh(secret=first, scopes=None, client_id=None, origin=ORIGIN).refresh_token or ""
    assert find_one(first).state.label.startswith("Used: a newer token has replaced it on ")
    assert find_one(second).state.code == "good"
    RefreshToken.objects.filter(used_at=None).update(expires_at=timezone.now())
    assert find_one(second).state.code == "invalid_token"
    settings.KEYPORTAL_REFRESH_IDLE = 0
    assert find_one(first).state.code == "spent"
    TokenFamily.objects.update(scopes="everything")
    assert find_one(TokenFamily.objects.get().pk).state.code == "invalid_token"


def test_each_end_of_a_log_in_is_told(pair: TokenResponse, developer: User, settings: Settings) -> None:
    texts = (pair.access_token, pair.refresh_token or "", TokenFamily.objects.get().pk)
    settings.KEYPORTAL_REFRESH_IDLE = 0
    assert [find_one(text).state.code for text in texts[1:]] == ["expired", "expired"]
    settings.KEYPORTAL_REFRESH_IDLE = 3600
    for change, code in ((unconfirm_user, "account_unconfirmed"), (deactivate_user, "owner_inactive")):
        change(user=developer, origin=ORIGIN)
        rewrite(developer, auth_epoch=0)
        assert {find_one(text).state.code for text in texts} == {code}
    rewrite(developer, is_active=True, confirmed_at=timezone.now())
    end_all_tokens(user=developer, origin=ORIGIN)
    assert {find_one(text).state.label for text in texts} == {"Ended: all tokens of the account were ended"}
    services.end_family(family=TokenFamily.objects.get(), reason="lost laptop", origin=ORIGIN)
    assert {find_one(text).state.why for text in texts} == {"lost laptop"}
    assert {find_one(text).target for text in texts} == {None}


def test_expired_and_revoked_tokens_are_recognised(
    swap: Callable[..., tuple[APIKey, str, str]], pair: TokenResponse, settings: Settings
) -> None:
    _, _, token = swap()
    for later in (timedelta(minutes=11), timedelta(days=3650)):
        with time_machine.travel(timezone.now() + later):
            for text in (token, pair.access_token):
                assert find_one(text).state.label.startswith("Expired on ")
            assert find_one(token).target is None
            assert find_one(pair.access_token).target  # of its log-in nobody has said that it is over
    RevokedToken.objects.create(
        issuer=settings.KEYPORTAL_URL, token_id=claim(token, "jti"), expires_at=timezone.now() + timedelta(hours=1)
    )
    assert find_one(token).state.label.startswith("Ended on ")


def test_a_token_of_a_former_signing_key_is_recognised_while_that_is_in_the_ring(
    swap: Callable[..., tuple[APIKey, str, str]], settings: Settings
) -> None:
    key, _, token = swap()
    former, fresh = json.loads(settings.KEYPORTAL_SIGNING_KEYS), new_signing_jwk("EdDSA")
    settings.KEYPORTAL_SIGNING_KEYS = json.dumps({"keys": [fresh, former]})
    assert find_one(token).subject == f"key:{key.pk}"
    settings.KEYPORTAL_SIGNING_KEYS = json.dumps({"keys": [fresh]})
    assert "no signing key in this portal's ring signed it" in explain(token)


def test_a_token_for_another_audience_or_of_a_former_address_is_recognised(
    swap: Callable[..., tuple[APIKey, str, str]], settings: Settings
) -> None:
    key, _, token = swap()
    settings.KEYPORTAL_AUDIENCE, settings.KEYPORTAL_URL = "https://api.example", "https://new.example"
    assert find_one(token).subject == f"key:{key.pk}"
    assert "https://portal.test" in facts_of(find_one(token))


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
    assert {text: find_one(text).subject for text in expected} == expected
    assert {find_one(text).state.code for text in expected} == {"good"}
    renewed = services.refresh(secret=pair.refresh_token or "", scopes=None, client_id=None, origin=ORIGIN)
    assert family.pk in facts_of(find_one(claim(renewed.access_token, "jti")))
    end_all_tokens(user=developer, origin=ORIGIN)
    for token_id in (claim(token, "jti"), claim(pair.access_token, "jti")):
        assert find_one(token_id).state.label == "Ended: all tokens of the account were ended"
    for kind in ("key", "sec", "usr", "fam", "ref", "tok"):
        assert (
            explain(new_id(kind)) == "It has the form of a public id, but nothing here has it, or it no longer exists."
        )


def test_a_hint_leads_to_every_key_that_has_it_and_ends_one_alone(make_key: MakeKey) -> None:
    key, secret = make_key()
    hint = f"kp_live_…{secret[-4:]}"
    for text in (hint, f"kp_live_...{secret[-4:]}", secret[-4:]):
        assert find_one(text).subject == f"key:{key.pk}"
    other, _ = make_key()
    KeySecret.objects.update(hint=hint)
    assert {finding.subject for finding in search(hint, origin=ORIGIN).findings} == {f"key:{key.pk}", f"key:{other.pk}"}
    swapped = hint[:-4] + hint[-4:].swapcase()
    if swapped != hint:  # SQLite compares without regard to capitals
        assert "nothing here has it" in explain(swapped)


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
