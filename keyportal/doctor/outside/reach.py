"""Whether the address leads to this portal, and is ready."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from django.conf import settings

from integrity.rings import signing_ring
from keyportal.doctor.findings import Finding, problem, warning
from keyportal.doctor.outside.site import Reply, Site

CLOCKS_DIFFER: Final = timedelta(seconds=5)

UNREACHABLE = problem(
    "unreachable",
    meaning="Nobody reaches the portal at this address from here.",
    advice="Check DNS, the firewall, the proxy and its certificate.",
)
NOT_THE_PORTAL = problem(
    "not_the_portal",
    meaning="Something else answers at this address, or answers in the portal's place.",
    advice="Check where the proxy sends requests, and that no default site answers them.",
)
NOT_READY = problem(
    "not_ready",
    meaning="The portal answers 503 to most requests.",
    advice="Mend what it names; the findings from inside say how.",
)
ANOTHER_ADDRESS = problem(
    "another_address",
    meaning="Issuer, links in messages, cookies and hosts are bound to KEYPORTAL_URL.",
    advice="Set KEYPORTAL_URL to the address that clients use.",
)
ANOTHER_PORTAL = problem(
    "another_portal",
    meaning="What answers there was started with other signing keys: another deployment, or before a rollover.",
    advice="Check where the proxy leads, and restart all servers with the same settings.",
)
METRICS_OPEN = warning(
    "metrics_open",
    meaning="Everybody can read how many calls there are, and how they end.",
    advice="Have the proxy answer 404 to /metrics, and list only your monitoring in KEYPORTAL_METRICS_NETWORKS.",
)


CLOCK = warning(
    "clock_of_server",
    meaning="Expiries, overlaps and tokens end at another moment there than here.",
    advice="Keep the clocks of all hosts in step with NTP.",
)


def examine(site: Site) -> Iterator[Finding]:
    """Yield what is wrong with where the address leads. Raises OSError if nothing answers."""
    health = site.ask("/healthz")
    if health.status != HTTPStatus.OK or health.json().get("status") != "ok":
        yield NOT_THE_PORTAL.found(f"/healthz answers {health.status}, and not as the portal does.")
        return
    yield from _clock(health)
    ready = site.ask("/readyz")
    if ready.status != HTTPStatus.OK:
        yield NOT_READY.found(f"/readyz answers {ready.status}.")
    if f"{site.scheme}://{site.name}" != settings.KEYPORTAL_URL:
        yield ANOTHER_ADDRESS.found("The address is not the one in KEYPORTAL_URL.")
    if site.ask("/metrics").status == HTTPStatus.OK:
        yield METRICS_OPEN.found("/metrics can be read at the public address.")
    yield from _identity(site)


def _clock(reply: Reply) -> Iterator[Finding]:
    try:
        there = parsedate_to_datetime(reply.header("Date"))
    except ValueError:
        return  # a proxy may leave it out
    if abs(datetime.now(UTC) - there) > CLOCKS_DIFFER:
        yield CLOCK.found("The Date of its answers is not this host's.")


def _identity(site: Site) -> Iterator[Finding]:
    issuer = site.ask("/.well-known/oauth-authorization-server").json().get("issuer")
    if issuer != settings.KEYPORTAL_URL:
        yield ANOTHER_PORTAL.found("The issuer that is published there is not KEYPORTAL_URL.")
    published = {key.get("kid") for key in site.ask("/.well-known/jwks.json").json().get("keys", [])}
    if published != {key["kid"] for key in signing_ring().public_set()["keys"]}:
        yield ANOTHER_PORTAL.found("The signing keys that are published there are not those of these settings.")
