"""Planted secrets: used in every way, right and wrong, and then looked for in everything that is left behind."""

import base64
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.databases import portal_database
from tests.oauth_client import ClientKey, OAuthClient, json_of
from tests.portal import Portal
from tests.portal_user import PortalUser

EVERY_ROW = (
    "from django.apps import apps; "
    "print(' '.join(repr({k: bytes(v) if isinstance(v, memoryview) else v for k, v in row.items()}) "
    "for model in apps.get_models() for row in model.objects.values()))"
)
PASSWORD = "planted-phrase-that-nobody-else-has"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Portal]:
    """A portal of its own, whose every trace belongs to this test; it logs as in production."""
    odd = {"KEYPORTAL_LOG_FORMAT": "json", "KEYPORTAL_METRICS_NETWORKS": "127.0.0.1/32"}
    with portal_database(tmp_path) as database_url, Portal(tmp_path, database_url, **odd).running(workers=1) as started:
        yield started


def spellings(secret: str) -> list[str]:
    """Return what a secret may look like in a dump: as it is, its random part, hex, base64."""
    raw = secret.encode()
    return [
        secret,
        secret[8:51],
        raw.hex(),
        base64.b64encode(raw).decode()[:40],
        base64.b64encode(raw[8:51]).decode()[:40],
    ]


def use_in_every_way(site: Portal, portal_user: PortalUser) -> list[str]:
    """Make two keys, and send their secrets wherever a person or a client might; return them."""
    form = portal_user.field("/keys/new/", "form_token")
    page = portal_user.post("/keys/new/", name="planted", environment="live", expiry="never", form_token=form).decode()
    secret = re.findall(r"kp_live_\w{49}", page)[0]
    key = re.findall(r"key_\w{22}", page)[0]
    _, printed = site.make_key("planted@example.com")
    for one in (secret, printed):
        site.get("/api/v1/me", Authorization=f"Bearer {one}")
        site.get("/api/v1/me", Authorization=f"Bearer {one} {one}")
        site.get("/api/v1/me", Authorization=one)
        site.get(f"/api/v1/me?access_token={one}", Cookie=f"sessionid={one}; csrftoken={one}; theme={one}")
        site.get(f"/keys/{one}/", **{"X-Request-ID": one, "User-Agent": "test"})
        site.get(f"/{one}?q={one}", Host="127.0.0.1")
        site.get("/api/v1/me", Host=one)
        site.get(f"/diagnose/?token={one}", Authorization=f"Bearer {one}", Host=one, Cookie=one, Accept="text/html")
        site.get(f"/diagnose?{one}", Authorization=one, **{"X-Forwarded-For": one, "X_Forwarded_For": one, one: one})
        site.request(
            "POST", "/api/v1/me", headers={"Content-Type": "application/json"}, body=f'{{"x": "{one}"'.encode()
        )
        site.request(
            "POST", "/theme/", headers={"Cookie": f"csrftoken={one}"}, body=f"csrfmiddlewaretoken={one}".encode()
        )
        site.command("findkey", stdin=one)
        site.command("findkey", one, check=False)
    reveal = re.findall(rf"/keys/{key}/secrets/sec_\w+/reveal/", portal_user.get(f"/keys/{key}/"))[0]
    portal_user.post("/accounts/reauthenticate/", password=PASSWORD)
    assert secret in portal_user.post(reveal, form_at=f"/keys/{key}/").decode()
    with suppress(HTTPError):
        portal_user.post("/keys/new/", name=secret * 3, environment="live", expiry="never", form_token=form)
    for button in ("", "check/", "add/"):
        with suppress(HTTPError):
            typed = {"networks": f"203.0.113.7 # {secret}\n{secret}", "add": secret, "checked": secret}
            portal_user.post(f"/keys/{key}/networks/{button}", form_at=f"/keys/{key}/networks/", **typed)
    return [secret, printed, *use_as_a_client(site, ClientKey(key, secret))]


