"""The record of an access token: what of the claims and of the rows it holds, and which rows a verdict depends on."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from apikeys import services as keys
from apikeys.models import APIKey, KeySecret
from apikeys.services.rotation import current_secret
from apikeys.verification import verify as verify_key
from credentials.credential import Credential
from credentials.record import VerifiedRecord
from credentials.refusals import RefusedError
from credentials.verified_cache.cache import VerifiedCache
from credentials.verified_cache.freshness import Lookup, get_or_load
from tests.conftest import ORIGIN, MakeKey, MakeUser
from tests.limits import START
from tests.prepared_queries import compile_anew
from tests.tampering import sql
from tests.tokens.signed import ISSUER, family, sign_claims, sign_for
from tokens import services, verification
from tokens.models import RevokedToken, TokenFamily
from tokens.verification import load, verify
from vault.secret_format import new_id

__all__ = ["family"]  # a fixture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("scopes", "_compiled_anew")]
Holder = User | TokenFamily | APIKey
KINDS = ("account", "log-in", "key")


@pytest.fixture
def _compiled_anew() -> None:
    compile_anew(verification)


@pytest.fixture
def holders(developer: User, family: TokenFamily, make_key: MakeKey) -> dict[str, Holder]:
    """What a token may be of, by kind. The key may do less than the token says, and has a limit of its own."""
    key, _ = make_key(scopes=["reports:read"], networks=["192.0.2.0/24"])
    keys.set_rate_limit(key=key, limit="7/minute", origin=ORIGIN)
    return {"account": developer, "log-in": family, "key": APIKey.objects.select_related("owner").get()}


HERE = ip_address("192.0.2.7")


def verified(token: str, **asked: Any) -> VerifiedRecord:
    return verify(token, **{"address": HERE, **asked})


def refusal_of(token: str, **asked: Any) -> tuple[str, dict[str, str], str]:
    """Return why a token is refused: the code, what is said about it, and the id under which it is counted."""
    with pytest.raises(RefusedError) as caught:
        verified(token, **asked)
    refused = caught.value.refusal
    return refused.code, dict(refused.about), refused.counted_as


def cached_lookup() -> Lookup:
    """Return a lookup in a cache that is always current."""
    cache = VerifiedCache()
    return lambda digest, load: cache.get_or_load(cache.generation, digest, load)


@pytest.mark.parametrize("kind", ["account", "log-in"])
def test_a_record_of_a_user_s_token_holds_claims_and_owner(
    holders: dict[str, Holder], developer: User, kind: str
) -> None:
    token, claims = sign_for(holders[kind], environment="test")
    record = verified(token)
    expires_at = datetime.fromtimestamp(claims.expires_at, UTC)
    assert record.credential == Credential(
        kind="access_token",
        id=claims.token_id,
        name="",
        client_id="portal",
        owner_id=developer.pk,
        environment="test",
        scopes=frozenset({"reports:read", "secrets:all"}),
        expires_at=expires_at,
    )
    assert (record.owner.id, record.owner.email, record.counted_as) == (developer.pk, developer.email, developer.pk)
    families = [f"token:{claims.family}"] if claims.family else []
    assert record.tags == (f"token:{claims.token_id}", *families, f"user:{developer.pk}")
    assert record.about == {"token": claims.token_id, "client": "portal"}
    assert (record.key, record.rate_limit, record.secret_id, record.claims) == (None, "", "", claims)
    assert record.expires_at == expires_at + timedelta(seconds=30)


def test_a_record_of_a_key_s_token_holds_the_key_as_well(holders: dict[str, Holder], developer: User) -> None:
    key = holders["key"]
    token, claims = sign_for(key)
    record = verified(token)
    assert (record.credential.id, record.credential.client_id) == (claims.token_id, key.pk)
    assert (record.credential.name, record.credential.owner_id) == ("billing server", developer.pk)
    assert record.credential.scopes == {"reports:read"}
    assert (record.counted_as, record.rate_limit) == (key.pk, "7/minute")
    assert record.key is not None
    assert record.key.credential.id == key.pk
    assert set(record.tags) == {f"token:{claims.token_id}", f"user:{developer.pk}", f"key:{key.pk}"}


@pytest.mark.parametrize("kind", KINDS)
def test_one_query_finds_the_subject(
    holders: dict[str, Holder], kind: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    token, _ = sign_for(holders[kind])
    with django_assert_num_queries(1):
        verified(token)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("row", "code"),
    [
        (lambda claims: {"issuer": ISSUER, "token_id": claims.token_id}, "revoked"),
        (lambda claims: {"issuer": "https://other.test", "token_id": claims.token_id}, None),
        (lambda claims: {"issuer": ISSUER, "token_id": new_id("tok")}, None),
    ],
    ids=["the token", "another issuer's", "another token"],
)
def test_a_token_is_revoked_by_its_id_and_issuer(
    holders: dict[str, Holder], kind: str, row: Callable[..., dict[str, str]], code: str | None
) -> None:
    token, claims = sign_for(holders[kind])
    RevokedToken.objects.create(expires_at=timezone.now() + timedelta(hours=1), **row(claims))
    assert code_or_none(token) == code


@pytest.mark.parametrize(("issuer", "code"), [(ISSUER, "revoked"), ("https://other.test", None)])
def test_all_tokens_of_a_log_in_are_revoked_by_its_id(family: TokenFamily, issuer: str, code: str | None) -> None:
    RevokedToken.objects.create(issuer=issuer, token_id=family.pk, expires_at=timezone.now() + timedelta(hours=1))
    assert code_or_none(sign_for(family)[0]) == code
    assert code_or_none(sign_for(family.user)[0]) is None


def code_or_none(token: str) -> str | None:
    """Return the code with which a token is refused, or None if it is good."""
    try:
        verified(token)
    except RefusedError as error:
        return error.refusal.code
    return None


def test_a_log_in_that_has_ended_revokes_its_tokens(family: TokenFamily) -> None:
    sql("UPDATE tokens_tokenfamily SET ended_at = %s", timezone.now())
    assert code_or_none(sign_for(family)[0]) == "revoked"


@pytest.mark.parametrize(
    ("kind", "statement"),
    [
        ("account", "UPDATE accounts_user SET is_staff = NOT is_staff"),
        ("log-in", "UPDATE tokens_tokenfamily SET scopes = 'secrets:all'"),
        ("key", "UPDATE apikeys_apikey SET scopes = 'secrets:all'"),
    ],
)
def test_a_row_that_the_portal_did_not_write_makes_no_token_good(
    holders: dict[str, Holder], kind: str, statement: str
) -> None:
    token, _ = sign_for(holders[kind])
    sql(statement)
    assert refusal_of(token) == ("invalid_token", {}, "")


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_of_what_was_deleted_is_unknown(holders: dict[str, Holder], kind: str) -> None:
    token, _ = sign_for(holders[kind])
    holders[kind].delete()
    assert refusal_of(token) == ("invalid_token", {}, "")


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_from_before_all_were_ended_is_revoked(holders: dict[str, Holder], kind: str) -> None:
    token, _ = sign_for(holders[kind])
    User.objects.update(auth_epoch=1)
    user = User.objects.get()
    User.objects.update(seal=user.make_seal())
    assert code_or_none(token) == "revoked"


def test_a_log_in_of_somebody_else_proves_nothing(family: TokenFamily, make_user: MakeUser) -> None:
    other = make_user("other@example.com")
    token, _ = sign_claims(f"user:{other.pk}", family=family.pk, epoch=other.auth_epoch)
    assert refusal_of(token) == ("invalid_token", {}, "")


def test_a_log_in_says_nothing_about_a_key(
    family: TokenFamily, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    token, _ = sign_claims(f"key:{new_id('key')}", family=family.pk)
    with django_assert_num_queries(0):
        assert refusal_of(token) == ("invalid_token", {}, "")


def test_a_secret_says_nothing_about_another_key(make_key: MakeKey, developer: User) -> None:
    (one, _), (other, _) = make_key(name="one"), make_key(name="other")
    assert verified(sign_for(one)[0]).key
    token, _ = sign_for(one, secret_id=current_secret(other).pk)
    assert refusal_of(token) == ("invalid_token", {}, "")
    assert refusal_of(sign_for(one, secret_id=None)[0]) == ("invalid_token", {}, "")
    assert refusal_of(sign_for(one, secret_id=new_id("sec"))[0]) == ("invalid_token", {}, "")


@pytest.mark.parametrize("is_cached", [True, False])
def test_a_token_ends_with_the_secret_that_was_exchanged_for_it(
    make_key: MakeKey, time_machine: Any, is_cached: bool
) -> None:
    time_machine.move_to(START, tick=False)
    key, _ = make_key()
    lookup = cached_lookup() if is_cached else get_or_load
    of_former, _ = sign_for(key, expires_at=int(START) + 7200)
    keys.rotate(key=key, replaces=current_secret(key).pk, overlap=timedelta(hours=1), origin=ORIGIN)
    of_newest, _ = sign_for(key, expires_at=int(START) + 7200)
    headers = verified(of_former, lookup=lookup).lifetime_headers()
    assert headers == {"Deprecation": "@1799971200", "Sunset": "Fri, 15 Jan 2027 01:00:00 GMT"}
    assert verified(of_newest, lookup=lookup).lifetime_headers() == {}
    time_machine.move_to(START + 3600, tick=False)
    assert refusal_of(of_former, lookup=lookup)[0] == "retired"
    assert verified(of_newest, lookup=lookup)


def test_a_token_outlives_neither_its_key_nor_its_secret(make_key: MakeKey) -> None:
    key, former = make_key(expires_at=timezone.now() + timedelta(minutes=20))
    keys.rotate(key=key, replaces=current_secret(key).pk, overlap=timedelta(minutes=2), origin=ORIGIN)
    of_former = services.issue_to_key(client=verify_key(former, address=None), scopes=None, origin=ORIGIN)
    assert 110 <= of_former.expires_in <= 120


@pytest.mark.parametrize("column", ["retires_at", "replaced_at"])
def test_a_token_of_a_secret_that_was_changed_outside_the_portal_is_refused(make_key: MakeKey, column: str) -> None:
    key, _ = make_key()
    token, _ = sign_for(key)
    assert verified(token)
    KeySecret.objects.filter(key=key).update(**{column: timezone.now() + timedelta(days=1)})
    assert refusal_of(token)[0] == "invalid_token"


@pytest.mark.parametrize("kind", KINDS)
def test_an_expired_token_is_told_which_one_it_was_and_since_when(
    holders: dict[str, Holder], kind: str, developer: User, time_machine: Any
) -> None:
    time_machine.move_to(START, tick=False)
    token, claims = sign_for(holders[kind])
    lookup = cached_lookup()
    counted_as = verified(token, lookup=lookup).counted_as
    time_machine.move_to(START + 629.9, tick=False)
    assert verified(token, lookup=lookup)
    time_machine.move_to(START + 630, tick=False)
    about = {"token": claims.token_id, "client": claims.client_id, "at": "2027-01-15T00:10:00Z"}
    assert refusal_of(token, lookup=lookup) == ("expired", about, counted_as)
    assert refusal_of(token) == ("expired", about, "")


def test_a_token_is_good_for_its_environment_and_from_the_networks_of_its_key(holders: dict[str, Holder]) -> None:
    token, _ = sign_for(holders["key"])
    assert verified(token, environment="live", scopes=["reports:read"])
    assert refusal_of(token, environment="test")[0] == "wrong_environment"
    assert refusal_of(token, scopes=["secrets:all"])[0] == "insufficient_scope"
    code, about, counted_as = refusal_of(token, address=ip_address("198.51.100.1"))
    assert (code, about["address"], counted_as) == ("network_refused", "198.51.100.1", holders["key"].pk)


def test_two_tokens_are_cached_apart(holders: dict[str, Holder]) -> None:
    lookup = cached_lookup()
    found = {verified(sign_for(holders[kind])[0], lookup=lookup).credential.id for kind in KINDS}
    assert len(found) == len(KINDS)


def test_a_cached_record_that_is_no_token_s_proves_no_token(holders: dict[str, Holder]) -> None:
    token, _ = sign_for(holders["key"])
    record = verified(token).key
    assert refusal_of(token, lookup=lambda _key, _load: record) == ("invalid_token", {}, "")


@pytest.mark.parametrize(
    ("token", "reason"),
    [("a.b.c", "not signed by a key of the ring"), (None, "aud is out of bounds")],
)
def test_the_log_says_why_a_token_was_refused(
    developer: User, caplog: pytest.LogCaptureFixture, token: str | None, reason: str
) -> None:
    with caplog.at_level(logging.INFO, "tokens.verification"), pytest.raises(RefusedError) as caught:
        load(token or sign_for(developer, audience="no resource")[0], audience=None)
    assert caught.value.refusal.code == "invalid_token"
    assert caplog.messages == [f"token refused: {reason}"]
