"""Tokens that a portal did not issue: some signed by its own keys, some by others."""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

from tests.portal import Portal
from vault.signing import Claims, read
from vault.signing_keys import SigningRing, base64url, new_signing_jwk


class Forger:
    """Holds the portal's signing ring, and can therefore write what the portal never would."""

    def __init__(self, portal: Portal, owner: str) -> None:
        self.ring = SigningRing.parse(portal.environment["KEYPORTAL_SIGNING_KEYS"])
        self.stranger = SigningRing.parse(json.dumps(new_signing_jwk("ES256")))
        now = int(time.time())
        self.header = {"alg": self.ring.primary.algorithm, "kid": self.ring.primary.id, "typ": "at+jwt"}
        self.claims: dict[str, Any] = {
            "iss": portal.url,
            "sub": f"user:{owner}",
            "aud": portal.url,
            "client_id": "portal",
            "jti": f"tok_forged{now:016d}",
            "scope": "",
            "iat": now,
            "nbf": now,
            "exp": now + 600,
            "environment": "live",
            "auth_epoch": 0,
        }

    def genuine(self, header: Mapping[str, object], claims: Mapping[str, object]) -> str:
        """Sign a header and claims with these changes, by the portal's own key; None takes a member away."""
        return self._sign(self.ring, with_changes(self.header, header), with_changes(self.claims, claims))

    def read(self, token: str) -> Claims:
        """Return the claims of a token of the portal's."""
        issuer, now = self.claims["iss"], time.time()
        return read(self.ring, token, issuer=issuer, audience=issuer, now=now, leeway=30)

    def for_another(self, audience: str = "https://other.example") -> str:
        """Return a token of the portal's for another service: it is as unknown as a forged one to all but that."""
        return self.genuine({}, {"aud": audience})

    def forgeries(self) -> dict[str, str]:
        """Return one token of each kind that must be refused."""
        return {
            **{name: self.genuine({}, claims) for name, claims in self._wrong_claims().items()},
            **{name: self.genuine(header, {}) for name, header in self._wrong_headers().items()},
            **self._wrong_signatures(),
        }

    def _wrong_claims(self) -> dict[str, dict[str, object]]:
        now = self.claims["iat"]
        return {
            "future": {"iat": now + 3600, "nbf": now + 3600, "exp": now + 7200},
            "not before": {"nbf": now + 3600},
            "other issuer": {"iss": "https://evil.example"},
            "issuer with a slash": {"iss": self.claims["iss"] + "/"},
            "list of audiences": {"aud": [self.claims["aud"]]},
            "expiry as text": {"exp": str(now + 600)},
            "unknown user": {"sub": f"user:usr_{'nobody':0>22}"},
            **{f"without {name}": {name: None} for name in ("iss", "exp", "aud", "sub", "client_id", "iat", "jti")},
        }

    def _wrong_headers(self) -> dict[str, dict[str, object]]:
        return {
            **{f"typ {typ}": {"typ": typ} for typ in ("JWT", "rt+jwt", "dpop+jwt", None)},
            **{f"alg {alg}": {"alg": alg} for alg in ("none", "None", "HS256", "HS512", "RS256", "")},
            **{f"kid {kid!r}"[:20]: {"kid": kid} for kid in ("../../etc/passwd", "' OR 1=1--", "\0", 5, ["x"])},
            "kid far too long": {"kid": "x" * 3000},
            "jku": {"jku": "https://evil.example/jwks.json"},
            "jwk": {"jwk": self.stranger.primary.public_jwk()},
            "crit": {"crit": ["x"]},
            "empty crit": {"crit": []},
            "b64": {"b64": False},
        }

    def _wrong_signatures(self) -> dict[str, str]:
        alien = {"kid": self.stranger.primary.id}
        genuine = self.genuine({}, {})
        head, body, signature = genuine.split(".")
        hmac_head = base64url(json.dumps({**self.header, "alg": "HS256"}).encode())
        public = json.dumps(self.ring.primary.public_jwk()).encode()
        mac = hmac.digest(public, f"{hmac_head}.{body}".encode(), hashlib.sha256)
        return {
            "stranger's key": self._sign(self.stranger, self.header, self.claims),
            "stranger's id": self._sign(self.stranger, {**self.header, **alien}, self.claims),
            "public key as secret": f"{hmac_head}.{body}.{base64url(mac)}",
            "no signature": f"{head}.{body}.",
            "blank signature": f"{head}.{body}.{base64url(bytes(64))}",
            "four segments": f"{genuine}.{signature}",
            "padded": f"{genuine}==",
        }

    def hostile(self, claim: str) -> dict[str, str]:
        """Return tokens by the portal's own key whose one claim holds what the portal would never write."""
        genuine = self.claims.get(claim, f"fam_{'hostile':0>22}")
        values = hostile_numbers(claim, genuine) if isinstance(genuine, int) else hostile_texts(claim, genuine)
        return {f"{claim} {value!r}"[:80]: self.genuine({}, {claim: value}) for value in values}

    @staticmethod
    def _sign(ring: SigningRing, header: Mapping[str, object], claims: Mapping[str, object]) -> str:
        signing_input = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
        key = ring.primary.private
        return f"{signing_input}.{base64url(key.Algorithm.sign(signing_input.encode(), key.key))}"


ANYTHING: tuple[object, ...] = (True, False, 1.5, 1e308, -1, 10**400, [], ["x"], {}, {"a": {"b": []}})
"""What no claim may be, whichever it is."""


def hostile_numbers(claim: str, genuine: int) -> list[object]:
    """Return what is no such number, or one that dates, columns or lifetimes can't hold."""
    far = [2**31, 2**32, 2**53, 2**63, 2**64, 253_402_300_800, 10**18]
    times: dict[str, list[object]] = {
        "exp": [0, genuine - 600, genuine + 86_400, 253_402_300_799],  # at or before iat, a day, the year 9999
        "iat": [0, genuine + 600, genuine + 601, 253_402_300_799],
        "nbf": [253_402_300_799],
        "auth_epoch": [],
    }
    return [*ANYTHING, str(genuine), float(genuine), "", "\ud800", *far, *times[claim]]


def hostile_texts(claim: str, genuine: str) -> list[object]:
    """Return what is no text, can't be encoded or stored, breaks lines, hides, or is of another form."""
    characters = [
        "\ud800",
        "\udfff",
        "\0",
        "\n",
        "\r\nX-Keyportal-Owner: usr_x",
        "\x1b[2J",
        "\x7f",
        "\x85",
        "\u202e",
        "\ufeff",
    ]
    around = [text for odd in characters for text in (odd, genuine + odd, odd + genuine)]
    forms: list[object] = [genuine + "x" * 5000, genuine + "é", genuine + "  x", f" {genuine}", genuine + '"', "\\"]
    other = ["", " ", genuine.upper(), genuine + "'--", "user:", "user:usr_" + "０" * 22, "user:usr_x/../y", "%00"]
    # An empty scope is what a token without rights has, the others are scopes of nobody; a service may have any URI.
    nameable = {"scope": {"", "user:", "user:usr_x/../y", "%00", "'--"}, "aud": {"user:usr_x/../y"}}
    forms += [text for text in other if text not in nameable.get(claim, ())]
    return [*ANYTHING, 5, *around, *forms]


def with_changes(source: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """Return the source with the changes; None removes a member."""
    return {name: value for name, value in {**source, **changes}.items() if value is not None}
