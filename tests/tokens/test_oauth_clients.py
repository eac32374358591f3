"""How OAuth clients authenticate, and what they are told if they don't: each error with its status and headers."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django import Settings

from apikeys import services as keys
from apikeys.models import APIKey
from credentials.usage.counters import usage_counters
from tests.conftest import ORIGIN, MakeKey
from tests.limits import START, Clock, clock
from tests.oauth_client import FORM, basic
from tests.rows import rewrite
from tests.tokens.attempts import counted_late
from tokens import oauth
from tokens.clients import OAuthError, authenticate_client
from vault.secret_format import new_id, new_secret

__all__ = ["clock", "counted_late"]  # fixtures

pytestmark = pytest.mark.django_db
GRANT = "grant_type=client_credentials"
CHALLENGE = 'Basic realm="keyportal", charset="UTF-8"'
UNKNOWN = "The client is unknown, or its secret is wrong."
IN_ADDRESS = "Send credentials in the header or the body, never in the address."
NO_BASIC = "The Authorization header is not valid HTTP Basic."
TWO_WAYS = "Authenticate in the header or in the body, not in both."
TWICE = "A parameter was sent more than once."
Asked = Mapping[str, str]


def send(client: Client, body: str = GRANT, *, query: str = "", header: str | None = None, **more: Any) -> Any:
    """Send a form to the token endpoint."""
    heads = {} if header is None else {"Authorization": header}
    path, kind = f"/oauth/token{query}", more.pop("content_type", FORM)
    return client.generic(more.pop("method", "POST"), path, body, kind, secure=True, headers=heads, **more)


def said(answer: Any) -> tuple[int, str, str]:
    """Return status, error and description, after a look at the headers that every answer has."""
    assert (answer["Content-Type"], answer["Cache-Control"], answer["Pragma"]) == (
        "application/json",
        "no-store",
        "no-cache",
    )
    body: dict[str, str] = answer.json()
    assert body.keys() == {"error", "error_description"}
    return answer.status_code, body["error"], body["error_description"]


def headers_of(answer: Any) -> dict[str, str]:
    return {name: answer[name] for name in ("WWW-Authenticate", "Allow", "Retry-After") if name in answer}


@pytest.mark.parametrize(
    ("asked", "expected", "headers"),
    [
        ({"method": "GET"}, (405, "invalid_request", "Use POST."), {"Allow": "POST"}),
        ({"method": "PUT"}, (405, "invalid_request", "Use POST."), {"Allow": "POST"}),
        ({"content_type": "application/json"}, (400, "invalid_request", f"Send the parameters as {FORM}."), {}),
        ({"body": GRANT + "&scope=a&scope=a"}, (400, "invalid_request", TWICE), {}),
        ({"body": GRANT + "&resource=a&resource=b"}, (400, "invalid_target", TWICE), {}),
        (
            {},
            (401, "invalid_client", "Send the key's id and secret with HTTP Basic."),
            {"WWW-Authenticate": CHALLENGE},
        ),
        ({"header": "Bearer a"}, (401, "invalid_client", NO_BASIC), {"WWW-Authenticate": CHALLENGE}),
        ({"header": "Basic !"}, (401, "invalid_client", NO_BASIC), {"WWW-Authenticate": CHALLENGE}),
        ({"header": basic("a", "b")}, (401, "invalid_client", UNKNOWN), {"WWW-Authenticate": CHALLENGE}),
        *(
            ({"query": f"?{name}=a"}, (400, "invalid_request", IN_ADDRESS), {})
            for name in ("client_id", "client_secret", "token", "refresh_token")
        ),
        (
            {"header": basic("a", "b"), "body": GRANT + "&client_secret=b"},
            (400, "invalid_request", TWO_WAYS),
            {},
        ),
        ({"header": basic("a", "b"), "body": GRANT + "&client_id=c"}, (400, "invalid_request", TWO_WAYS), {}),
        ({"body": "grant_type="}, (400, "invalid_request", "The parameter grant_type is missing."), {}),
    ],
)
def test_a_faulty_request_is_told_its_fault(
    client: Client, asked: Asked, expected: tuple[int, str, str], headers: Asked
) -> None:
    answer = send(client, **asked)
    assert (said(answer), headers_of(answer)) == (expected, headers)


def test_a_client_authenticates_in_the_header_or_in_the_form(client: Client, make_key: MakeKey) -> None:
    key, secret = make_key()
    in_form = f"{GRANT}&client_id={key.pk}&client_secret={secret}"
    encoded = basic(key.pk.replace("_", "%5F"), secret.replace("_", "%5F"))  # RFC 6749 §2.3.1
    for answer in (
        send(client, in_form),
        send(client, header=basic(key.pk, secret)),
        send(client, header=encoded),
        send(client, f"{GRANT}&client_id={key.pk}", header=basic(key.pk, secret)),
        send(client, f"{GRANT}&client_secret=", header=basic(key.pk, secret)),  # as if it were not there
        send(client, query="?state=1", header=basic(key.pk, secret)),
    ):
        assert answer.status_code == 200
        assert (answer["Cache-Control"], answer["Pragma"]) == ("no-store", "no-cache")
        assert headers_of(answer) == {}


def test_a_secret_is_good_only_beside_the_id_of_its_key(client: Client, make_key: MakeKey) -> None:
    key, secret = make_key()
    for client_id, sent in (
        ("", secret),
        ("portal", secret),
        (new_id("key"), secret),
        (key.pk.lower(), secret),
        (key.pk, new_secret("kp", "live")),
        (key.pk, ""),
    ):
        form = f"{GRANT}&client_id={client_id}&client_secret={sent}"
        answers = [send(client, header=basic(client_id, sent)), *([send(client, form)] if sent else [])]
        for answer in answers:
            assert said(answer) == (401, "invalid_client", UNKNOWN)
            assert headers_of(answer) == {"WWW-Authenticate": CHALLENGE}


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"paused_at": timezone.now()}, "This key is paused"),
        ({"revoked_at": timezone.now()}, "This credential was revoked"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "This credential has expired"),
        ({"networks": "192.0.2.0/24"}, "This key is not allowed from this network"),
    ],
)
def test_a_client_with_the_right_secret_is_told_why_it_is_refused(
    client: Client, make_key: MakeKey, changes: dict[str, object], title: str
) -> None:
    key, secret = make_key()
    rewrite(key, **changes)
    for client_id in (key.pk, new_id("key")):  # whoever has the secret has a genuine one
        assert said(send(client, header=basic(client_id, secret))) == (401, "invalid_client", title)


def test_a_client_is_checked_and_counted_by_its_address(client: Client, make_key: MakeKey) -> None:
    key, secret = make_key(networks=["192.0.2.0/24"])
    usage_counters().drain()
    for address, status in (("192.0.2.7", 200), ("198.51.100.7", 401)):
        assert send(client, header=basic(key.pk, secret), REMOTE_ADDR=address).status_code == status
        [(asked, calls)] = usage_counters().drain().items()
        outcome = "accepted" if status == 200 else "network_refused"
        assert (asked.entry_point, asked.outcome, asked.credential, calls.count) == ("oauth", outcome, key.pk, 1)
        assert str(asked.address) == (address if status == 200 else "None")


def test_a_client_beyond_its_rate_limit_is_told_when_to_come_back(
    client: Client, make_key: MakeKey, clock: Clock
) -> None:
    key, secret = make_key()
    keys.set_rate_limit(key=key, limit="1/minute", origin=ORIGIN)
    assert send(client, header=basic(key.pk, secret)).status_code == 200
    clock.move_to(START + 20, tick=False)
    answer = send(client, header=basic(key.pk, secret))
    assert said(answer) == (429, "temporarily_unavailable", "Too many requests.")
    assert headers_of(answer) == {"Retry-After": "40"}


def test_a_request_that_counts_for_nothing_is_not_limited(make_key: MakeKey, clock: Clock) -> None:
    key, secret = make_key()
    keys.set_rate_limit(key=key, limit="1/minute", origin=ORIGIN)
    request = RequestFactory().post("/", REMOTE_ADDR="192.0.2.7")
    form = {"client_id": key.pk, "client_secret": secret}
    for _ in range(3):
        assert authenticate_client(request, form, limited=False).credential.id == key.pk
    assert authenticate_client(request, form).credential.id == key.pk
    with pytest.raises(OAuthError, match="temporarily_unavailable"):
        authenticate_client(request, form)


def test_a_client_behind_a_unix_socket_has_no_address(make_key: MakeKey) -> None:
    key, secret = make_key()
    request = RequestFactory().post("/")
    del request.META["REMOTE_ADDR"]
    assert authenticate_client(request, {"client_id": key.pk, "client_secret": secret}).credential.id == key.pk
    APIKey.objects.all().delete()
    with pytest.raises(OAuthError) as caught:
        authenticate_client(request, {"client_id": key.pk, "client_secret": secret})
    assert (str(caught.value), caught.value.description) == ("invalid_client", UNKNOWN)


def test_after_too_many_wrong_secrets_the_longest_wait_is_told(
    client: Client, make_key: MakeKey, clock: Clock, settings: Settings
) -> None:
    settings.KEYPORTAL_LIMIT_CLIENT = "2 per minute"
    settings.KEYPORTAL_LIMIT_CLIENT_ADDRESS = "3 per 5 minutes"
    key, secret = make_key()
    wrong = basic(key.pk, "wrong")
    assert [send(client, header=wrong).status_code for _ in range(3)] == [401, 401, 429]
    one = send(client, header=basic(key.pk, secret))
    assert said(one) == (429, "temporarily_unavailable", "Too many requests.")
    assert 60 < int(one["Retry-After"]) <= 121
    assert send(client, header=basic(new_id("key"), "wrong")).status_code == 401
    every = send(client, header=basic(new_id("key"), secret))
    assert every.status_code == 429
    assert int(every["Retry-After"]) > 300
    assert int(send(client, header=basic(key.pk, secret))["Retry-After"]) == int(every["Retry-After"])
    assert send(client, header=basic(key.pk, secret), REMOTE_ADDR="198.51.100.9").status_code == 200


def test_of_many_wrong_secrets_at_once_those_beyond_the_limit_are_told_to_wait(
    client: Client, make_key: MakeKey, clock: Clock, counted_late: None, settings: Settings
) -> None:
    settings.KEYPORTAL_LIMIT_CLIENT = "1 per minute"
    wrong = basic(make_key()[0].pk, "wrong")
    assert send(client, header=wrong).status_code == 401
    late = send(client, header=wrong)
    assert said(late) == (429, "temporarily_unavailable", "Too many requests.")
    assert headers_of(late) == {"Retry-After": "121"}


def test_an_answer_says_by_itself_that_nobody_may_keep_it(make_key: MakeKey) -> None:
    key, secret = make_key()
    form = f"{GRANT}&client_id={key.pk}&client_secret={secret}"
    good, bad = oauth.token(RequestFactory().post("/", form, FORM)), OAuthError("invalid_request", "A word.").response()
    for answer, status in ((good, 200), (bad, 400)):
        assert answer.status_code == status
        assert (answer["Cache-Control"], answer["Pragma"]) == ("no-store", "no-cache")
