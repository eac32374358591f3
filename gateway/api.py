"""Version 1 of the gateway's API, for requests that the fast path (`keyportal.http_server`) leaves to Django."""

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from audit.client_address import Address, parse_address
from credentials.admission import note_verified
from gateway.changes import ChangesCall, parse_query
from gateway.service_call import ServiceCall
from gateway.usage_report import UsageCall
from gateway.verify import JSON, VerifyCall, read_media_type


class ServiceView(APIView):
    """A call of a service in an unusual form; answered by the same functions as in the usual one."""

    authentication_classes = ()
    permission_classes = ()

    def sent(self) -> tuple[str | None, str, Address | None]:
        """Return the Authorization header, the query, and the service's address."""
        meta = self.request._request.META
        return meta.get("HTTP_AUTHORIZATION"), meta.get("QUERY_STRING", ""), parse_address(meta.get("REMOTE_ADDR", ""))

    def admit(self, call: ServiceCall) -> None:
        """Authenticate the service, before what it sent is looked at. Raises as `ServiceCall.respond` does."""
        note_verified(self.request._request, call.authenticate())

    def respond_to_json(self, call: ServiceCall) -> HttpResponse:
        """Return the response to a call with a body of JSON."""
        self.admit(call)
        read_media_type(self.request._request.META.get("CONTENT_TYPE", ""))
        return HttpResponse(call.respond(), content_type=JSON, status=call.STATUS)


class VerifyView(ServiceView):
    """`POST /api/v1/verify`; answers as `gateway.verify` does."""

    def post(self, request: Request) -> HttpResponse:
        """Return 200 with the verdict, good or bad. The caller needs the scope `credentials:verify`."""
        header, query, address = self.sent()
        return self.respond_to_json(VerifyCall(header, query, request._request.body, address))


class ChangesView(ServiceView):
    """`GET /api/v1/changes`; answers as `gateway.changes` does."""

    def get(self, request: Request) -> HttpResponse:
        """Return what has changed since a cursor. The caller needs the scope `credentials:verify`."""
        header, query, address = self.sent()
        call = ChangesCall(header, None, address, query=query)
        self.admit(call)
        call.cursor = parse_query(request.query_params)
        return HttpResponse(call.respond(), content_type=JSON)


class UsageView(ServiceView):
    """`POST /api/v1/usage`; answers as `gateway.usage_report` does."""

    def post(self, request: Request) -> HttpResponse:
        """Return 202 once the counts are stored. The caller needs the scope `credentials:verify`."""
        header, query, address = self.sent()
        return self.respond_to_json(UsageCall(header, query, request._request.body, address))
