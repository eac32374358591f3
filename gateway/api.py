"""Version 1 of the gateway's API, for requests that the fast path (`keyportal.http_server`) leaves to Django."""

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from audit.client_address import parse_address
from credentials.admission import note_verified
from gateway.changes import ChangesCall, parse_query
from gateway.usage_report import UsageCall
from gateway.verify import JSON, VerifyCall, read_media_type


class VerifyView(APIView):
    """`POST /api/v1/verify` for requests with unusual headers or another method; answers as `gateway.verify` does."""

    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request) -> HttpResponse:
        """Return 200 with the verdict, good or bad. The caller needs the scope `credentials:verify`."""
        django_request = request._request
        meta = django_request.META
        address = parse_address(meta.get("REMOTE_ADDR", ""))
        call = VerifyCall(meta.get("HTTP_AUTHORIZATION"), meta.get("QUERY_STRING", ""), django_request.body, address)
        note_verified(django_request, call.authenticate())
        read_media_type(meta.get("CONTENT_TYPE", ""))
        return HttpResponse(call.respond(), content_type=JSON)


class ChangesView(APIView):
    """`GET /api/v1/changes`, likewise; answers as `gateway.changes` does."""

    authentication_classes = ()
    permission_classes = ()

    def get(self, request: Request) -> HttpResponse:
        """Return what has changed since a cursor. The caller needs the scope `credentials:verify`."""
        meta = request._request.META
        address = parse_address(meta.get("REMOTE_ADDR", ""))
        call = ChangesCall(meta.get("HTTP_AUTHORIZATION"), "", address)
        call.query = meta.get("QUERY_STRING", "")
        note_verified(request._request, call.authenticate())
        call.cursor = parse_query(request.query_params)
        return HttpResponse(call.respond(), content_type=JSON)


class UsageView(APIView):
    """`POST /api/v1/usage`, likewise; answers as `gateway.usage_report` does."""

    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request) -> HttpResponse:
        """Return 202 once the counts are stored. The caller needs the scope `credentials:verify`."""
        django_request = request._request
        meta = django_request.META
        address = parse_address(meta.get("REMOTE_ADDR", ""))
        call = UsageCall(meta.get("HTTP_AUTHORIZATION"), meta.get("QUERY_STRING", ""), django_request.body, address)
        note_verified(django_request, call.authenticate())
        read_media_type(meta.get("CONTENT_TYPE", ""))
        return HttpResponse(call.respond(), content_type=JSON, status=call.STATUS)