def use_as_a_client(site: Portal, client: ClientKey) -> list[str]:
    """Send the password, the secret and the tokens that they buy to every endpoint of tokens; return the tokens."""
    oauth_client = OAuthClient(site)
    token = oauth_client.client_token(client)
    pair = oauth_client.log_in("planted@example.com", PASSWORD)
    successor = json_of(oauth_client.refresh(pair["refresh_token"]))
    tokens = [token, pair["access_token"], pair["refresh_token"], successor["access_token"], successor["refresh_token"]]
    service = ClientKey(*site.make_key("planted@example.com", "--scope", "credentials:verify", "--restricted"))
    for one in (client.secret, PASSWORD, *tokens):
        oauth_client.me(one)
        oauth_client.password("planted@example.com", one)
        oauth_client.password(one, PASSWORD)
        oauth_client.refresh(one)
        oauth_client.post("/api/v1/tokens/refresh", {"refresh_token": one})
        oauth_client.token({"grant_type": one, "client_id": one, "client_secret": one, "scope": one})
        oauth_client.token({"grant_type": "client_credentials", one: one}, client=ClientKey(one, one))
        oauth_client.form(f"/oauth/token?client_secret={one}&token={one}", {one: one})
        site.get("/gateway/auth", Authorization=f"Bearer {one}", **{"X-Forwarded-Uri": f"/?token={one}"})
        site.get(f"/gateway/auth?scope={one}", Authorization=one, **{"X-Keyportal-Owner": one})
        oauth_client.post(
            "/api/v1/verify", {"credential": one, "scopes": [one]}, Authorization=f"Bearer {service.secret}"
        )
        oauth_client.post("/api/v1/verify", {one: one}, Authorization=f"Bearer {service.secret}")
        oauth_client.form("/oauth/introspect", {"token": one}, client=service)
        oauth_client.form("/oauth/revoke", {"token": one}, client=service)
        oauth_client.form("/oauth/revoke", {"token": one, "token_type_hint": one}, **{"User-Agent": one})
        site.get(f"/.well-known/jwks.json?token={one}", **{"If-None-Match": one})
    for one in (token, pair["access_token"], successor["refresh_token"]):
        assert "planted@example.com" in site.command("findkey", stdin=f"Authorization: Bearer {one}\n").stdout
    return [*tokens, service.secret, site.environment["KEYPORTAL_SIGNING_KEYS"].partition('"d": "')[2][:43]]


@pytest.mark.second
@pytest.mark.security("L-01")
@pytest.mark.security("L-07")
def test_no_log_message_table_or_page_holds_a_secret(site: Portal) -> None:
    portal_user = PortalUser(site, "planted@example.com", PASSWORD)
    session = next(cookie.value or "" for cookie in portal_user.cookies if cookie.name == "sessionid")
    planted = use_in_every_way(site, portal_user)
    site.shell("from apikeys.models import KeySecret; KeySecret.objects.update(ciphertext=b'broken')")
    page = portal_user.get("/keys/")
    for key in set(re.findall(r"/keys/(key_\w{22})/", page)):
        detail = portal_user.get(f"/keys/{key}/")
        for reveal in re.findall(r'action="(\S+/reveal/)"', detail):
            with pytest.raises(HTTPError, match="500"):
                portal_user.post(reveal, form_at=f"/keys/{key}/")
        page += detail + "".join(portal_user.get(f"/keys/{key}/{part}/") for part in ("edit", "networks", "revoke"))
    page += portal_user.get("/account/history/")
    left_behind = {
        "log": site.log.read_text(),
        "messages": "\n".join(site.messages()).replace("=\n", ""),
        "tables": site.command("shell", "-v", "0", "-c", EVERY_ROW).stdout,
        "pages": page,
        "metrics": site.get("/metrics").body.decode(),
    }
    assert "integrity_violation" in left_behind["log"]
    assert "Secret revealed" in left_behind["messages"]
    assert "key_created" in left_behind["tables"]
    assert 'entry_point="forward_auth"' in left_behind["metrics"]
    server = [site.environment[name] for name in ("SECRET_KEY", "KEYPORTAL_SEALING_KEYS", "KEYPORTAL_INDEX_KEYS")]
    wanted = [form for secret in planted for form in spellings(secret)] + [PASSWORD, session]
    wanted += [value.partition(":")[2] or value for value in server]
    found = [(place, form[:12]) for place, text in left_behind.items() for form in wanted if form in text]
    assert found == []
