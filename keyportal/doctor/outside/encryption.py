"""TLS at the public address, and what plain http leads to."""

import ssl
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final

from keyportal.doctor.findings import Finding, note, problem, warning
from keyportal.doctor.nearness import is_on_this_host
from keyportal.doctor.outside.site import Site

RENEW_BEFORE: Final = timedelta(days=14)
CHALLENGE: Final = "kp_test_doctor"  # no credential: only whether it would have been taken matters
REDIRECTS: Final = range(300, 400)

NO_TLS = problem(
    "no_tls",
    meaning="Passwords and keys cross the network in the clear.",
    advice="Put a proxy with a certificate in front (deploy/nginx, deploy/caddy), and set KEYPORTAL_URL to https.",
)
CERTIFICATE = problem(
    "certificate",
    meaning="Clients refuse to connect.",
    advice="Have the certificate renewed for this name, with its whole chain, by an authority that clients trust.",
)
EXPIRES = warning(
    "certificate_expires",
    meaning="When it has expired, clients refuse to connect.",
    advice="See why it was not renewed: certbot and Caddy do so a month before.",
)
OLD_TLS = warning(
    "old_tls",
    meaning="TLS 1.0 and 1.1 are broken, and no client needs them.",
    advice="Allow TLS 1.2 and 1.3 alone.",
)
HSTS = warning(
    "no_hsts",
    meaning="A browser that is sent to http:// can be led astray before it gets to https.",
    advice="Let the proxy pass Strict-Transport-Security on. The portal sends it over https: if it is missing, the "
    "portal does not know that the client used https (X-Forwarded-Proto, KEYPORTAL_TRUSTED_PROXIES).",
)
REDIRECTED = warning(
    "machines_redirected",
    meaning="A client with an http:// address sends its key in the clear each time, and nobody notices.",
    advice="Answer 403 to machine paths over plain http, as the files in deploy/ do.",
)
SERVED_IN_CLEAR = problem(
    "served_in_clear",
    meaning="Passwords and keys cross the network in the clear.",
    advice="Redirect pages to https, and refuse everything else over plain http. The proxy must say how the client "
    "came (X-Forwarded-Proto).",
)
NO_HTTP = note(
    "no_http",
    meaning="Who types the name without https:// gets an error.",
    advice="Redirect pages from http to https, if you like.",
)


def examine(site: Site) -> Iterator[Finding]:
    """Yield what is wrong with the encryption. Raises OSError."""
    if not site.is_encrypted:
        if not is_on_this_host(site.host):
            yield NO_TLS.found("The public address is plain http.")
        return
    expires = ssl.cert_time_to_seconds(str(site.certificate()["notAfter"]))
    left = datetime.fromtimestamp(expires, UTC) - datetime.now(UTC)
    if left < RENEW_BEFORE:
        yield EXPIRES.found(f"The certificate expires in {left.days} days.")
    if _takes_old_tls(site):
        yield OLD_TLS.found("TLS 1.1 or older is accepted.")
    if "max-age" not in site.ask("/accounts/login/").header("Strict-Transport-Security"):
        yield HSTS.found("Pages come without Strict-Transport-Security.")
    yield from _in_clear(site)


def _takes_old_tls(site: Site) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # only whether the version is taken matters
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that is why it is tried
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    try:
        site.certificate(context)
    except OSError:
        return False
    return True


def _in_clear(site: Site) -> Iterator[Finding]:
    try:
        page = site.ask_in_clear("/accounts/login/")
        machine = site.ask_in_clear("/api/v1/me", headers={"Authorization": f"Bearer {CHALLENGE}"})
    except OSError:
        yield NO_HTTP.found("Nothing answers over plain http.")
        return
    if page.status == HTTPStatus.OK:
        yield SERVED_IN_CLEAR.found("Pages are served over plain http.")
    if machine.status in REDIRECTS:
        yield REDIRECTED.found("Calls of the API over plain http are redirected.")
    elif machine.status == HTTPStatus.UNAUTHORIZED:
        yield SERVED_IN_CLEAR.found("Calls of the API are answered over plain http.")
