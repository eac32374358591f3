"""What a verifier shares with the portal is the same there: forms, headers, addresses, refusals."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from audit.client_address import parse_address
from credentials.bearer import token_of
from credentials.refusals import REASONS as OF_THE_PORTAL
from credentials.refusals import Refusal as RefusalOfThePortal
from credentials.refusals import RefusedError
from keyportal.errors.problems import Problem
from keyportal_client.errors import CredentialRefusedError, VerdictUnavailableError
from keyportal_client.refusals import REASONS, Refusal
from keyportal_client.times import time_of
from keyportal_client.verifying.base import error_of
from keyportal_client.verifying.client_address import client_address
from keyportal_client.verifying.form import is_well_formed
from keyportal_client.verifying.header import credential_of
from vault.secret_format import is_well_formed as is_well_formed_there
from vault.secret_format import new_secret

pytestmark = pytest.mark.once

SECRET = new_secret("kp", "live")
WORDS = st.sampled_from(
    ["Bearer", "bearer", "BEARER", "Basic", " ", "  ", ",", ", ", "\t", "=", "a.b.c", "kp_live_1", "é", '"']
)


@given(st.one_of(st.lists(WORDS, max_size=8).map("".join), st.text(max_size=40)))
@example("Bearer " + "a" * 8192)
@example("Basic abc,Bearer def")
def test_a_header_is_read_as_the_portal_reads_it(header: str) -> None:
    try:
        there: object = token_of(header) or "missing_credential"
    except RefusedError as error:
        there = error.refusal.code
    here = credential_of(header)
    assert (here.code if isinstance(here, Refusal) else here) == there


def test_without_a_header_the_credential_is_missing() -> None:
    assert credential_of(None) == Refusal("missing_credential")


@given(st.integers(0, len(SECRET) - 1), st.sampled_from("0aZ_-. é\n"))
def test_a_secret_that_was_mistyped_is_seen_as_such_here_and_there(place: int, character: str) -> None:
    text = SECRET[:place] + character + SECRET[place + 1 :]
    assert is_well_formed(text) == (is_well_formed_there("kp", text) or text.count(".") == 2)


CREDENTIALS = {
    "a secret": SECRET,
    "a secret of another brand": new_secret("acme2", "test"),
    "a token": "a.b.c",
}
OTHERS = {
    "a secret with a line break": SECRET + "\n",
    "a secret that was cut off": SECRET[:-1],
    "a refresh token": new_secret("kp", "refresh"),
    "nothing": "",
    "a token of two parts": "a.b",
    "a token of four parts": "a.b.c.d",
    "a token with an empty part": "a..c",
    "a token with padding": "a.b.c=",
    "a token that is too long": "a.b." + "c" * 8189,
    "no text": "\ud800.b.c",
}


@pytest.mark.parametrize("what", [*CREDENTIALS, *OTHERS])
def test_the_form_of_a_credential(what: str) -> None:
    assert is_well_formed({**CREDENTIALS, **OTHERS}[what]) is (what in CREDENTIALS)


@given(
    st.one_of(
        st.ip_addresses().map(str),
        st.sampled_from(
            [
                "192.0.2.7:80",
                "[2001:db8::1]:80",
                "[2001:db8::1]",
                "::ffff:192.0.2.7",
                "fe80::1%eth0",
                "testclient",
                "1" * 200,
            ]
        ),
        st.text(max_size=20),
    )
)
def test_an_address_is_read_as_the_portal_reads_it(text: str) -> None:
    here, there = client_address(text), parse_address(text)
    assert (here.address, here.text) == (there, str(there) if there else "")


def test_no_address_is_none() -> None:
    assert client_address(None).address is None


def test_the_reasons_are_the_portals() -> None:
    of_logins = {"invalid_login", "mfa_required", "invalid_grant", "invalid_scope", "invalid_target", "misconfigured"}
    assert REASONS.keys() == OF_THE_PORTAL.keys() - of_logins
    for code, reason in REASONS.items():
        there = OF_THE_PORTAL[code]
        assert reason == (there.status, there.title, there.advice, there.error)


@pytest.mark.parametrize("code", REASONS)
def test_what_is_answered_is_what_the_portal_would_answer(code: str) -> None:
    about = {"key": "key_1", "name": "billing server"}
    scopes = ("reports:read", 'no"scope') if code == "insufficient_scope" else ()
    wait = 7 if code in ("rate_limited", "unavailable") else 0
    here = Refusal(code, scopes, about, wait, {"Sunset": "soon"})
    there = Problem.of_refusal(
        RefusalOfThePortal(code=code, scopes=scopes, about=about, retry_after=wait, headers={"Sunset": "soon"})
    ).response()
    assert here.response_headers() == dict(there.headers)
    assert (here.status, here.problem("http://testserver")) == (
        there.status_code,
        json.loads(there.content) | {"type": f"http://testserver/docs/errors/{code}/"},
    )


def test_a_code_of_a_newer_portal_is_answered_as_an_unknown_credential() -> None:
    refusal = Refusal("out_of_fashion")
    assert (refusal.status, refusal.is_verdict, refusal.problem("https://p")["code"]) == (401, True, "out_of_fashion")


def test_that_the_portal_can_not_say_is_no_verdict() -> None:
    assert not Refusal("unavailable").is_verdict
    assert type(error_of(Refusal("unavailable"))) is VerdictUnavailableError
    assert type(error_of(Refusal("revoked"))) is CredentialRefusedError
    assert str(error_of(Refusal("revoked"))) == "revoked"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-03-01T11:00:00Z", 1772362800.0),
        ("2026-03-01T11:00:00.5z", 1772362800.5),
        ("2026-03-01T12:00:00.123456789+01:00", 1772362800.123456),
    ],
)
def test_a_time_is_read_with_any_fraction_and_zone(text: str, seconds: float) -> None:
    at = time_of(text)
    assert (at.timestamp(), at.utcoffset()) == (seconds, at.utcoffset())


@pytest.mark.parametrize("text", ["", "2026-03-01", "2026-03-01T11:00:00", "yesterday"])
def test_a_time_without_a_zone_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        time_of(text)
