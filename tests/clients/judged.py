"""Records of keys and tokens that are in no database, and the portal's verdict about them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from accounts.models import User
from apikeys.models import APIKey, KeySecret
from apikeys.verification import record_of
from audit.client_address import parse_address
from credentials.record import VerifiedRecord, check_state, owner_of
from credentials.refusals import RefusedError
from tests.clients.verdict_cases import CATALOGUE, KEY, OWNER, Fact, Request, T
from tokens.verification import _record_of_token
from vault.claims import Claims

SECRET: Final = "sec_2wE7rTy4Ui1OpA9sD6fGhj"
TOKEN: Final = "tok_1aS8dFg5Hj3KlZ6xC9vBnm"
FAMILY: Final = "tok_8mNb7vC6xZ5aS4dF3gH2jk"
PORTAL: Final = "https://keys.example.com"


def make_record(kind: str, changed: Fact) -> VerifiedRecord:
    """Return the record of a `key`, a `token of a key` or a `token of a log-in` as verification would load it."""
    owner = User(pk=OWNER, email="developer@example.com", **{"confirmed_at": T, **changed.get("owner", {})})
    owner.seal = owner.make_seal()
    if kind == "token of a log-in":
        claims = _claims(f"user:{OWNER}", "portal", {"family": FAMILY, **changed.get("claims", {})})
        return _record_of_token(claims, owner_of(owner), CATALOGUE, is_revoked=False)
    key = _record_of_key(owner, changed)
    if kind == "key":
        return key
    claims = _claims(f"key:{KEY}", KEY, {"secret_id": SECRET, **changed.get("claims", {})})
    return _record_of_token(claims, key.owner, key.credential.scopes, is_revoked=False, key=key)


def verdict(record: VerifiedRecord, at: datetime, request: Request) -> dict[str, Any]:
    """Return the code of the portal's verdict, and what it tells the holder."""
    address = parse_address(request.client_ip) if request.client_ip else None
    try:
        check_state(record, at=at, address=address, environment=request.environment, scopes=request.scopes)
    except RefusedError as error:
        return {"code": error.refusal.code, "about": dict(error.refusal.about)}
    return {"code": "ok", "about": {}}


def _record_of_key(owner: User, changed: Fact) -> VerifiedRecord:
    columns = {"environment": "live", "scopes": "reports:read reports:write", **changed.get("key", {})}
    key = APIKey(pk=KEY, name="billing server", owner=owner, created_at=T - timedelta(days=30), **columns)
    key.seal = key.make_seal()
    secret = KeySecret(pk=SECRET, key=key, digest=b"d" * 32, index_key_id="k", **changed.get("secret", {}))
    secret.seal = secret.make_seal()
    return record_of(key, owner=owner_of(owner), catalogue=CATALOGUE, secret=secret)


def _claims(subject: str, client: str, more: Mapping[str, Any]) -> Claims:
    """Return claims of a token that expires at T."""
    return Claims(
        issuer=PORTAL,
        subject=subject,
        audience=PORTAL,
        client_id=client,
        token_id=TOKEN,
        issued_at=int(T.timestamp()) - 600,
        expires_at=int(T.timestamp()),
        epoch=0,
        **{"scope": "reports:read reports:write", "environment": "live", **more},
    )
