"""A token with hostile claims, signed by the portal's own key, is a bad token at every entry point, and breaks none."""

import pytest

from tests.conformance.forging import Forger
from tests.oauth_client import FORGET_GUESSES, ClientKey, OAuthClient, json_of
from tests.portal import Answer, Portal

pytestmark = pytest.mark.second  # the database that minds more what it is asked

OWNER = "hostile-claims@example.com"
CLAIMS = (
    *("iss", "sub", "aud", "client_id", "jti", "scope", "iat", "nbf", "exp"),
    *("environment", "auth_epoch", "sid", "secret_id"),
)
UNKNOWN = (401, "invalid_token")


@pytest.fixture(scope="module")
def forger(portal: Portal) -> Forger:
    return Forger(portal, portal.make_developer(OWNER))


@pytest.fixture(scope="module")
def service(portal: Portal, forger: Forger) -> ClientKey:
    return ClientKey(*portal.make_key(OWNER, "--scope", "credentials:verify", "--restricted"))


def show_everywhere(portal: Portal, service: ClientKey, token: str) -> dict[str, Answer]:
    """Show the token at every entry point that does not end it."""
    oauth_client, bearer = OAuthClient(portal), {"Authorization": f"Bearer {token}"}
    return {
        "a view": portal.request("GET", "/api/v1/me", headers=bearer),
        "gateway": portal.request("GET", "/gateway/auth", headers=bearer),
        "verify": oauth_client.post("/api/v1/verify", {"credential": token}, Authorization=f"Bearer {service.secret}"),
        "introspection": oauth_client.form("/oauth/introspect", {"token": token}, client=service),
    }


def try_to_revoke_everywhere(portal: Portal, service: ClientKey, token: str) -> dict[str, Answer]:
    """Show the token at every entry point that would end it."""
    oauth_client, bearer = OAuthClient(portal), {"Authorization": f"Bearer {token}"}
    return {
        "DELETE": portal.request("DELETE", "/api/v1/tokens", headers=bearer),
        "revocation by a client": oauth_client.form("/oauth/revoke", {"token": token}, client=service),
        "revocation by the public client": oauth_client.form("/oauth/revoke", {"token": token, "client_id": "portal"}),
    }


def verdicts(answers: dict[str, Answer]) -> dict[str, object]:
    """Return what each entry point says of the token, beside a status that is not to be told from others."""
    said = {name: (answer.status, answer.body) for name, answer in answers.items()}
    told_of: dict[str, object] = dict(said)
    for name in ("a view", "DELETE"):
        if name in answers:
            told_of[name] = (answers[name].status, json_of(answers[name]).get("code"))
    if "gateway" in answers:
        told_of["gateway"] = (answers["gateway"].status, answers["gateway"].headers.get("x-keyportal-code"))
    if "verify" in answers:
        told_of["verify"] = (answers["verify"].status, json_of(answers["verify"]).get("code"))
    return told_of


REFUSED: dict[str, object] = {
    "a view": UNKNOWN,
    "gateway": UNKNOWN,
    "verify": (200, "invalid_token"),
    "introspection": (200, b'{"active": false}'),
    "DELETE": UNKNOWN,
    "revocation by a client": (200, b"{}"),
    "revocation by the public client": (200, b"{}"),
}


@pytest.mark.finding("H11")
@pytest.mark.conformance("JW-13")
@pytest.mark.parametrize("claim", CLAIMS)
def test_a_hostile_claim_makes_a_bad_token_at_every_entry_point(
    portal: Portal, forger: Forger, service: ClientKey, claim: str
) -> None:
    logged = len(portal.log.read_bytes())
    broken = {}
    for number, (name, token) in enumerate(forger.hostile(claim).items()):
        if number % 20 == 0:
            portal.shell(FORGET_GUESSES)  # each of them counts as a guess
        said = verdicts(show_everywhere(portal, service, token) | try_to_revoke_everywhere(portal, service, token))
        if said != REFUSED:
            broken[name] = said
    portal.shell(FORGET_GUESSES)
    assert broken == {}
    assert b"Traceback" not in portal.log.read_bytes()[logged:]
    assert portal.shell("print(RevokedToken.objects.filter(token_id__startswith='tok_forged').count())") == "0"


@pytest.mark.finding("H11")
def test_the_same_token_without_a_hostile_claim_is_good_everywhere(
    portal: Portal, forger: Forger, service: ClientKey
) -> None:
    answers = show_everywhere(portal, service, forger.genuine({}, {"jti": f"tok_{'good':0>22}"}))
    assert {name: answer.status for name, answer in answers.items()} == dict.fromkeys(answers, 200)
    assert json_of(answers["verify"])["valid"] is True
    assert json_of(answers["introspection"])["active"] is True
