"""The diagnosis of a request, from what the server noted of it and what Django has."""

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from keyportal.diagnose.authorization import authorization_findings
from keyportal.diagnose.connection import address_finding, host_finding, scheme_finding
from keyportal.diagnose.findings import Diagnosis
from keyportal.diagnose.headers import header_findings
from keyportal.http_server.arrival import arrival_in
from keyportal.http_server.environ import PEER

WITH_KEY = 'curl -H "Authorization: Bearer $API_KEY"'


def diagnosis_of(request: HttpRequest) -> Diagnosis:
    """Return what reached the portal of a request."""
    arrival, environ = arrival_in(request.META), request.META
    address, scheme = environ["REMOTE_ADDR"], request.scheme or ""
    findings = [
        address_finding(arrival, address, environ.get(PEER, address)),
        scheme_finding(arrival, scheme),
        host_finding(arrival),
        *authorization_findings(environ.get("HTTP_AUTHORIZATION"), arrival.lines.get("authorization", 0)),
        *header_findings(arrival, environ.get("QUERY_STRING", "")),
    ]
    return Diagnosis(
        request_id=getattr(request, "request_id", ""),
        at=timezone.now(),
        client_address=address,
        scheme=scheme,
        findings=findings,
        diagnose_command=f"{WITH_KEY} {settings.KEYPORTAL_URL}/diagnose/",
        json_command=f'{WITH_KEY} -H "Accept: application/json" {settings.KEYPORTAL_URL}/diagnose/',
        verify_command=f"{WITH_KEY} {settings.KEYPORTAL_URL}/api/v1/me",
    )
