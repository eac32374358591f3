"""What the proxy in front does to requests and answers: the portal tells how a request arrived (`/diagnose/`)."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from keyportal.doctor.findings import Finding, problem, warning
from keyportal.doctor.outside.site import Reply, Site

FORGED: Final = "203.0.113.77"
"""An address of a documentation network (RFC 5737): nobody comes from there."""
CLAIMS: Final = {
    "X-Forwarded-For": FORGED,
    "X-Real-IP": FORGED,
    "Forwarded": f"for={FORGED};proto=http",
    "X-Forwarded-Proto": "http",
}
BEARER: Final = {"Authorization": "Bearer kp_test_doctor"}
JSON: Final = {"Accept": "application/json"}
BODY: Final = b'{"credential": "' + b"x" * 1_200_000 + b'"}'
"""More than nginx takes without being told, and less than the portal takes."""

BELIEVED = problem(
    "address_forged",
    meaning="Anybody can pretend to come from any address: allowed networks of keys and limits of guesses are void.",
    advice="Have the proxy overwrite X-Forwarded-For, and list only the proxy in KEYPORTAL_TRUSTED_PROXIES.",
)
NOT_TRUSTED = problem(
    "proxy_not_trusted",
    meaning="The portal believes that its clients come over plain http: pages redirect for ever, the API answers 403.",
    advice="List the proxy in KEYPORTAL_TRUSTED_PROXIES, and have it set X-Forwarded-Proto and X-Forwarded-For.",
)
ONE_ADDRESS = problem(
    "one_address",
    meaning="All clients count as one: one that guesses passwords uses up the log-ins of all.",
    advice="Have the proxy set X-Forwarded-For to the client's address.",
)
HOST_CHANGED = problem(
    "host_changed",
    meaning="Pages answer 400, because they are asked under a name that is not the portal's.",
    advice="Have the proxy pass the Host header on (`proxy_set_header Host $http_host;`).",
)
ANY_HOST = warning(
    "any_host",
    meaning="Whoever makes a browser or a cache ask under another name gets the portal's pages there.",
    advice="Let another site be the proxy's default, and answer 421 there.",
)
NO_AUTHORIZATION = problem(
    "authorization_lost",
    meaning="No key reaches the portal.",
    advice="Have the proxy pass the Authorization header on.",
)
METHOD = problem(
    "method_refused",
    meaning="Keys can't be changed or revoked by the API.",
    advice="Have the proxy pass PATCH and DELETE on.",
)
BODY_REFUSED = warning(
    "body_refused",
    meaning="A verifier that asks about a hundred credentials, or reports many calls, is refused before the portal.",
    advice="Allow bodies of 2.5 MB (`client_max_body_size 2560k;`).",
)
CACHED = problem(
    "cacheable",
    meaning="A cache on the way may keep pages with secrets, or give one user's page to another.",
    advice="Have the proxy leave Cache-Control as it is.",
)
COMPRESSED = warning(
    "compressed",
    meaning="Pages hold secrets beside text from users: the compressed length can reveal them (BREACH).",
    advice="Switch compression off for the portal's pages (`gzip off;`).",
)
NO_POLICY = warning(
    "headers_lost",
    meaning="Browsers are not told what a page may load, or that nobody may frame it.",
    advice="Have the proxy leave the portal's headers as they are.",
)
COOKIE = problem(
    "cookie_unsafe",
    meaning="The session can be sent in the clear, or set by a neighbour of the portal's name.",
    advice="Let KEYPORTAL_URL begin with https://, and the proxy leave Set-Cookie as it is.",
)


def examine(site: Site) -> Iterator[Finding]:
    """Yield what the way to the portal changes. Raises OSError."""
    yield from _arrival(site)
    yield from _requests(site)
    yield from _answers(site)


def _arrival(site: Site) -> Iterator[Finding]:
    plain = site.ask("/diagnose/", headers={**JSON, **BEARER}).json()
    claimed = site.ask("/diagnose/", headers={**JSON, **CLAIMS}).json()
    codes = _codes(plain)
    if claimed.get("client_address") == FORGED:
        yield BELIEVED.found("An address that the client itself claims is believed.")
    if plain.get("scheme") != site.scheme:
        yield NOT_TRUSTED.found("The portal does not see that the client uses https.")
    elif claimed.get("scheme") != site.scheme:
        yield BELIEVED.found("A scheme that the client itself claims is believed.")
    if codes & {"address_of_proxy", "address_unknown"}:
        yield ONE_ADDRESS.found("The portal sees the proxy's address as its client's.")
    if "host_unexpected" in codes:
        yield HOST_CHANGED.found("The Host header arrives changed.")
    if "authorization_missing" in codes:
        yield NO_AUTHORIZATION.found("The Authorization header does not arrive.")


def _requests(site: Site) -> Iterator[Finding]:
    page = site.ask("/accounts/login/", headers={"Host": "doctor.invalid"})
    if page.status == HTTPStatus.OK:
        yield ANY_HOST.found("Pages are served under any host name.")
    for method in ("PATCH", "DELETE"):
        if site.ask("/api/v1/keys/key_0", method=method, headers=BEARER).status != HTTPStatus.UNAUTHORIZED:
            yield METHOD.found(f"{method} does not reach the portal.")
    large = site.ask("/api/v1/verify", method="POST", body=BODY, headers={"Content-Type": "application/json"})
    if large.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and "code" not in large.json():  # the portal would name one
        yield BODY_REFUSED.found("A body of 1.2 MB is refused on its way.")


def _answers(site: Site) -> Iterator[Finding]:
    page = site.ask("/accounts/login/", headers={"Accept-Encoding": "gzip, br"})
    if "no-store" not in page.header("Cache-Control"):
        yield CACHED.found("Pages come without `Cache-Control: no-store`.")
    if page.header("Content-Encoding"):
        yield COMPRESSED.found("Pages come compressed.")
    lost = [name for name in ("Content-Security-Policy", "X-Frame-Options") if not page.header(name)]
    if lost:
        yield NO_POLICY.found(f"Pages come without {' and '.join(lost)}.")
    if site.is_encrypted and not all(map(_is_safe, _cookies(page))):
        yield COOKIE.found("A cookie comes without Secure, or under another name.")


def _codes(diagnosis: Mapping[str, Any]) -> set[str]:
    return {str(finding.get("code")) for finding in diagnosis.get("findings", []) if isinstance(finding, dict)}


def _cookies(page: Reply) -> list[str]:
    return page.headers.get_all("Set-Cookie", [])


def _is_safe(cookie: str) -> bool:
    return "secure" in cookie.lower().split("; ")[1:] and cookie.startswith(("__Host-", "theme="))
